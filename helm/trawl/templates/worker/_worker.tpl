{{/* A pool's own `worker` or `flows` over those of all pools, as YAML: include "trawl.poolValues" (list . "pool" "flows") */}}
{{- define "trawl.poolValues" -}}
{{- $root := index . 0 }}
{{- $own := dig (index . 1) (index . 2) dict $root.Values.workPools | default dict }}
{{- mergeOverwrite (deepCopy (get $root.Values (index . 2))) (deepCopy $own) | toYaml }}
{{- end }}

{{- define "trawl.workerEnv" -}}
{{- include "trawl.apiEnv" . }}
{{- /* Prefect's 10 s are the longest part of a short run's wait. */}}
PREFECT_WORKER_QUERY_SECONDS: "3"
{{- if or (include "trawl.runs.server" .) .Values.existingSecrets.api }}
{{- /* Else the worker writes the string itself, readable, into every Job. */}}
PREFECT_INTEGRATIONS_KUBERNETES_WORKER_API_AUTH_STRING_SECRET_NAME: {{ include "trawl.secret" (list . "api") }}
PREFECT_INTEGRATIONS_KUBERNETES_WORKER_API_AUTH_STRING_SECRET_KEY: auth-string
{{- end }}
{{- /* Else the observer watches all namespaces, may not, and nobody notices a crashed pod. */}}
PREFECT_INTEGRATIONS_KUBERNETES_OBSERVER_NAMESPACES: {{ .Release.Namespace }}
{{- /* Else the worker asks for kube-system's, which takes a ClusterRole. */}}
PREFECT_INTEGRATIONS_KUBERNETES_CLUSTER_UID: {{ .Release.Namespace }}/{{ include "trawl.fullname" . }}
{{- /* A Kubernetes API that is away for a minute crashes no run. */}}
PREFECT_INTEGRATIONS_KUBERNETES_WORKER_CREATE_JOB_RETRY_MAX_RETRIES: "20"
{{- end }}
