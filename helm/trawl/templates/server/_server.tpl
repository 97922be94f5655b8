{{/* Of the API's pods and of the background services', as a map for trawl.env. */}}
{{- define "trawl.serverEnv" -}}
{{- $home := "/home/trawl" -}}
PREFECT_SERVER_DATABASE_DRIVER: postgresql+asyncpg
PREFECT_SERVER_DATABASE_HOST: {{ include "trawl.databaseHost" . | quote }}
PREFECT_SERVER_DATABASE_PORT: {{ include "trawl.databasePort" . | quote }}
PREFECT_SERVER_DATABASE_NAME: {{ .Values.postgres.database | quote }}
PREFECT_SERVER_DATABASE_USER: {{ .Values.postgres.user | quote }}
PREFECT_SERVER_DATABASE_PASSWORD: {{- include "trawl.fromSecret" (list (include "trawl.secret" (list . "postgres")) "password") | nindent 2 }}
PREFECT_SERVER_DATABASE_MIGRATE_ON_START: "false"
PREFECT_SERVER_API_AUTH_STRING: {{- include "trawl.fromSecret" (list (include "trawl.secret" (list . "api")) "auth-string") | nindent 2 }}
PREFECT_SERVER_LOGGING_LEVEL: {{ .Values.logLevel }}
PREFECT_SERVER_UI_STATIC_DIRECTORY: {{ $home }}/ui
PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT: "false"
# Relative, so that the UI works behind any port-forward and any host.
PREFECT_SERVER_UI_API_URL: /api
PREFECT_SERVER_ANALYTICS_ENABLED: "false"
# Prefect's default of 300 s is how long a run that is cancelled while its pod starts would hang.
PREFECT_SERVER_SERVICES_CANCELLATION_CLEANUP_CANCELLING_TIMEOUT_SECONDS: "30"
PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED: events,flow_runs
PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD: P{{ include "trawl.text" .Values.server.retention.runs }}D
PREFECT_SERVER_EVENTS_RETENTION_PERIOD: P{{ include "trawl.text" .Values.server.retention.events }}D
{{- if .Values.metrics.enabled }}
PREFECT_SERVER_METRICS_ENABLED: "true"
{{- end }}
{{- if not .Values.highAvailability }}
PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE: prefect.server.concurrency.lease_storage.filesystem
{{- else }}
# Processes that share nothing but the database would lose events and task runs, and say nothing: all of these belong together.
VALKEY_PASSWORD: {{- include "trawl.fromSecret" (list (include "trawl.secret" (list . "valkey")) "password") | nindent 2 }}
{{- $valkey := printf "%s://:$(VALKEY_PASSWORD)@%s" (ternary "rediss" "redis" .Values.valkey.external.tls) (include "trawl.valkeyAddress" .) }}
PREFECT_SERVER_EVENTS_MESSAGING_BROKER: prefect_redis.messaging
PREFECT_SERVER_EVENTS_MESSAGING_CACHE: prefect_redis.messaging
PREFECT_SERVER_EVENTS_CAUSAL_ORDERING: prefect_redis.ordering
PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE: prefect_redis.lease_storage
PREFECT_SERVER_WORKER_CHANNEL_CLEANUP_QUEUE_STORAGE: prefect_redis.cleanup_queue
PREFECT_REDIS_MESSAGING_URL: {{ $valkey }}/0
PREFECT_REDIS_WORKER_CLEANUP_QUEUE_URL: {{ $valkey }}/0
PREFECT_SERVER_DOCKET_URL: {{ $valkey }}/1
{{- end }}
{{- end }}

{{- define "trawl.databaseHost" -}}
{{ .Values.postgres.external.host | default (include "trawl.name" (list . "postgres")) }}
{{- end }}
{{- define "trawl.databasePort" -}}
{{ include "trawl.text" (ternary .Values.postgres.external.port 5432 (ne .Values.postgres.external.host "")) }}
{{- end }}
{{- define "trawl.valkeyAddress" -}}
{{ with .Values.valkey.external.host }}{{ . }}:{{ include "trawl.text" $.Values.valkey.external.port }}{{ else }}{{ include "trawl.name" (list . "valkey") }}:6379{{ end }}
{{- end }}

{{- define "trawl.serverReplicas" -}}
{{ ternary (max 2 (int .Values.server.replicas)) 1 .Values.highAvailability }}
{{- end }}

{{/*
Waits for the database (and Valkey), then brings the database to this version. Two at once wait for each other.
A database that is to be upgraded is dumped first, by Postgres' own image, and the dump kept before anything is changed.
*/}}
{{- define "trawl.migrate" -}}
{{- $dump := include "trawl.dumpsBeforeUpgrade" . }}
{{- $env := include "trawl.serverEnv" . | fromYaml | merge (deepCopy .Values.server.env) }}
{{- if $dump }}
- name: look
  {{- include "trawl.container" . | nindent 2 }}
  command: [python, -m, trawl.orchestration.start, --wait-for, "tcp://{{ include "trawl.databaseHost" . }}:{{ include "trawl.databasePort" . }}", --]
  args: [python, -m, trawl.orchestration.before_upgrade, --note, /tmp/dump-wanted]
  env: {{- include "trawl.env" $env | nindent 4 }}
  resources: {{- toYaml .Values.server.resources | nindent 4 }}
  volumeMounts: {{- include "trawl.volumeMounts" . | nindent 4 }}
- name: dump
  command:
    - sh
    - -c
    - >-
      [ -e /tmp/dump-wanted ] || exit 0;
      pg_dump --format=custom --no-password --file=/tmp/before-upgrade.dump && exit;
      echo "trawl: the database cannot be dumped, so it is not upgraded; backup.beforeUpgrade: false upgrades without a dump" >&2;
      exit 1
  {{- include "trawl.postgresContainer" . | nindent 2 }}
{{- $env = merge $env (include "trawl.backupEnv" . | fromYaml) }}
{{- end }}
- name: migrate
  {{- include "trawl.container" . | nindent 2 }}
  command: [python, -m, trawl.orchestration.start]
  args:
    - --wait-for
    - tcp://{{ include "trawl.databaseHost" . }}:{{ include "trawl.databasePort" . }}
    {{- if .Values.highAvailability }}
    - --wait-for
    - tcp://{{ include "trawl.valkeyAddress" . }}
    {{- end }}
    - --
    - python
    - -m
    - trawl.orchestration.migrate
    {{- if $dump }}
    - --dump=/tmp/before-upgrade.dump
    - --to={{ include "trawl.backupUrl" . }}
    {{- if include "trawl.backupMakesBucket" . }}
    - --make-bucket
    {{- end }}
    {{- end }}
  env: {{- include "trawl.env" $env | nindent 4 }}
  resources: {{- toYaml .Values.server.resources | nindent 4 }}
  volumeMounts: {{- include "trawl.volumeMounts" . | nindent 4 }}
{{- end }}
