#!/usr/bin/env bash
# Changes the version of Kubernetes, whose code judges manifests and whose programs make the tests' cluster.
#
#     scripts/renew-kubernetes.sh 1.36.4
set -euo pipefail
new=${1#1.}
cd "$(dirname "$0")/../test/fixtures/kubernetes"
old=$(sed -n 's/^\tk8s\.io\/kubernetes v1\.//p' go.mod)
# The modules that Kubernetes publishes beside itself have its version with a 0 in front.
sed -i -E "/k8s\.io\//s/ v([01])\.${old//./\\.}$/ v\1.$new/" go.mod
go mod tidy
