#!/usr/bin/env bash
# Installs kustomize and helm, which render the manifests in tests, with Go: into the folder given, or where Go puts programs.
# Nothing is done for one that is there in the version wanted. The tests find them on the PATH and in Go's folder. Also compiles
# a Prometheus that discovers pods, and the code of the API server that the tests judge manifests with: minutes the first time,
# which no test then waits for.
set -euo pipefail

kustomize=sigs.k8s.io/kustomize/kustomize/v5
helm=helm.sh/helm/v3/cmd/helm
declare -A versions=(["$kustomize"]=v5.8.2 ["$helm"]=v3.22.0)

PATH=$PATH:/usr/local/go/bin
if ! command -v go >/dev/null; then
  echo "install-deploy-tools: needs Go" >&2
  exit 1
fi
folder=${1:-${GOBIN:-$(go env GOPATH)/bin}}
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)

for package in "$kustomize" "$helm"; do
  program=$folder/$(basename "${package%/v5}")
  if [ -x "$program" ] && go version -m "$program" | grep -q "^	mod	.*	${versions[$package]}\b"; then
    continue
  fi
  echo "installing $package@${versions[$package]} into $folder"
  GOBIN=$folder go install "$package@${versions[$package]}"
done

cd "$(dirname "$0")/../test/fixtures/prometheus"
go build -buildvcs=false -tags=remove_all_sd,enable_kubernetes_sd -o "$folder/prometheus-with-pods" \
  github.com/prometheus/prometheus/cmd/prometheus

cd ../kubernetes
CGO_ENABLED=0 go build -buildvcs=false -trimpath -o /dev/null .
