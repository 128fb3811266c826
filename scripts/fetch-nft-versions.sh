#!/usr/bin/env bash
# The nft of two Debian releases, unpacked and not installed: what one of them makes, others on a node must be able to read.
#
#     scripts/fetch-nft-versions.sh FOLDER
#
# Afterwards FOLDER/bookworm/nft and FOLDER/trixie/nft are programs. Needs Debian's apt, and no root.
set -euo pipefail
folder=$(mkdir -p "$1" && cd "$1" && pwd)
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -m1 -E '/debian/?$')
for suite in bookworm trixie; do
  root=$folder/$suite
  [ -x "$root/nft" ] && continue
  rm -rf "$root"
  mkdir -p "$root"/apt/{lists/partial,archives/partial}
  : >"$root/apt/status"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" >"$root/apt/sources.list"
  # An apt of its own, which believes that nothing is installed: so it fetches every library that nft needs.
  apt=(apt-get -qq -o Dir::State="$root/apt" -o Dir::State::status="$root/apt/status" -o Dir::Cache="$root/apt"
    -o Dir::Etc::sourcelist="$root/apt/sources.list" -o Dir::Etc::sourceparts=- -o APT::Sandbox::User="$(id -un)" -o Debug::NoLocking=1)
  "${apt[@]}" update
  "${apt[@]}" install --download-only --no-install-recommends --yes nftables >/dev/null
  for package in "$root"/apt/archives/*.deb; do dpkg-deb -x "$package" "$root/files"; done
  loader=$(find "$root/files" -name 'ld-linux-*.so.*' | head -n 1)
  libraries=$(find "$root/files" -name 'lib*.so.*' -printf '%h\n' | sort -u | paste -sd:)
  printf '#!/bin/sh\nexec %q --library-path %q %q "$@"\n' "$loader" "$libraries" "$root/files/usr/sbin/nft" >"$root/nft.new"
  rm -rf "$root/apt"
  chmod +x "$root/nft.new"
  mv "$root/nft.new" "$root/nft"
done
