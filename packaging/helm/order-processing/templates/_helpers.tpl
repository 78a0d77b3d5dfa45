{{/* Each takes a daemon: (dict "root" $ "name" "order" "values" .Values.order); see order-processing.daemons. */}}

{{/* The name of what belongs to a daemon: <release>-order-svc, or <release>-order-processing-order-svc. */}}
{{- define "order-processing.fullname" -}}
{{- $name := .root.Release.Name -}}
{{- if not (contains .root.Chart.Name $name) }}{{ $name = printf "%s-%s" $name .root.Chart.Name }}{{ end -}}
{{- printf "%s-%s-svc" (trunc 40 $name | trimSuffix "-") .name -}}
{{- end }}

{{- define "order-processing.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component | default (printf "%s-svc" .name) }}
{{- end }}

{{- define "order-processing.labels" -}}
{{ include "order-processing.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{- define "order-processing.account" -}}
{{- $default := ternary .Release.Name "default" .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default $default -}}
{{- end }}

{{- define "order-processing.image" -}}
{{- with .root.Values.image -}}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ .tag | default $.root.Chart.AppVersion }}{{ end -}}
{{- end -}}
{{- end }}

{{/* The settings of a daemon, as a map in YAML. A secret among them is an error, unless it is for development. */}}
{{- define "order-processing.settings" -}}
{{- $settings := dict -}}
{{- range $all := list .root.Values.settings .values.settings -}}{{/* merge would pass over false, 0 and "" */}}
{{- range $name, $value := $all }}{{ $_ := set $settings $name $value }}{{ end -}}
{{- end -}}
{{- if ne (get $settings "APP_ENV") "development" -}}
{{- range $name := list "JWT_SECRET" "WEBHOOK_SECRETS_KEY" "DB_PASSWORD" "REDIS_PASSWORD" "AWS_ACCESS_KEY_ID" "AWS_SECRET_ACCESS_KEY" "AWS_SESSION_TOKEN" "AWS_CONTAINER_AUTHORIZATION_TOKEN" "OTEL_EXPORTER_OTLP_HEADERS" "OTEL_EXPORTER_OTLP_TRACES_HEADERS" -}}
{{- if hasKey $settings $name }}{{ fail (printf "%s is a secret: put it into the Secret, and its key into secretFiles" $name) }}{{ end -}}
{{- end -}}
{{- end -}}
{{- range $name := list "ORDER_SERVICE_PORT" "DELIVERY_SERVICE_PORT" "METRICS_PORT" "METRICS_BIND_ADDRESS" -}}
{{- if hasKey $settings $name }}{{ fail (printf "%s is set by the chart" $name) }}{{ end -}}
{{- end -}}
{{- toYaml $settings -}}
{{- end }}

{{/* A setting in quotes. A large number is no 1e+06. */}}
{{- define "order-processing.text" -}}
{{ if kindIs "string" . }}{{ . | quote }}{{ else }}{{ toJson . | quote }}{{ end }}
{{- end }}

{{/* The environment of a daemon from its settings: without secrets. */}}
{{- define "order-processing.environment" -}}
{{- range $name, $value := fromYaml (include "order-processing.settings" .) }}
- name: {{ $name }}
  value: {{ include "order-processing.text" $value }}
{{- end }}
{{- end }}

{{/* Restricted: https://kubernetes.io/docs/concepts/security/pod-security-standards */}}
{{- define "order-processing.podSecurity" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: { type: RuntimeDefault }
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- end }}

{{- define "order-processing.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
privileged: false
capabilities: { drop: [ALL] }
{{- end }}

{{/* The ports of PostgreSQL and of its pooler, of a map of settings, separated by commas. */}}
{{- define "order-processing.databasePorts" -}}
{{- $ports := get . "DB_PORT" | default "5432" | toString -}}
{{- if get . "DB_DIRECT_HOST" }}{{ $ports = printf "%s,%s" $ports (get . "DB_DIRECT_PORT" | default "5432" | toString) }}{{ end -}}
{{- $ports -}}
{{- end }}

{{/* The port of a URL. */}}
{{- define "order-processing.portOf" -}}
{{- $url := urlParse . -}}
{{- $port := regexFind ":[0-9]+$" $url.host | trimPrefix ":" -}}
{{- $port | default (ternary "443" "80" (eq $url.scheme "https")) -}}
{{- end }}
