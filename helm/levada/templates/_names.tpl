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

{{/* The host that clients are told to connect to. */}}
{{- define "levada.advertisedHost" -}}
{{- .Values.advertisedHost | default (printf "%s.%s.svc" (include "levada.fullname" .) .Release.Namespace) -}}
{{- end -}}
