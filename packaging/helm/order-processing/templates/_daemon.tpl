{{/* All that a daemon is, but for its migration and its network policy. */}}
{{- define "order-processing.daemon" -}}
{{- $metrics := ternary 9464 9465 (eq .name "order") -}}
{{- $scheme := ternary "HTTPS" "HTTP" (ne .root.Values.tls.secretName "") -}}
{{- $files := dict -}}
{{- range $setting, $key := .values.secretFiles }}{{ if $key }}{{ $_ := set $files $setting $key }}{{ end }}{{ end -}}
{{- $webhookCa := ternary .root.Values.webhookCa.secretName "" (eq .name "order") -}}
{{- $secrets := and .root.Values.secretName $files -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "order-processing.fullname" . }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "order-processing.labels" . | nindent 4 }}
spec:
  {{- if not .values.autoscaling.enabled }}
  replicas: {{ .values.replicas }}
  {{- end }}
  strategy:
    rollingUpdate: { maxUnavailable: 0, maxSurge: 1 }
  selector:
    matchLabels: {{- include "order-processing.selector" . | nindent 6 }}
  template:
    metadata:
      labels: {{- include "order-processing.labels" . | nindent 8 }}
      {{- with .values.podAnnotations }}
      annotations: {{- toYaml . | nindent 8 }}
      {{- end }}
    spec:
      serviceAccountName: {{ include "order-processing.account" .root }}
      {{- include "order-processing.podSecurity" . | nindent 6 }}
      {{- with .values.priorityClassName }}
      priorityClassName: {{ . }}
      {{- end }}
      terminationGracePeriodSeconds: {{ .root.Values.terminationGracePeriodSeconds }}
      affinity:
        podAntiAffinity:
          preferredDuringSchedulingIgnoredDuringExecution:
            - weight: 100
              podAffinityTerm:
                topologyKey: kubernetes.io/hostname
                labelSelector:
                  matchLabels: {{- include "order-processing.selector" . | nindent 20 }}
      topologySpreadConstraints:
        - maxSkew: 1
          topologyKey: topology.kubernetes.io/zone
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels: {{- include "order-processing.selector" . | nindent 14 }}
      {{- with .values.nodeSelector }}
      nodeSelector: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .values.tolerations }}
      tolerations: {{- toYaml . | nindent 8 }}
      {{- end }}
      containers:
        - name: {{ .name }}-svc
          image: {{ include "order-processing.image" . }}
          imagePullPolicy: {{ .root.Values.image.pullPolicy }}
          args: [{{ .name }}-svc]
          env:
            - name: {{ upper .name }}_SERVICE_PORT
              value: {{ .values.service.port | quote }}
            - name: METRICS_PORT
              value: {{ $metrics | quote }}
            - name: METRICS_BIND_ADDRESS
              value: 0.0.0.0
            {{- include "order-processing.environment" . | nindent 12 }}
            {{- if $secrets }}
            {{- range $setting, $key := $files }}
            - name: {{ $setting }}_FILE
              value: /run/secrets/order-processing/{{ $key }}
            {{- end }}
            {{- end }}
            {{- if .values.jwtKeysSecretName }}
            - name: JWT_KEYS
              value: /run/secrets/keys
            {{- end }}
            {{- if .root.Values.tls.secretName }}
            - name: TLS_CERT_FILE
              value: /run/secrets/tls/tls.crt
            - name: TLS_KEY_FILE
              value: /run/secrets/tls/tls.key
            {{- end }}
            {{- if .root.Values.ca.secretName }}
            - name: DB_SSLROOTCERT
              value: /run/secrets/ca/ca.crt
            {{- if eq .name "order" }}
            - name: REDIS_CA_FILE
              value: /run/secrets/ca/ca.crt
            {{- end }}
            {{- end }}
            {{- if $webhookCa }}
            - name: WEBHOOK_CA_FILE
              value: /run/secrets/webhook-ca/ca.crt
            {{- end }}
          ports:
            - { name: http, containerPort: {{ .values.service.port }} }
            - { name: metrics, containerPort: {{ $metrics }} }
          startupProbe:
            httpGet: { path: /health/live, port: http, scheme: {{ $scheme }} }
            periodSeconds: 1
            failureThreshold: 60
          livenessProbe:
            httpGet: { path: /health/live, port: http, scheme: {{ $scheme }} }
            periodSeconds: 10
            timeoutSeconds: 3
          readinessProbe:
            httpGet: { path: /health/ready, port: http, scheme: {{ $scheme }} }
            periodSeconds: 2
            timeoutSeconds: 2 # when the machines are busy, all Pods answer late, and then there is none left
            failureThreshold: 3
          resources: {{- toYaml .values.resources | nindent 12 }}
          securityContext: {{- include "order-processing.containerSecurity" . | nindent 12 }}
          {{- if or $secrets .values.jwtKeysSecretName .root.Values.tls.secretName .root.Values.ca.secretName $webhookCa }}
          volumeMounts:
            {{- if $secrets }}
            - { name: secrets, mountPath: /run/secrets/order-processing, readOnly: true }
            {{- end }}
            {{- if .values.jwtKeysSecretName }}
            - { name: keys, mountPath: /run/secrets/keys, readOnly: true }
            {{- end }}
            {{- if .root.Values.tls.secretName }}
            - { name: tls, mountPath: /run/secrets/tls, readOnly: true }
            {{- end }}
            {{- if .root.Values.ca.secretName }}
            - { name: ca, mountPath: /run/secrets/ca, readOnly: true }
            {{- end }}
            {{- if $webhookCa }}
            - { name: webhook-ca, mountPath: /run/secrets/webhook-ca, readOnly: true }
            {{- end }}
          {{- end }}
      {{- if or $secrets .values.jwtKeysSecretName .root.Values.tls.secretName .root.Values.ca.secretName $webhookCa }}
      volumes: # readable by the group of the Pod
        {{- if $secrets }}
        - name: secrets
          secret:
            secretName: {{ .root.Values.secretName }}
            defaultMode: 0440
            items:
              {{- range $key := values $files | uniq | sortAlpha }}
              - { key: {{ $key }}, path: {{ $key }} }
              {{- end }}
        {{- end }}
        {{- if .values.jwtKeysSecretName }}
        - name: keys
          secret: { secretName: {{ .values.jwtKeysSecretName }}, defaultMode: 0440 }
        {{- end }}
        {{- if .root.Values.tls.secretName }}
        - name: tls
          secret: { secretName: {{ .root.Values.tls.secretName }}, defaultMode: 0440 }
        {{- end }}
        {{- if .root.Values.ca.secretName }}
        - name: ca
          secret: { secretName: {{ .root.Values.ca.secretName }}, defaultMode: 0440, items: [{ key: ca.crt, path: ca.crt }] }
        {{- end }}
        {{- if $webhookCa }}
        - name: webhook-ca
          secret: { secretName: {{ $webhookCa }}, defaultMode: 0440, items: [{ key: ca.crt, path: ca.crt }] }
        {{- end }}
      {{- end }}
