{{/*
The pool's base job template. {{"{{ name }}"}} are Prefect's placeholders, filled for each run from `variables`.
Variables are Prefect's own (less those that its worker never reads), so that guides and the UI's form hold.
*/}}
{{- define "trawl.jobTemplate" -}}
{{- $root := first . }}
{{- $pool := last . }}
{{- with $root }}
{{- $flows := include "trawl.poolValues" (list . $pool "flows") | fromYaml }}
job_configuration:
  name: "{{"{{ name }}"}}"
  command: "{{"{{ command }}"}}"
  env: "{{"{{ env }}"}}"
  labels: "{{"{{ labels }}"}}"
  annotations: "{{"{{ annotations }}"}}"
  namespace: "{{"{{ namespace }}"}}"
  job_manifest:
    apiVersion: batch/v1
    kind: Job
    metadata:
      generateName: "{{"{{ name }}"}}-"
      namespace: "{{"{{ namespace }}"}}"
      labels: "{{"{{ labels }}"}}"
      annotations: "{{"{{ annotations }}"}}"
    spec:
      backoffLimit: "{{"{{ backoff_limit }}"}}"
      activeDeadlineSeconds: "{{"{{ active_deadline_seconds }}"}}"
      ttlSecondsAfterFinished: "{{"{{ finished_job_ttl }}"}}"
      template:
        metadata:
          labels:
            {{- include "trawl.podLabels" (list . "flows") | nindent 12 }}
        spec:
          {{- include "trawl.pod" (list . "flows" $flows) | nindent 10 }}
          parallelism: 1
          completions: 1
          restartPolicy: Never
          serviceAccountName: "{{"{{ service_account_name }}"}}"
          automountServiceAccountToken: false
          containers:
            - name: prefect-job
              image: "{{"{{ image }}"}}"
              imagePullPolicy: "{{"{{ image_pull_policy }}"}}"
              command: [python, -m, trawl.orchestration.start, --wait-for, api, --]
              args: "{{"{{ command }}"}}"
              # Beside `env`: Prefect adds the run's own variables to this list, and they win.
              env: {{- include "trawl.env" (include "trawl.s3Keys" . | fromYaml) | nindent 16 }}
              securityContext: {{- include "trawl.containerSecurity" . | nindent 16 }}
              resources:
                requests: {cpu: "{{"{{ cpu_request }}"}}", memory: "{{"{{ memory_request }}"}}"}
                limits: {cpu: "{{"{{ cpu_limit }}"}}", memory: "{{"{{ memory_limit }}"}}"}
              volumeMounts: {{- include "trawl.volumeMounts" . | nindent 16 }}
          volumes: {{- include "trawl.volumes" . | nindent 12 }}
variables:
  type: object
  properties:
    name:
      {title: Name, type: string, description: "Start of the Job's name; the run's name if empty."}
    env:
      title: Environment Variables
      type: object
      additionalProperties: {anyOf: [{type: string}, {type: "null"}]}
      default:
        {{- range $name, $value := merge (deepCopy ($flows.env | default dict)) (include "trawl.flowEnv" . | fromYaml) }}
        {{ $name | quote }}: {{ include "trawl.text" $value | quote }}
        {{- end }}
      description: Added to and winning over these.
    labels:
      {title: Labels, type: object, additionalProperties: {type: string}, description: Labels of Job and pod.}
    annotations:
      {title: Annotations, type: object, additionalProperties: {type: string}, description: Annotations of Job and pod.}
    command:
      {title: Command, type: string, description: "Started in place of `prefect flow-run execute`."}
    namespace:
      {title: Namespace, type: string, default: {{ .Release.Namespace | quote }}, description: The worker may make Jobs in this one only.}
    image:
      {title: Image, type: string, default: {{ include "trawl.image" (list . .Values.image) | quote }}, description: Image of the flow's container.}
    image_pull_policy:
      {title: Image Pull Policy, type: string, enum: [IfNotPresent, Always, Never], default: {{ .Values.image.pullPolicy }}, description: When the image is pulled.}
    service_account_name:
      {title: Service Account Name, type: string, default: {{ include "trawl.name" (list . "flows") }}, description: The pod's account.}
    backoff_limit:
      {title: Backoff Limit, type: integer, minimum: 0, default: 0, description: "0: Prefect, not Kubernetes, starts an evicted run again."}
    finished_job_ttl:
      {title: Finished Job TTL, type: integer, minimum: 300, default: {{ include "trawl.text" $flows.finishedJobTtl }}, description: Seconds that a finished Job is kept.}
    active_deadline_seconds:
      {title: Active Deadline, type: integer, minimum: 1, default: {{ include "trawl.text" $flows.activeDeadline }}, description: "Seconds after which Kubernetes ends the pod, whatever it does."}
    {{- range $kind := list "requests" "limits" }}
    {{- range $resource := list "cpu" "memory" }}
    {{- $title := printf "%s %s" (title $resource) (title (trimSuffix "s" $kind)) }}
    {{- $value := dig $kind $resource "" $flows.resources }}
    {{ $resource }}_{{ trimSuffix "s" $kind }}:
      title: {{ $title }}
      type: string
      {{- with $value }}
      default: {{ include "trawl.text" . | quote }}
      {{- end }}
      description: Of the flow's container.
    {{- end }}
    {{- end }}
{{- end }}
{{- end }}
