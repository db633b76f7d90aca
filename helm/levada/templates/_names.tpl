{{/* The name of everything in this release: the release's, with the chart's unless it is in there already. */}}
{{- define "levada.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* What selects the pods; it must never change within a release. */}}
{{- define "levada.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "levada.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | quote }}
{{ include "levada.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{/* The host that clients of a `dev` node are told to connect to. */}}
{{- define "levada.advertisedHost" -}}
{{- .Values.dev.advertisedHost | default (printf "%s.%s.svc" (include "levada.fullname" .) .Release.Namespace) -}}
{{- end -}}

{{/* Options as arguments, one a line: of a table of settings. */}}
{{- define "levada.settings" -}}
{{- range $name, $value := . }}
{{- /* Helm reads whole numbers as floats, and would print large ones with an exponent. */}}
- {{ printf "--set=%s=%v" $name (kindIs "float64" $value | ternary (int64 $value) $value) | quote }}
{{- end }}
{{- end -}}

{{/* The controllers with their ids ("form" "voter") or as others reach them ("form" "address"): (dict "root" $ "form" …). */}}
{{- define "levada.controllers" -}}
{{- $root := .root -}}
{{- $form := .form -}}
{{- $list := list -}}
{{- range $ordinal := until (int $root.Values.controllers.replicas) -}}
{{- $name := include "levada.fullname" $root -}}
{{- $host := printf "%s-controller-%d.%s-controller.%s.svc.%s:%d" $name $ordinal $name $root.Release.Namespace $root.Values.clusterDomain (int $root.Values.ports.internal) -}}
{{- $list = append $list (ternary (printf "%d@%s" (add 1001 $ordinal) $host) $host (eq $form "voter")) -}}
{{- end -}}
{{- join "," $list -}}
{{- end -}}
