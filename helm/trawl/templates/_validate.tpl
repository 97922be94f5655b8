{{/*
What the schema cannot say. Each message names the value and what to write. Called by a template that is always rendered.
*/}}
{{- define "trawl.validate" -}}
{{- $v := .Values }}
{{- $wrong := list }}
{{- if and (gt (int $v.server.replicas) 1) (not $v.highAvailability) }}
{{- $wrong = append $wrong (printf "server.replicas: %d servers share events and leases through Valkey; set highAvailability: true, or server.replicas: 1" (int $v.server.replicas)) }}
{{- end }}
{{- if and $v.valkey.external.host (not $v.highAvailability) }}
{{- $wrong = append $wrong "valkey.external.host: Valkey is used by highAvailability alone; set highAvailability: true, or leave the host empty" }}
{{- end }}
{{- range $store, $set := dict "postgres" $v.postgres.external.host "valkey" $v.valkey.external.host "s3" (ternary "" $v.s3.external.endpoint (eq $v.s3.external.endpoint "aws")) }}
{{- if and $set (not (get $v.existingSecrets $store)) }}
{{- $wrong = append $wrong (printf "%s.external: nobody but you knows its password; put it into a Secret, and name that in existingSecrets.%s" $store $store) }}
{{- end }}
{{- end }}
{{- if and $v.server.external.url (or $v.postgres.external.host $v.highAvailability) }}
{{- $wrong = append $wrong "server.external.url: the chart then runs no server; postgres.external.host and highAvailability say how it would. Leave them empty" }}
{{- end }}
{{- if not (hasKey $v.workPools $v.defaultWorkPool) }}
{{- $wrong = append $wrong (printf "defaultWorkPool: there is no pool %q in workPools; write one of: %s" $v.defaultWorkPool (keys $v.workPools | sortAlpha | join ", ")) }}
{{- end }}
{{- range $name, $source := $v.sources }}
{{- if and $source.workPool (not (hasKey $v.workPools $source.workPool)) }}
{{- $wrong = append $wrong (printf "sources.%s.workPool: there is no pool %q in workPools; write one of: %s" $name $source.workPool (keys $v.workPools | sortAlpha | join ", ")) }}
{{- end }}
{{- end }}
{{- $used := dict }}
{{- range $kind, $name := $v.existingSecrets }}
{{- if and $name (hasKey $used $name) }}
{{- $wrong = append $wrong (printf "existingSecrets.%s: the Secret %q is that of %s already; give each its own" $kind $name (get $used $name)) }}
{{- end }}
{{- $_ := set $used $name $kind }}
{{- end }}
{{- range $kind := list "api" "postgres" "minio" "s3" "valkey" }}
{{- $own := include "trawl.name" (list $ $kind) }}
{{- range $other, $name := $v.existingSecrets }}
{{- if and (eq $name $own) (ne $other $kind) (not (get $v.existingSecrets $kind)) }}
{{- $wrong = append $wrong (printf "existingSecrets.%s: %q is the Secret that the chart makes for %s; give another" $other $name $kind) }}
{{- end }}
{{- end }}
{{- end }}
{{- if and $v.backup.external.endpoint (not $v.backup.existingSecret) }}
{{- $wrong = append $wrong "backup.external: nobody but you knows its keys; put them into a Secret (access-key, secret-key), and name that in backup.existingSecret" }}
{{- end }}
{{- if and $v.backup.existingSecret (include "trawl.runs.minio" .) (not $v.backup.external.endpoint) }}
{{- $wrong = append $wrong "backup.existingSecret: the chart's own MinIO is written to by its root user; give backup.external.endpoint too, or no Secret" }}
{{- end }}
{{- if has $v.backup.bucket (list $v.s3.lakeBucket $v.s3.resultsBucket) }}
{{- if not $v.backup.external.endpoint }}
{{- $wrong = append $wrong (printf "backup.bucket: %q is where the lake or results are already; give backups a bucket of their own" $v.backup.bucket) }}
{{- end }}
{{- end }}
{{- if and $v.ingress.enabled (not $v.ingress.host) }}
{{- $wrong = append $wrong "ingress.host: an Ingress without a host would take everybody's requests; write trawl.example.com" }}
{{- end }}
{{- if and $v.httpRoute.enabled (not $v.httpRoute.parentRefs) }}
{{- $wrong = append $wrong "httpRoute.parentRefs: an HTTPRoute needs a Gateway; write [{name: ..., namespace: ...}]" }}
{{- end }}
{{- if and $v.server.external.url (or $v.ingress.enabled $v.httpRoute.enabled) }}
{{- $wrong = append $wrong "server.external.url: the chart then has no server to which ingress or httpRoute could lead; switch them off" }}
{{- end }}
{{- range $part := list "serviceMonitor" "rules" "dashboard" }}
{{- if and (get $v.metrics $part).enabled (not $v.metrics.enabled) }}
{{- $wrong = append $wrong (printf "metrics.%s: there are no metrics to read; set metrics.enabled: true, or metrics.%s.enabled: false" $part $part) }}
{{- end }}
{{- end }}
{{- with $wrong }}
{{- fail (printf "\n\nThese values are wrong:\n  - %s\n" (join "\n  - " .)) }}
{{- end }}
{{- end }}
