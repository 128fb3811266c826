#!/usr/bin/env bash
# A stand-in for the base image, for machines without a registry of images: Debian by debootstrap, this machine's npm and the
# Node.js of the packages, under the name that the Dockerfile has as its default.
#
#     scripts/build-test-base.sh STORAGE
#
# STORAGE is a folder for buildah's images. Needs root, buildah and debootstrap. What debootstrap made is kept for a week in the user's
# cache folder.
set -euo pipefail
cd "$(dirname "$0")/.."
storage=$1
base=$(sed -n 's/^ARG BASE=//p' Dockerfile)
suite=$(sed -E 's/^node:[0-9]+-([a-z]+)-slim$/\1/' <<<"$base")
[ -e "/usr/share/debootstrap/scripts/$suite" ] || suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -m1 -E '/debian/?$')
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

packages=ca-certificates,libatomic1,libstdc++6
kept=${XDG_CACHE_HOME:-$HOME/.cache}/nodens/$suite-$(dpkg --print-architecture)-$packages.tar
if [ -n "$(find "$kept" -mtime -7 2>/dev/null)" ]; then
  tar --extract --file "$kept" --directory "$root"
else
  debootstrap --variant=minbase --include="$packages" "$suite" "$root" "$mirror" >/dev/null
  mkdir -p "$(dirname "$kept")"
  # Whole or not at all.
  tar --create --file "$kept.$$" --directory "$root" .
  mv "$kept.$$" "$kept"
fi
# Where this machine gets packages from, and whom it trusts for that.
rm -f "$root"/etc/apt/sources.list
echo "deb $mirror $suite main" >"$root/etc/apt/sources.list"
cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
for file in /etc/apt/apt.conf.d/*proxy* /etc/apt/auth.conf.d/*; do
  [ -e "$file" ] && cp "$file" "$root${file}"
done
mkdir -p "$root/usr/local/lib/node_modules" "$root/usr/local/etc"
cp node_modules/node/bin/node "$root/usr/local/bin/node"
cp -r "$(npm root -g)/npm" "$root/usr/local/lib/node_modules/npm"
ln -s ../lib/node_modules/npm/bin/npm-cli.js "$root/usr/local/bin/npm"
ln -s ../lib/node_modules/npm/bin/npx-cli.js "$root/usr/local/bin/npx"
printf 'cafile=/etc/ssl/certs/ca-certificates.crt\n' >"$root/usr/local/etc/npmrc"
registry=$(npm config get registry)
printf 'registry=%s\n' "$registry" >>"$root/usr/local/etc/npmrc"

buildah="buildah --root $storage/root --runroot $storage/run --storage-driver vfs"
container=$($buildah from scratch)
$buildah add --quiet "$container" "$root" / >/dev/null
$buildah commit --quiet "$container" "$base" >/dev/null
$buildah rm "$container" >/dev/null
echo "$base is $suite with Node.js $(node_modules/.bin/node --version)"
