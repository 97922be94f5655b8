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

{{/* Finds pods of flow runs as well: Prefect gives those a name of its own. */}}
{{- define "trawl.podLabels" -}}
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

{{/* With labels of the user's, by which others find an object: include "trawl.metadataWith" (list . "metrics" .labels) */}}
{{- define "trawl.metadataWith" -}}
{{- $own := include "trawl.metadata" (list (index . 0) (index . 1)) | fromYaml }}
{{- set $own "labels" (merge (dict) $own.labels (index . 2)) | toYaml }}
{{- end }}

{{/* Names of what runs the pools: the default pool's workers are plainly `worker`. include "trawl.worker" (list . "pool") */}}
{{- define "trawl.worker" -}}
{{ eq (last .) (first .).Values.defaultWorkPool | ternary "worker" (printf "worker-%s" (last .)) }}
{{- end }}

{{/*
What the chart runs itself, as "true" or nothing.
*/}}
{{- define "trawl.runs.server" -}}{{ if not .Values.server.external.url }}true{{ end }}{{- end }}
{{- define "trawl.runs.postgres" -}}{{ if and (include "trawl.runs.server" .) (not .Values.postgres.external.host) }}true{{ end }}{{- end }}
{{- define "trawl.runs.minio" -}}{{ if not .Values.s3.external.endpoint }}true{{ end }}{{- end }}
{{- define "trawl.runs.valkey" -}}{{ if and (include "trawl.runs.server" .) .Values.highAvailability (not .Values.valkey.external.host) }}true{{ end }}{{- end }}

{{/* An image's reference; Trawl's own where no tag is given: include "trawl.image" (list . .Values.minio.image) */}}
{{- define "trawl.image" -}}
{{- $root := first . }}
{{- $image := last . }}
{{- with $root.Values.global.imageRegistry }}{{ trimSuffix "/" . }}/{{ regexReplaceAll "^([^/]*[.:][^/]*|localhost)/" $image.repository "" }}
{{- else }}{{ $image.repository }}{{ end }}
{{- with $image.tag | default (ternary $root.Chart.AppVersion "" (eq $image.repository $root.Values.image.repository)) }}:{{ . }}{{ end }}
{{- with $image.digest }}@{{ . }}{{ end }}
{{- end }}

{{/*
What all pods have in common, from a component's values over the chart's. Pod Security "restricted" is met here
and in trawl.container, nowhere else.
  include "trawl.pod" (list . "postgres" .Values.postgres)
*/}}
{{- define "trawl.pod" -}}
{{- $root := index . 0 }}
{{- $component := index . 1 }}
{{- $own := index . 2 -}}
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  seccompProfile: {type: RuntimeDefault}
  {{- with $own.podSecurityContext | default $root.Values.podSecurityContext }}{{ toYaml . | nindent 2 }}{{ end }}
{{- with concat $root.Values.imagePullSecrets $root.Values.global.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- range $field := list "nodeSelector" "tolerations" "affinity" "priorityClassName" }}
{{- with get $own $field | default (get $root.Values $field) }}
{{ $field }}: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- with $own.topologySpreadConstraints | default $root.Values.topologySpreadConstraints }}
topologySpreadConstraints: {{- toYaml . | nindent 2 }}
{{- else }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "trawl.podLabels" (list $root $component) | nindent 8 }}
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

{{/*
A map as a list of environment variables: sorted, no name twice, and references to Secrets first, so that a text can
have one in it as $(NAME).
*/}}
{{- define "trawl.env" -}}
{{- range $name, $value := . }}
{{- if kindIs "map" $value }}
- name: {{ $name | quote }}
  valueFrom: {{- toYaml $value | nindent 4 }}
{{- end }}
{{- end }}
{{- range $name, $value := . }}
{{- if not (kindIs "map" $value) }}
- name: {{ $name | quote }}
  value: {{ include "trawl.text" $value | quote }}
{{- end }}
{{- end }}
{{- end }}

