{{/* What `trawl setup` is told. */}}
{{- define "trawl.setup" -}}
{{- $own := get .Values.workPools .Values.defaultWorkPool | default dict -}}
pool:
  name: {{ .Values.defaultWorkPool | quote }}
  {{- include "trawl.pool" (list . .Values.defaultWorkPool) | nindent 2 }}
queues: {{ toJson $own.queues }}
{{- with omit .Values.workPools .Values.defaultWorkPool }}
pools:
  {{- range $name, $pool := . }}
  {{ $name | quote }}:
    {{- include "trawl.pool" (list $ $name) | nindent 4 }}
    queues: {{ toJson $pool.queues }}
  {{- end }}
{{- end }}
{{- if include "trawl.runs.minio" . }}
buckets: [{{ .Values.s3.lakeBucket | quote }}, {{ .Values.s3.resultsBucket | quote }}]
minio_user: true
{{- end }}
{{- /* Blocks are the server's, which other installations may share: the pool tells them apart. */}}
results: {bucket: {{ .Values.s3.resultsBucket | quote }}, credentials: {{ printf "%s-minio" .Values.defaultWorkPool | quote }}}
sources:
  {{- range $name, $source := .Values.sources }}
  {{- $settings := pick $source "discover" "refresh" "maintain" }}
  {{- with $source.rate }}{{ $settings = set $settings "rate" . }}{{ end }}
  {{- with $source.publicCalls }}{{ $settings = set $settings "public_calls" . }}{{ end }}
  {{- with $source.pods }}{{ $settings = set $settings "pods" . }}{{ end }}
  {{- with $source.workPool }}{{ $settings = set $settings "pool" . }}{{ end }}
  {{- with $source.jobVariables }}{{ $settings = set $settings "job_variables" . }}{{ end }}
  {{ $name | quote }}: {{- toYaml $settings | nindent 4 }}
  {{- else }} {}
  {{- end }}
{{- with .Values.bootstrap.config }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "trawl.pool" -}}
{{- $pool := get (first .).Values.workPools (last .) | default dict -}}
type: {{ $pool.type }}
{{- with $pool.concurrency }}
concurrency: {{ include "trawl.text" . }}
{{- end }}
{{- if $pool.baseJobTemplate }}
base_job_template: {{- toYaml $pool.baseJobTemplate | nindent 2 }}
{{- else if eq ($pool.type | default "") "kubernetes" }}
base_job_template: {{- include "trawl.jobTemplate" . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "trawl.bootstrapSpec" -}}
{{- $env := merge (deepCopy .Values.bootstrap.env) (include "trawl.apiEnv" . | fromYaml) (include "trawl.s3Env" . | fromYaml) (include "trawl.s3Keys" . | fromYaml) }}
{{- if include "trawl.runs.minio" . }}
{{- $_ := set $env "MINIO_ROOT_USER" (include "trawl.fromSecret" (list (include "trawl.secret" (list . "minio")) "root-user") | fromYaml) }}
{{- $_ := set $env "MINIO_ROOT_PASSWORD" (include "trawl.fromSecret" (list (include "trawl.secret" (list . "minio")) "root-password") | fromYaml) }}
{{- end }}
backoffLimit: 2
podFailurePolicy:
  rules:
    # A wrong configuration: a second try would find the same.
    - action: FailJob
      onExitCodes: {containerName: bootstrap, operator: In, values: [2]}
template:
  metadata:
    labels: {{- include "trawl.selectorLabels" (list . "bootstrap") | nindent 6 }}
    annotations:
      checksum/config: {{ include "trawl.setup" . | sha256sum }}
  spec:
    {{- include "trawl.pod" (list . "bootstrap" .Values.bootstrap) | nindent 4 }}
    restartPolicy: Never
    automountServiceAccountToken: false
    containers:
      - name: bootstrap
        {{- include "trawl.container" . | nindent 8 }}
        command: [python, -m, trawl.orchestration.start, --wait-for, api, {{ if include "trawl.runs.minio" . }}--wait-for, "tcp://{{ include "trawl.name" (list . "minio") }}:9000", {{ end }}--]
        args: [trawl, setup, --config, /etc/trawl/setup.yaml]
        env: {{- include "trawl.env" $env | nindent 10 }}
        resources: {{- toYaml .Values.bootstrap.resources | nindent 10 }}
        volumeMounts:
          {{- include "trawl.volumeMounts" . | nindent 10 }}
          - {name: config, mountPath: /etc/trawl, readOnly: true}
    volumes:
      {{- include "trawl.volumes" . | nindent 6 }}
      - name: config
        configMap: {name: {{ include "trawl.name" (list . "bootstrap") }}}
{{- end }}
