{{/* Who else may open the UI. */}}
{{- define "trawl.uiPeers" -}}
{{- if or .Values.ingress.enabled .Values.httpRoute.enabled }}
- namespaceSelector: {}
{{- end }}
{{- with .Values.networkPolicy.serverFrom }}
{{ toYaml . }}
{{- end }}
{{- if not (or .Values.ingress.enabled .Values.httpRoute.enabled .Values.networkPolicy.serverFrom) }}
[]
{{- end }}
{{- end }}

{{/*
A rule of egress: include "trawl.reach" (list . "minio"). What runs elsewhere may have any address but the
metadata service's, at its own port.
*/}}
{{- define "trawl.reach" -}}
{{- $root := first . }}
{{- $v := $root.Values }}
{{- $to := last . }}
{{- $external := dict
  "postgres" (ternary (toString (int $v.postgres.external.port)) "" (ne $v.postgres.external.host ""))
  "valkey" (ternary (toString (int $v.valkey.external.port)) "" (ne $v.valkey.external.host ""))
  "minio" (include "trawl.portOf" (ternary "https://aws" $v.s3.external.endpoint (eq $v.s3.external.endpoint "aws")))
  "server" (include "trawl.portOf" $v.server.external.url)
  "backup" (include "trawl.portOf" (ternary "https://aws" $v.backup.external.endpoint (eq $v.backup.external.endpoint "aws")))
}}
{{- $ports := dict "postgres" 5432 "valkey" 6379 "minio" 9000 "server" 4200 }}
{{- if eq $to "internet" }}
- to:
    - ipBlock:
        cidr: 0.0.0.0/0
        except: [0.0.0.0/8, 10.0.0.0/8, 100.64.0.0/10, 127.0.0.0/8, 169.254.0.0/16, 172.16.0.0/12, 192.168.0.0/16, 198.18.0.0/15, 224.0.0.0/3]
    - ipBlock: {cidr: "2000::/3"}
{{- else if eq $to "allowed" }}
{{- if or $v.networkPolicy.allowedCidrs $v.networkPolicy.flowsTo }}
- to:
    {{- range $v.networkPolicy.allowedCidrs }}
    - ipBlock: {cidr: {{ . | quote }}}
    {{- end }}
    {{- with $v.networkPolicy.flowsTo }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}
{{- else if eq $to "kubernetes" }}
- to: [{ipBlock: {cidr: {{ $v.networkPolicy.apiServer.cidr | quote }}}}]
  ports:
    {{- range $v.networkPolicy.apiServer.ports }}
    - {protocol: TCP, port: {{ . }}}
    {{- end }}
{{- else if get $external $to }}
- to:
    - ipBlock: {cidr: 0.0.0.0/0, except: [169.254.0.0/16]}
    - ipBlock: {cidr: "::/0"}
  ports: [{protocol: TCP, port: {{ get $external $to }}}]
{{- else }}
- to:
    - podSelector:
        matchLabels: {{- include "trawl.podLabels" (list $root $to) | nindent 10 }}
  ports: [{protocol: TCP, port: {{ get $ports $to }}}]
{{- end }}
{{- end }}

{{/* The port of a URL, nothing of an empty one. */}}
{{- define "trawl.portOf" -}}
{{- with . }}
{{- $url := urlParse . }}
{{- with regexFind ":[0-9]+$" $url.host }}{{ trimPrefix ":" . }}{{ else }}{{ ternary "443" "80" (eq $url.scheme "https") }}{{ end }}
{{- end }}
{{- end }}
