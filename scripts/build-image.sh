#!/usr/bin/env bash
# Builds the image with buildah, without a container engine, from the Dockerfile as it is.
#
#     scripts/build-image.sh STORAGE TAG
#
# STORAGE is a folder for buildah's images, the base among them (see build-test-base.sh) or fetched from a registry.
set -euo pipefail
cd "$(dirname "$0")/.."
storage=$1
tag=$2
buildah --root "$storage/root" --runroot "$storage/run" --storage-driver vfs bud \
  --isolation chroot --pull=never --format docker --quiet \
  --build-arg VERSION="$(sed -n 's/^  "version": "\(.*\)",$/\1/p' package.json)" \
  --build-arg REVISION="$(git rev-parse --short HEAD 2>/dev/null || echo unknown)" \
  --build-arg CREATED="$(date -u +%Y-%m-%dT%H:%M:%SZ)" \
  --tag "$tag" .
