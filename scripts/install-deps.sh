#!/usr/bin/env bash
# Installs the Debian packages that are missing: install-deps.sh SET..., sets: run build test fuzz check bench
# maven.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

# PACKAGE, or PACKAGE=COMMAND when the command suffices, whatever its source.
declare -A sets=(
    [run]="postgresql redis-server default-jre-headless=java curl=curl jq=jq"
    [build]="gcc=gcc libc6-dev cmake=cmake ninja-build=ninja pkg-config=pkg-config libmicrohttpd-dev libgnutls28-dev
        libpq-dev libhiredis-dev libcurl4-openssl-dev libjansson-dev libssl-dev"
    [test]="libcmocka-dev libjwt-dev valgrind=valgrind python3-venv"
    [fuzz]="clang=clang libclang-rt-dev"
    [check]="clang-format=clang-format clang-tidy=clang-tidy shellcheck=shellcheck git=git systemd=systemd-analyze
        binutils=readelf universal-ctags=ctags"
    [bench]="wrk=wrk python3-venv"
    [maven]="maven=mvn"
)

installed() { [[ $(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null) == installed ]]; }

missing=()
for set in "$@"; do
    [[ -n ${sets[$set]:-} ]] || die "no such set: $set (there are: ${!sets[*]})"
    for entry in ${sets[$set]}; do
        package=${entry%=*} command=${entry#"$package"}
        { [[ $command ]] && command -v "${command#=}" >/dev/null; } || installed "$package" || missing+=("$package")
    done
done
((${#missing[@]} > 0)) || exit 0

say "installing ${missing[*]}"
((EUID == 0)) || command -v sudo >/dev/null || die "run this as root, or install: ${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 "$@" >>"$log" 2>&1
}
if ! { apt update && apt install -y --no-install-recommends "${missing[@]}"; }; then
    cat "$log" >&2
    die "apt-get cannot install ${missing[*]}"
fi
