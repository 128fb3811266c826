{{/* The labels of every object. The name is fixed: a node has one nodens, whatever the release is called. */}}
{{- define "nodens.labels" -}}
app.kubernetes.io/name: nodens
app.kubernetes.io/part-of: nodens
k8s-app: nodens
{{- end }}

{{/* "true" where nodens is in the node's network, else "". */}}
{{- define "nodens.hostNetwork" -}}
{{- if not (has .Values.mode (list "service" "cilium-local-redirect")) }}true{{ end }}
{{- end }}

{{/* "true" where nodens has addresses of its own, else "". */}}
{{- define "nodens.hasOwnAddress" -}}
{{- if has .Values.mode (list "link-local" "intercept") }}true{{ end }}
{{- end }}

{{/* "true" where nodens changes the node's network, else "". */}}
{{- define "nodens.networkAdmin" -}}
{{- if or (include "nodens.hasOwnAddress" .) (and (eq .Values.mode "host-ip") .Values.hostIP.networkAdmin) }}true{{ end }}
{{- end }}

{{/* "true" where nodens only watches, for which it reads copies of packets, else "". */}}
{{- define "nodens.readsPackets" -}}
{{- if eq .Values.mode "observe" }}true{{ end }}
{{- end }}

{{- define "nodens.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end }}
{{- end }}
{{- end }}

{{/* The settings file of the mode, as the kustomize components have it. */}}
{{- define "nodens.modeSettings" -}}
{{- $folder := printf "components/%s" .Values.mode }}
{{- if eq .Values.mode "host-ip" }}
{{- $folder = "base" }}
{{- else if not (include "nodens.hostNetwork" .) }}
{{- $folder = "components/pod-network" }}
{{- end }}
{{- .Files.Get (printf "files/%s/nodens.yaml" $folder) }}
{{- end }}

{{/* The settings file: that of the mode, with the values laid over it. */}}
{{- define "nodens.settings" -}}
{{- $text := include "nodens.modeSettings" . }}
{{- if .Values.settings }}
{{- $settings := mergeOverwrite (fromYaml $text) (deepCopy .Values.settings) }}
{{- $seconds := include "nodens.gracePeriodSeconds" . | int }}
{{- if ne $seconds 15 }}
{{- $_ := set $settings "shutdown" (merge (dict "gracePeriodSeconds" $seconds) ($settings.shutdown | default dict)) }}
{{- end }}
{{- $settings | toYaml }}
{{- else }}
{{- $text | trim }}
{{- end }}
{{- end }}

{{/* The port at the end of an address in the settings; Service, probes and policies follow it. Give (list PATH ADDRESS). */}}
{{- define "nodens.portOf" -}}
{{- regexFind "[0-9]+$" (last .) | required (printf "settings.%s must end in a port" (first .)) }}
{{- end }}

{{- define "nodens.metricsPort" -}}
{{- $settings := include "nodens.settings" . | fromYaml }}
{{- include "nodens.portOf" (list "admin.address" $settings.admin.address) }}
{{- end }}

{{/* For a Prometheus that finds pods by their annotations. */}}
{{- define "nodens.scrapeAnnotations" -}}
prometheus.io/scrape: "true"
prometheus.io/port: {{ include "nodens.metricsPort" . | quote }}
prometheus.io/path: /metrics
{{- end }}

{{/* Where nodens answers in the pod network. */}}
{{- define "nodens.dnsPort" -}}
{{- $settings := include "nodens.settings" . | fromYaml }}
{{- include "nodens.portOf" (list "listen.addresses" (first $settings.listen.addresses)) }}
{{- end }}

{{/*
The first address of nodens's own that pods of this cluster reach: of the DNS Service's family. Refuses to guess: the default is IPv4
alone, and nobody but the user knows a free IPv6 address.
*/}}
{{- define "nodens.ownAddress" -}}
{{- $settings := include "nodens.settings" . | fromYaml }}
{{- $isIPv6 := contains ":" .Values.clusterDNS.serviceIP }}
{{- $own := "" }}
{{- range $settings.attach.addresses }}
{{- if and (not $own) (eq (contains ":" .) $isIPv6) }}{{ $own = . }}{{ end }}
{{- end }}
{{- if not $own }}
{{- fail (printf "settings.attach.addresses needs an address of the family of clusterDNS.serviceIP (%s); for IPv6 choose a ULA such as fd00:20::10" .Values.clusterDNS.serviceIP) }}
{{- end }}
{{- $own }}
{{- end }}

{{/*
The time that the pod has to end, as the settings name it, or else enough for shutdown.drainMs and for what is still being asked. Refuses
what nodens would refuse.
*/}}
{{- define "nodens.gracePeriodSeconds" -}}
{{- $ofMode := include "nodens.modeSettings" . | fromYaml }}
{{- $drainMs := dig "shutdown" "drainMs" (dig "shutdown" "drainMs" 5000 $ofMode) .Values.settings | int }}
{{- $deadlineMs := dig "upstream" "deadlineMs" 4500 .Values.settings | int }}
{{- $seconds := dig "shutdown" "gracePeriodSeconds" 0 .Values.settings | int }}
{{- if and $seconds (gt (add $drainMs 2000) (mul $seconds 1000)) }}
{{- fail (printf "settings.shutdown.drainMs (%d) leaves less than 2000 ms of settings.shutdown.gracePeriodSeconds (%d); leave that out, and it fits" $drainMs $seconds) }}
{{- end }}
{{- $seconds | default (max (dig "shutdown" "gracePeriodSeconds" 15 $ofMode) (add 5 (div (add $drainMs $deadlineMs) 1000))) }}
{{- end }}

{{/* What the policy writes into pods; refuses to guess, because a wrong address would leave them without DNS. */}}
{{- define "nodens.injectedNameservers" -}}
{{- if .Values.inject.nameservers }}
{{- .Values.inject.nameservers }}
{{- else if include "nodens.hasOwnAddress" . }}
{{- include "nodens.ownAddress" . }}
{{- else if and (eq .Values.mode "service") .Values.service.clusterIP }}
{{- .Values.service.clusterIP }}
{{- else }}
{{- fail (printf "inject.nameservers is needed with mode %s: nodens has no address that is known in advance" .Values.mode) }}
{{- end }}
{{- end }}

{{- define "nodens.configMapData" -}}
KUBE_DNS_IP: {{ .Values.clusterDNS.serviceIP | quote }}
CLUSTER_DOMAIN: {{ .Values.clusterDNS.domain | quote }}
nodens.yaml: |
  {{- include "nodens.settings" . | nindent 2 }}
{{- end }}

{{/* "nodens-" and a hash of the content, in kustomize's letters, which spell no words. */}}
{{- define "nodens.configMapName" -}}
{{- $hash := include "nodens.configMapData" . | sha256sum | trunc 10 -}}
nodens-{{ $hash | replace "0" "g" | replace "1" "h" | replace "3" "k" | replace "a" "m" | replace "e" "t" }}
{{- end }}

{{/*
The resources that a kustomize component and those that it builds on name in their kustomization.yaml, in the release's namespace. Give
(dict "root" $ "component" "NAME" "labels" LABELS); the labels are more of them.
*/}}
{{- define "nodens.component" -}}
{{- $root := .root }}
{{- $labels := .labels | default dict }}
{{- $patches := .patches | default list }}
{{- $folder := printf "files/components/%s" .component }}
{{- $kustomization := $root.Files.Get (printf "%s/kustomization.yaml" $folder) | fromYaml }}
{{- range $kustomization.patches }}
{{- $patches = append $patches ($root.Files.Get (printf "%s/%s" $folder .path) | fromYaml) }}
{{- end }}
{{- range $kustomization.components }}
{{- include "nodens.component" (dict "root" $root "component" (base .) "labels" $labels "patches" $patches) }}
{{- end }}
{{- range $kustomization.resources }}
{{- $object := $root.Files.Get (printf "%s/%s" $folder .) | fromYaml }}
{{- range $patches }}
{{- if and (eq .kind $object.kind) (eq .metadata.name $object.metadata.name) }}
{{- include "nodens.patch" (list $object .) }}
{{- end }}
{{- end }}
{{- if $object.metadata.namespace }}
{{- $_ := set $object.metadata "namespace" $root.Release.Namespace }}
{{- end }}
{{- $_ := set $object.metadata "labels" (merge (dict) $labels ($object.metadata.labels | default dict)) }}
{{- range dig "spec" "redirectBackend" "toPorts" list $object }}
{{- $_ := set . "port" (include "nodens.dnsPort" $root) }}
{{- end }}
{{- range $object.subjects }}
{{- $_ := set . "namespace" $root.Release.Namespace }}
{{- end }}
{{- if and (eq $object.kind "NodeReadinessRule") $root.Values.nodeSelector }}
{{- $_ := set $object.spec.nodeSelector "matchLabels" $root.Values.nodeSelector }}
{{- end }}
{{- with dig "spec" "template" "spec" dict $object }}
{{- range concat (.initContainers | default list) .containers }}
{{- $_ := set . "image" (include "nodens.image" $root) }}
{{- $_ := set . "imagePullPolicy" $root.Values.image.pullPolicy }}
{{- end }}
{{- range $key := list "nodeSelector" "affinity" }}
{{- with index $root.Values $key }}
{{- $_ := set $object.spec.template.spec $key . }}
{{- end }}
{{- end }}
{{- if $root.Values.imagePullSecrets }}
{{- $_ := set . "imagePullSecrets" $root.Values.imagePullSecrets }}
{{- end }}
{{- end }}
{{- with dig "spec" "paramRef" dict $object }}
{{- $_ := set . "namespace" $root.Release.Namespace }}
{{- end }}
---
{{ toYaml $object }}
{{ end }}
{{- end }}

{{/* Lays a patch of a component over the object, as far as patches there go: a role's rules, and init containers by name. */}}
{{- define "nodens.patch" -}}
{{- $object := first . }}
{{- $patch := last . }}
{{- with $patch.rules }}
{{- $_ := set $object "rules" . }}
{{- end }}
{{- range $changed := dig "spec" "template" "spec" "initContainers" list $patch }}
{{- range $object.spec.template.spec.initContainers }}
{{- if eq .name $changed.name }}
{{- $_ := mergeOverwrite . $changed }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
