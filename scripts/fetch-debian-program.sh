#!/usr/bin/env bash
# A program of a Debian release, unpacked and not installed, with all libraries that it needs: of a release other than this machine's, or of a
# package that would change the machine if it were installed.
#
#     scripts/fetch-debian-program.sh FOLDER SUITE PACKAGE PATH
#     scripts/fetch-debian-program.sh /tmp/nft bookworm nftables usr/sbin/nft
#
# Afterwards FOLDER/SUITE/NAME is the program, NAME being the last part of its PATH in the package, and FOLDER/SUITE/files has all that was
# unpacked. Needs Debian's apt, and no root.
set -euo pipefail
folder=$(mkdir -p "$1" && cd "$1" && pwd)
suite=$2 package=$3 path=$4
root=$folder/$suite
program=$root/$(basename "$path")
[ -x "$program" ] && exit 0
rm -rf "$root"
mkdir -p "$root"/apt/{lists/partial,archives/partial}
: >"$root/apt/status"
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -m1 -E '/debian/?$')
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" >"$root/apt/sources.list"
# An apt of its own, which believes that nothing is installed: so it fetches every library that the program needs.
apt=(apt-get -qq -o Dir::State="$root/apt" -o Dir::State::status="$root/apt/status" -o Dir::Cache="$root/apt"
  -o Dir::Etc::sourcelist="$root/apt/sources.list" -o Dir::Etc::sourceparts=- -o APT::Sandbox::User="$(id -un)" -o Debug::NoLocking=1)
"${apt[@]}" update
"${apt[@]}" install --download-only --no-install-recommends --yes "$package" >/dev/null
for archive in "$root"/apt/archives/*.deb; do dpkg-deb -x "$archive" "$root/files"; done
loader=$(find "$root/files" -name 'ld-linux-*.so.*' | head -n 1)
libraries=$(find "$root/files" -name 'lib*.so*' -printf '%h\n' | sort -u | paste -sd:)
printf '#!/bin/sh\nexec %q --library-path %q %q "$@"\n' "$loader" "$libraries" "$root/files/$path" >"$program.new"
rm -rf "$root/apt"
chmod +x "$program.new"
mv "$program.new" "$program"