---
apiVersion: v1
kind: Service
metadata:
  name: {{ include "order-processing.fullname" . }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "order-processing.labels" . | nindent 4 }}
  {{- with .values.service.annotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  type: {{ .values.service.type }}
  selector: {{- include "order-processing.selector" . | nindent 4 }}
  ports:
    - { name: http, port: {{ .values.service.port }}, targetPort: http }
---
# the metrics of each replica, which no load balancer may reach
apiVersion: v1
kind: Service
metadata:
  name: {{ include "order-processing.fullname" . }}-metrics
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "order-processing.labels" . | nindent 4 }}
    order-processing/metrics: "true"
spec:
  clusterIP: None
  publishNotReadyAddresses: true # an alert must see a replica that is not ready
  selector: {{- include "order-processing.selector" . | nindent 4 }}
  ports:
    - { name: metrics, port: {{ $metrics }}, targetPort: metrics }
{{- if .values.podDisruptionBudget.enabled }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "order-processing.fullname" . }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "order-processing.labels" . | nindent 4 }}
spec:
  maxUnavailable: {{ .values.podDisruptionBudget.maxUnavailable }}
  selector:
    matchLabels: {{- include "order-processing.selector" . | nindent 6 }}
{{- end }}
{{- with .values.autoscaling }}
{{- if .enabled }}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: {{ include "order-processing.fullname" $ }}
  namespace: {{ $.root.Release.Namespace }}
  labels: {{- include "order-processing.labels" $ | nindent 4 }}
spec:
  scaleTargetRef: { apiVersion: apps/v1, kind: Deployment, name: {{ include "order-processing.fullname" $ }} }
  minReplicas: {{ .minReplicas }}
  maxReplicas: {{ .maxReplicas }}
  metrics:
    - type: Resource
      resource:
        name: cpu
        target: { type: Utilization, averageUtilization: {{ .cpu }} }
    {{- if .queue.metric }}
    # the messages that wait for this daemon
    - type: External
      external:
        metric:
          name: {{ .queue.metric }}
          selector:
            matchLabels:
              {{- $settings := fromYaml (include "order-processing.settings" $) }}
              {{- if eq $.name "order" }}
              messaging_destination_name: {{ get $settings "DELIVERY_STATUS_QUEUE" | default "delivery-status-queue.fifo" }}
              {{- else }}
              messaging_destination_name: {{ get $settings "ORDERS_QUEUE" | default "orders-queue.fifo" }}
              {{- end }}
              state: visible
        target: { type: AverageValue, averageValue: {{ .queue.perReplica | quote }} }
    {{- end }}
{{- end }}
{{- end }}
{{- end }}
