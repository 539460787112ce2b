{{/* Labels of everything that this chart makes. */}}
{{- define "usher.labels" -}}
app.kubernetes.io/name: usher
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* What selects the pods. It never changes. */}}
{{- define "usher.selector" -}}
app.kubernetes.io/name: usher
app.kubernetes.io/component: operator
{{- end }}

{{- define "usher.image" -}}
{{- $image := .Values.image -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ $image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{/* Usher, as a subject of bindings. */}}
{{- define "usher.subject" -}}
kind: ServiceAccount
name: usher
namespace: {{ .Release.Namespace }}
{{- end }}
