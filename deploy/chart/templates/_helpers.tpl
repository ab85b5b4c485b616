{{- define "webhook.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* 59 characters: "-tls", the longest ending in a name limited to 63, has to fit. */}}
{{- define "webhook.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 59 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "webhook.name" . -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 59 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 59 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "webhook.selector" -}}
app.kubernetes.io/name: {{ include "webhook.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "webhook.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "webhook.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "webhook.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "webhook.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "webhook.secret" -}}
{{- if .Values.certificates.secretName -}}
{{- .Values.certificates.secretName -}}
{{- else if eq .Values.certificates.mode "secret" -}}
{{- fail "certificates.mode secret: give certificates.secretName, a Secret of type kubernetes.io/tls in this namespace" -}}
{{- else -}}
{{- include "webhook.fullname" . -}}-tls
{{- end -}}
{{- end -}}

{{- define "webhook.dnsName" -}}
{{ include "webhook.fullname" . }}.{{ .Release.Namespace }}.svc
{{- end -}}

{{/* What would render and not do what was meant. */}}
{{- define "webhook.check" -}}
{{- if and .Values.clientAuth.names (not .Values.clientAuth.secretName) -}}
{{- fail "clientAuth.names: give clientAuth.secretName too, the Secret with their CA; without it nobody is asked for a certificate" -}}
{{- end -}}
{{- if eq (int .Values.ports.https) (int .Values.ports.metrics) -}}
{{- fail (printf "ports.https and ports.metrics are both %d: give two ports" (int .Values.ports.https)) -}}
{{- end -}}
{{- end -}}

{{- define "webhook.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}
{{- end -}}

{{/* The targets' namespaces, each once, in order; as JSON. */}}
{{- define "webhook.namespaces" -}}
{{- $names := list -}}
{{- range .Values.targets -}}
{{- if eq .namespace $.Release.Namespace -}}
{{- fail (printf "targets: %s is the webhook's own namespace; a webhook that judges its own namespace could block its own repair" .namespace) -}}
{{- end -}}
{{- $names = append $names .namespace -}}
{{- end -}}
{{- $names | uniq | sortAlpha | toJson -}}
{{- end -}}

{{/* Called for every webhook: what they have in common. */}}
{{- define "webhook.call" -}}
admissionReviewVersions: [v1]
clientConfig:
  service:
    name: {{ include "webhook.fullname" .root }}
    namespace: {{ .root.Release.Namespace }}
    path: {{ .path }}
    port: {{ .root.Values.service.port }}
failurePolicy: {{ .failurePolicy }}
matchPolicy: Equivalent
sideEffects: None
timeoutSeconds: {{ .root.Values.webhooks.timeoutSeconds }}
{{- end -}}

{{/* The name that a user reads in a refusal: container and namespace, with a number where
     two targets have both in common. */}}
{{- define "webhook.targetName" -}}
{{- $target := index .root.Values.targets .index -}}
{{- $same := 0 -}}
{{- range $i, $other := .root.Values.targets -}}
{{- if and (lt $i $.index) (eq $other.namespace $target.namespace) (eq $other.container $target.container) -}}
{{- $same = add1 $same -}}
{{- end -}}
{{- end -}}
{{- $target.container -}}{{- if $same }}-{{ add1 $same }}{{ end -}}.{{ $target.namespace }}
{{- end -}}

{{- define "webhook.configurationAnnotations" -}}
{{/* AKS otherwise rewrites namespaceSelector, which Helm and Argo CD then fight. */ -}}
admissions.enforcer/disabled: "true"
{{- if eq .Values.certificates.mode "certManager" }}
cert-manager.io/inject-ca-from: {{ .Release.Namespace }}/{{ include "webhook.fullname" . }}
{{- end }}
{{- with .Values.webhooks.annotations }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* A map without its nulls, as YAML; nothing where nothing is left. */}}
{{- define "webhook.given" -}}
{{- $given := dict -}}
{{- range $key, $value := . -}}
{{- if $value -}}{{- $_ := set $given $key $value -}}{{- end -}}
{{- end -}}
{{- if $given -}}{{- toYaml $given -}}{{- end -}}
{{- end -}}
