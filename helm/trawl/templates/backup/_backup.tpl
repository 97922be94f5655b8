{{/* Where backups lie, as the URL that Trawl understands. */}}
{{- define "trawl.backupUrl" -}}
s3://{{ .Values.backup.bucket }}
{{- end }}

{{/* How to reach it, as a map for trawl.env: MinIO's root user, for flow runs' own must not reach what they could ruin. */}}
{{- define "trawl.backupEnv" -}}
{{- $backup := .Values.backup }}
{{- if $backup.external.endpoint }}
TRAWL_BACKUP_AWS_ENDPOINT_URL: {{ ternary (printf "https://s3.%s.amazonaws.com" $backup.external.region) $backup.external.endpoint (eq $backup.external.endpoint "aws") | quote }}
TRAWL_BACKUP_AWS_REGION: {{ $backup.external.region | quote }}
TRAWL_BACKUP_AWS_ACCESS_KEY_ID: {{- include "trawl.fromSecret" (list $backup.existingSecret "access-key") | nindent 2 }}
TRAWL_BACKUP_AWS_SECRET_ACCESS_KEY: {{- include "trawl.fromSecret" (list $backup.existingSecret "secret-key") | nindent 2 }}
{{- else }}
{{- include "trawl.s3Env" . }}
{{- if include "trawl.runs.minio" . }}
AWS_ACCESS_KEY_ID: {{- include "trawl.fromSecret" (list (include "trawl.secret" (list . "minio")) "root-user") | nindent 2 }}
AWS_SECRET_ACCESS_KEY: {{- include "trawl.fromSecret" (list (include "trawl.secret" (list . "minio")) "root-password") | nindent 2 }}
{{- else if $backup.existingSecret }}
AWS_ACCESS_KEY_ID: {{- include "trawl.fromSecret" (list $backup.existingSecret "access-key") | nindent 2 }}
AWS_SECRET_ACCESS_KEY: {{- include "trawl.fromSecret" (list $backup.existingSecret "secret-key") | nindent 2 }}
{{- else if ne (include "trawl.s3Keys" . | trim) "{}" }}
{{- include "trawl.s3Keys" . }}
{{- end }}
{{- end }}
{{- end }}

{{/* The chart's own MinIO has the bucket made in it; elsewhere it exists, as the lake's does. */}}
{{- define "trawl.backupMakesBucket" -}}
{{- if and (include "trawl.runs.minio" .) (not .Values.backup.external.endpoint) }}true{{ end }}
{{- end }}

{{/* Whether an upgrade of Prefect's database is preceded by a dump of it. */}}
{{- define "trawl.dumpsBeforeUpgrade" -}}
{{- $own := and (include "trawl.runs.postgres" .) (include "trawl.runs.minio" .) }}
{{- if and .Values.backup.beforeUpgrade (include "trawl.runs.server" .) (or $own .Values.backup.external.endpoint) }}true{{ end }}
{{- end }}

{{/* For Postgres' own programs, as a map for trawl.env. */}}
{{- define "trawl.postgresEnv" -}}
HOME: /tmp
PGHOST: {{ include "trawl.databaseHost" . | quote }}
PGPORT: {{ include "trawl.databasePort" . | quote }}
PGDATABASE: {{ .Values.postgres.database | quote }}
PGUSER: {{ .Values.postgres.user | quote }}
PGPASSWORD: {{- include "trawl.fromSecret" (list (include "trawl.secret" (list . "postgres")) "password") | nindent 2 }}
{{- end }}

{{/* A container of Postgres' image, without its name and command. */}}
{{- define "trawl.postgresContainer" -}}
image: {{ include "trawl.image" (list . .Values.postgres.image) | quote }}
securityContext: {{- include "trawl.containerSecurity" . | nindent 2 }}
env: {{- include "trawl.env" (include "trawl.postgresEnv" . | fromYaml) | nindent 2 }}
resources: {{- toYaml .Values.backup.resources | nindent 2 }}
volumeMounts: [{name: tmp, mountPath: /tmp}]
{{- end }}

{{/* A container of Trawl's image that reaches lake and backups, without its name and arguments. */}}
{{- define "trawl.backupContainer" -}}
{{- $lake := merge (include "trawl.s3Env" . | fromYaml) (include "trawl.s3Keys" . | fromYaml) (dict "TRAWL_LAKE" (printf "s3://%s" .Values.s3.lakeBucket)) -}}
{{ include "trawl.container" . }}
command: [trawl]
env: {{- include "trawl.env" (merge (include "trawl.backupEnv" . | fromYaml) $lake) | nindent 2 }}
resources: {{- toYaml .Values.backup.resources | nindent 2 }}
volumeMounts: {{- include "trawl.volumeMounts" . | nindent 2 }}
{{- end }}

{{- define "trawl.backupPod" -}}
{{- include "trawl.pod" (list . "backup" .Values.backup) }}
restartPolicy: Never
serviceAccountName: {{ include "trawl.name" (list . "flows") }}
automountServiceAccountToken: false
volumes: {{- include "trawl.volumes" . | nindent 2 }}
{{- end }}
