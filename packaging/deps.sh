#!/usr/bin/env bash
# Installs the Debian 12 packages that a task needs: deps.sh build|test|demo|static|tidy|cross|vm (default: build).
# What is there already is skipped without asking the package manager anything. Needs root or sudo only when
# something is missing; without either it names what is missing and fails.
set -euo pipefail

build=(gcc make libc6-dev libuv1-dev libsodium-dev libmsgpack-dev libldns-dev libyaml-dev libsqlite3-dev
    libmicrohttpd-dev libjansson-dev libarchive-dev
    libcurl4-openssl-dev)
demo=(python3 bind9-dnsutils nftables procps)
test=(libcmocka-dev python3 python3-pytest clang-14 libclang-rt-14-dev llvm-14 clang-format-14 bind9-dnsutils
    nftables iproute2 procps strace git
    runc crun skopeo docker-registry busybox-static docker.io podman)
static=(musl-tools linux-libc-dev dpkg-dev tcl autoconf automake libtool autopoint gettext m4 xz-utils patch)
tidy=(clang-tidy-14)
vm=(qemu-system-x86 busybox-static cpio)
cross=(clang-14 gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static)

case ${1:-build} in
build) wanted=("${build[@]}") ;;
demo) wanted=("${build[@]}" "${demo[@]}") ;;
test) wanted=("${build[@]}" "${test[@]}" "${cross[@]}" "${vm[@]}") ;;
static) wanted=("${build[@]}" "${static[@]}") ;;
tidy) wanted=("${build[@]}" "${tidy[@]}") ;;
vm) wanted=("${build[@]}" "${vm[@]}") ;;
cross) wanted=("${build[@]}" "${cross[@]}") ;;
*)
    echo "deps.sh: unknown task '$1'; one of: build test demo static tidy cross vm" >&2
    exit 2
    ;;
esac

if ! command -v dpkg-query >/dev/null; then
    echo "deps.sh: no dpkg here, so nothing is installed; the build needs these Debian packages or their like:" >&2
    printf '  %s\n' "${wanted[@]}" >&2
    exit 0
fi

missing=()
for package in "${wanted[@]}"; do
    status=$(dpkg-query -W -f='${db:Status-Status}\n' "$package" 2>/dev/null | head -n 1 || true)
    [ "$status" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null || ! sudo -n true 2>/dev/null && ! [ -t 0 ]; then
        echo "deps.sh: missing packages, and neither root nor sudo to install them: ${missing[*]}" >&2
        echo "deps.sh: run as root: apt-get install ${missing[*]}" >&2
        exit 1
    fi
    as_root=(sudo)
fi

echo "deps.sh: installing ${missing[*]}"
apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300)
install=("${apt[@]}" install -y --no-install-recommends "${missing[@]}")
# A fresh machine has no package lists, an old one has stale ones: fetch them only when the first try fails.
if ! "${install[@]}" >/dev/null 2>&1; then
    "${apt[@]}" update
    "${install[@]}"
fi
