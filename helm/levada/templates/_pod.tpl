{{/* What the pods of every role have in common. */}}

{{/* Labels and annotations of a pod: (dict "root" $ "component" "broker"); without a component, those of `dev`. */}}
{{- define "levada.podMetadata" -}}
labels:
  {{- include "levada.selector" .root | nindent 2 }}
  {{- with .component }}
  app.kubernetes.io/component: {{ . }}
  {{- end }}
  {{- with .root.Values.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .root.Values.podAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The head of a pod's spec. */}}
{{- define "levada.podSpec" -}}
serviceAccountName: {{ include "levada.fullname" . }}
automountServiceAccountToken: false
# A Service named levada would inject LEVADA_… variables, which the options refuse as unknown.
enableServiceLinks: false
terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Spreads the pods of a component over zones and machines: (dict "root" $ "component" "broker"). */}}
{{- define "levada.spread" -}}
topologySpreadConstraints:
  {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - topologyKey: {{ . }}
    maxSkew: 1
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "levada.selector" $.root | nindent 8 }}
        app.kubernetes.io/component: {{ $.component }}
  {{- end }}
{{- end -}}

{{/* What the containers of every role have in common. */}}
{{- define "levada.container" -}}
image: "{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}"
imagePullPolicy: {{ .Values.image.pullPolicy }}
# The HTTP endpoint answers from the first moment on. Recovery of logs after a crash may take as long as it takes: a
# process that recovers is alive and not ready, and is never killed for that. On a machine that is busy even the first
# moment may be long in coming, and until then nobody asks whether it lives.
startupProbe:
  httpGet:
    path: /healthz
    port: http
  periodSeconds: 2
  timeoutSeconds: 5
  failureThreshold: 150
livenessProbe:
  httpGet:
    path: /healthz
    port: http
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet:
    path: /readyz
    port: http
  periodSeconds: 2
  timeoutSeconds: 5
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end -}}

{{/* Where the containers of roles that keep data have it. */}}
{{- define "levada.data" -}}
volumeMounts:
  - name: data
    mountPath: /data
{{- end -}}

{{/* SIGTERM drains. Before it, the pod goes on for as long as a service takes to forget it, so that no new client is sent to a
process that has begun to end. */}}
{{- define "levada.lifecycle" -}}
{{- with .Values.preStopSeconds }}
lifecycle:
  preStop:
    exec:
      command: [sleep, {{ . | quote }}]
{{- end }}
{{- end -}}

{{/* The volume of each pod: (dict "root" $ "persistence" .Values.brokers.persistence). */}}
{{- define "levada.claim" -}}
volumeClaimTemplates:
  - metadata:
      name: data
      labels:
        {{- include "levada.selector" .root | nindent 8 }}
    spec:
      accessModes: [ReadWriteOnce]
      {{- with .persistence.storageClass }}
      storageClassName: {{ . }}
      {{- end }}
      resources:
        requests:
          storage: {{ .persistence.size }}
{{- end -}}