{{- define "trawl.fromSecret" -}}
secretKeyRef: {name: {{ first . | quote }}, key: {{ last . }}}
{{- end }}

{{/* A Secret: an existing one, or the one that the hook makes. include "trawl.secret" (list . "api") */}}
{{- define "trawl.secret" -}}
{{ get (first .).Values.existingSecrets (last .) | default (include "trawl.name" .) }}
{{- end }}

{{/* How to reach the API, as a map for trawl.env. */}}
{{- define "trawl.apiEnv" -}}
PREFECT_API_URL: {{ .Values.server.external.url | default (printf "http://%s:4200/api" (include "trawl.name" (list . "server"))) | quote }}
{{- if or (include "trawl.runs.server" .) .Values.existingSecrets.api }}
PREFECT_API_AUTH_STRING: {{- include "trawl.fromSecret" (list (include "trawl.secret" (list . "api")) "auth-string") | nindent 2 }}
{{- end }}
{{- end }}

{{- define "trawl.s3Endpoint" -}}
{{- if include "trawl.runs.minio" . }}{{ printf "http://%s:9000" (include "trawl.name" (list . "minio")) }}
{{- else if ne .Values.s3.external.endpoint "aws" }}{{ .Values.s3.external.endpoint }}
{{- end }}
{{- end }}

{{- define "trawl.s3Env" -}}
AWS_REGION: {{ .Values.s3.region | quote }}
{{- with include "trawl.s3Endpoint" . }}
AWS_ENDPOINT_URL: {{ . | quote }}
{{- if hasPrefix "http://" . }}
AWS_ALLOW_HTTP: "true"
{{- end }}
{{- end }}
{{- end }}

{{/* Without a Secret, Amazon's own credentials of the pod's account are used. */}}
{{- define "trawl.s3Keys" -}}
{{- if or (ne .Values.s3.external.endpoint "aws") .Values.existingSecrets.s3 }}
AWS_ACCESS_KEY_ID: {{- include "trawl.fromSecret" (list (include "trawl.secret" (list . "s3")) "access-key") | nindent 2 }}
AWS_SECRET_ACCESS_KEY: {{- include "trawl.fromSecret" (list (include "trawl.secret" (list . "s3")) "secret-key") | nindent 2 }}
{{- else }} {}
{{- end }}
{{- end }}

{{/* What a flow finds: the lake, and each source's address. */}}
{{- define "trawl.flowEnv" -}}
{{- include "trawl.s3Env" . }}
TRAWL_LAKE: {{ printf "s3://%s" .Values.s3.lakeBucket | quote }}
PREFECT_LOGGING_EXTRA_LOGGERS: trawl
PREFECT_LOGGING_LEVEL: {{ .Values.logLevel }}
PREFECT_RESULTS_DEFAULT_STORAGE_BLOCK: {{ printf "s3-bucket/%s" (.Values.s3.resultsBucket | replace "." "-") }}
{{- range $name, $source := .Values.sources }}
{{- with $source.baseUrl }}
{{ printf "TRAWL_SOURCE_%s_BASE_URL" (upper $name) }}: {{ . | quote }}
{{- end }}
{{- end }}
{{- end }}

{{- define "trawl.claim" -}}
accessModes: [ReadWriteOnce]
{{- with .className }}
storageClassName: {{ . | quote }}
{{- end }}
resources: {requests: {storage: {{ .size | quote }}}}
{{- end }}

{{/* At one replica a budget would only keep a node from being drained. include "trawl.disruptionBudget" (list . "server" 2) */}}
{{- define "trawl.disruptionBudget" -}}
{{- $root := index . 0 }}
{{- $component := index . 1 }}
{{- if gt (int (index . 2)) 1 -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {{- include "trawl.metadata" (list $root $component) | nindent 2 }}
spec:
  maxUnavailable: 1
  selector:
    matchLabels: {{- include "trawl.selectorLabels" (list $root $component) | nindent 6 }}
{{- end }}
{{- end }}
