{{/*
Names. Every resource is called after the release and its component: `trawl-server` for a release `trawl`.
  include "trawl.name" (list . "server")
*/}}
{{- define "trawl.fullname" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "trawl.name" -}}
{{ include "trawl.fullname" (first .) }}-{{ last . }}
{{- end }}

{{- define "trawl.selectorLabels" -}}
app.kubernetes.io/name: {{ (first .).Chart.Name }}
app.kubernetes.io/instance: {{ (first .).Release.Name | quote }}
app.kubernetes.io/component: {{ last . }}
{{- end }}

{{- define "trawl.labels" -}}
{{ include "trawl.selectorLabels" . }}
app.kubernetes.io/version: {{ (first .).Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ (first .).Release.Service }}
helm.sh/chart: {{ printf "%s-%s" (first .).Chart.Name (first .).Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "trawl.metadata" -}}
name: {{ include "trawl.name" . }}
labels: {{- include "trawl.labels" . | nindent 2 }}
{{- end }}

{{/* An image's reference; Trawl's own where none is given: include "trawl.image" (list . .Values.minio.image) */}}
{{- define "trawl.image" -}}
{{- $root := first . }}
{{- $image := last . }}
{{- $image.repository }}
{{- with $image.tag | default (ternary $root.Chart.AppVersion "" (eq $image.repository $root.Values.image.repository)) }}:{{ . }}{{ end }}
{{- with $image.digest }}@{{ . }}{{ end }}
{{- end }}

{{/*
What all pods have in common. Pod Security "restricted" is met here and in trawl.container, nowhere else.
  include "trawl.pod" (list . .Values.postgres.podSecurityContext)
*/}}
{{- define "trawl.pod" -}}
{{- $values := (first .).Values -}}
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  seccompProfile: {type: RuntimeDefault}
  {{- with last . }}{{ toYaml . | nindent 2 }}{{ end }}
{{- with $values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "trawl.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* Image and security of a container that runs Trawl's image. */}}
{{- define "trawl.container" -}}
image: {{ include "trawl.image" (list . .Values.image) | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext: {{- include "trawl.containerSecurity" . | nindent 2 }}
{{- end }}

{{/* The only places that Trawl's image writes to. */}}
{{- define "trawl.volumeMounts" -}}
- {name: home, mountPath: /home/trawl}
- {name: tmp, mountPath: /tmp}
{{- end }}

{{- define "trawl.volumes" -}}
- {name: home, emptyDir: {}}
- {name: tmp, emptyDir: {}}
{{- end }}

{{/* A value as text: Helm holds every number as a float, and would write 12000000 as 1.2e+07. */}}
{{- define "trawl.text" -}}
{{ kindIs "string" . | ternary . (toJson .) }}
{{- end }}

{{/* A map as a list of environment variables: sorted, and no name twice. */}}
{{- define "trawl.env" -}}
{{- range $name, $value := . }}
- name: {{ $name | quote }}
  {{- if kindIs "map" $value }}
  valueFrom: {{- toYaml $value | nindent 4 }}
  {{- else }}
  value: {{ include "trawl.text" $value | quote }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "trawl.fromSecret" -}}
secretKeyRef: {name: {{ first . | quote }}, key: {{ last . }}}
{{- end }}

{{/* Secrets: an existing one or the one that the hook makes. */}}
{{- define "trawl.secret.api" -}}
{{ .Values.existingSecrets.api | default (include "trawl.name" (list . "api")) }}
{{- end }}
{{- define "trawl.secret.postgres" -}}
{{ .Values.existingSecrets.postgres | default (include "trawl.name" (list . "postgres")) }}
{{- end }}
{{- define "trawl.secret.s3" -}}
{{ .Values.existingSecrets.s3 | default (include "trawl.name" (list . "s3")) }}
{{- end }}

{{/* How to reach the API, as a map for trawl.env. */}}
{{- define "trawl.apiEnv" -}}
PREFECT_API_URL: {{ printf "http://%s:4200/api" (include "trawl.name" (list . "server")) }}
PREFECT_API_AUTH_STRING: {{- include "trawl.fromSecret" (list (include "trawl.secret.api" .) "auth-string") | nindent 2 }}
{{- end }}

{{- define "trawl.s3Endpoint" -}}
{{ .Values.s3.endpoint | default (printf "http://%s:9000" (include "trawl.name" (list . "minio"))) }}
{{- end }}

{{- define "trawl.s3Env" -}}
AWS_ENDPOINT_URL: {{ include "trawl.s3Endpoint" . | quote }}
AWS_REGION: {{ .Values.s3.region | quote }}
{{- if hasPrefix "http://" (include "trawl.s3Endpoint" .) }}
AWS_ALLOW_HTTP: "true"
{{- end }}
{{- end }}

{{- define "trawl.s3Keys" -}}
AWS_ACCESS_KEY_ID: {{- include "trawl.fromSecret" (list (include "trawl.secret.s3" .) "access-key") | nindent 2 }}
AWS_SECRET_ACCESS_KEY: {{- include "trawl.fromSecret" (list (include "trawl.secret.s3" .) "secret-key") | nindent 2 }}
{{- end }}

{{- define "trawl.databaseHost" -}}
{{ .Values.database.host | default (include "trawl.name" (list . "postgres")) }}
{{- end }}

{{- define "trawl.claim" -}}
accessModes: [ReadWriteOnce]
{{- with .className }}
storageClassName: {{ . | quote }}
{{- end }}
resources: {requests: {storage: {{ .size | quote }}}}
{{- end }}
