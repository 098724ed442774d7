#!/usr/bin/env bash
# packaging/arm64.sh DIR: the libraries that placement needs, for arm64, from Debian's packages into DIR (headers below
# DIR/usr/include, archives below DIR/usr/lib/aarch64-linux-gnu). Nothing is installed, and this machine's own package lists
# and architectures stay as they are. What is there already is not fetched again.
set -euo pipefail

[ $# -eq 1 ] || {
    echo "usage: packaging/arm64.sh DIR" >&2
    exit 2
}
mkdir -p "$1"
dir=$(cd "$1" && pwd)
lib=$dir/usr/lib/aarch64-linux-gnu
[ -e "$lib/libsodium.a" ] && [ -e "$lib/libmsgpackc.a" ] && exit 0

apt=(apt-get -q -o "Dir::State=$dir/apt" -o "Dir::State::status=/dev/null" -o "Dir::Cache=$dir/apt/cache"
    -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o APT::Sandbox::User= -o Debug::NoLocking=1)
mkdir -p "$dir/apt/lists/partial" "$dir/apt/cache/archives/partial"
cd "$dir/apt"
echo "arm64.sh: fetching libsodium-dev and libmsgpack-dev for arm64"
# A source of this machine without arm64 makes the update complain; what counts is whether the packages are found.
"${apt[@]}" update >update.log 2>&1 || true
if ! "${apt[@]}" download libsodium-dev:arm64 libmsgpack-dev:arm64 >download.log 2>&1; then
    cat update.log download.log >&2
    echo "arm64.sh: Debian's packages for arm64 cannot be had; see above" >&2
    exit 1
fi
for package in libsodium-dev_*.deb libmsgpack-dev_*.deb; do
    dpkg-deb -x "$package" "$dir"
done
rm -rf "$dir/apt"
