{{/* What `trawl setup` is told. */}}
{{- define "trawl.setup" -}}
pool:
  name: {{ .Values.worker.pool | quote }}
  type: kubernetes
  base_job_template: {{- include "trawl.jobTemplate" . | nindent 4 }}
{{- if not .Values.s3.endpoint }}
buckets: [{{ .Values.s3.lakeBucket | quote }}, {{ .Values.s3.resultsBucket | quote }}]
{{- end }}
results: {bucket: {{ .Values.s3.resultsBucket | quote }}}
sources:
  {{- range $name, $source := .Values.sources }}
  {{- $settings := pick $source "discover" "refresh" "maintain" }}
  {{- with $source.rate }}{{ $settings = set $settings "rate" . }}{{ end }}
  {{- with $source.publicCalls }}{{ $settings = set $settings "public_calls" . }}{{ end }}
  {{ $name | quote }}: {{- toYaml $settings | nindent 4 }}
  {{- else }} {}
  {{- end }}
{{- end }}

{{- define "trawl.setupSpec" -}}
{{- $env := merge (include "trawl.apiEnv" . | fromYaml) (include "trawl.s3Env" . | fromYaml) (include "trawl.s3Keys" . | fromYaml) }}
backoffLimit: 2
podFailurePolicy:
  rules:
    # A wrong configuration: a second try would find the same.
    - action: FailJob
      onExitCodes: {containerName: setup, operator: In, values: [2]}
template:
  metadata:
    labels: {{- include "trawl.selectorLabels" (list . "setup") | nindent 6 }}
    annotations:
      checksum/config: {{ include "trawl.setup" . | sha256sum }}
  spec:
    {{- include "trawl.pod" (list . .Values.podSecurityContext) | nindent 4 }}
    restartPolicy: Never
    automountServiceAccountToken: false
    containers:
      - name: setup
        {{- include "trawl.container" . | nindent 8 }}
        command: [python, -m, trawl.orchestration.start, --wait-for, api, {{ if not .Values.s3.endpoint }}--wait-for, "tcp://{{ include "trawl.name" (list . "minio") }}:9000", {{ end }}--]
        args: [trawl, setup, --config, /etc/trawl/setup.yaml]
        env: {{- include "trawl.env" $env | nindent 10 }}
        resources:
          requests: {cpu: 50m, memory: 192Mi}
          limits: {memory: 512Mi}
        volumeMounts:
          {{- include "trawl.volumeMounts" . | nindent 10 }}
          - {name: config, mountPath: /etc/trawl, readOnly: true}
    volumes:
      {{- include "trawl.volumes" . | nindent 6 }}
      - name: config
        configMap: {name: {{ include "trawl.name" (list . "setup") }}}
{{- end }}
