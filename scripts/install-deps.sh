#!/usr/bin/env bash
# Installs the Debian packages that are missing, and libjwt: install-deps.sh SET...
# The sets are: run build test observe fuzz check bench haproxy pgbouncer patroni kubernetes emulate registry maven npm go rust-web rust.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

# PACKAGE, or PACKAGE=COMMAND where the command alone will do, wherever it comes from.
declare -A sets=(
    [run]="postgresql redis-server default-jre-headless=java curl=curl jq=jq"
    [build]="gcc=gcc libc6-dev cmake=cmake ninja-build=ninja pkg-config=pkg-config libmicrohttpd-dev libgnutls28-dev
        libpq-dev libhiredis-dev libcurl4-openssl-dev libjansson-dev libssl-dev zlib1g-dev"
    [test]="pgbouncer libnss-wrapper prometheus=promtool libcmocka-dev valgrind=valgrind python3-venv chromium=chromium chromium-driver=chromedriver"
    [observe]="prometheus=prometheus"
    [fuzz]="clang=clang libclang-rt-dev"
    [check]="clang-format=clang-format clang-tidy=clang-tidy shellcheck=shellcheck git=git systemd=systemd-analyze
        binutils=readelf universal-ctags=ctags pylint=pylint"
    [bench]="wrk=wrk python3-venv"
    [haproxy]="haproxy=haproxy"
    [pgbouncer]="pgbouncer"
    [patroni]="patroni=patroni python3-etcd etcd-server=etcd"
    [emulate]="qemu-user-static binfmt-support"
    [registry]="docker-registry=docker-registry skopeo=skopeo"
    [kubernetes]="etcd-server=etcd openssl=openssl"
    [maven]="maven=mvn"
    [npm]="npm=npm"
    [go]="golang-go=go"
    [rust-web]="cargo-web=cargo rustc-web=rustc" # in Debian 12 newer than cargo
    [rust]="cargo=cargo rustc=rustc"
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
log=$(mktemp)
trap 'rm -f "$log"; allow_services' EXIT

# Debian starts the services of what it installs, now and at each boot. They would take the ports of the containers, and
# we only need their programs. What was installed before is left alone.
policy=${POLICY_RC_D:-/usr/sbin/policy-rc.d} # see invoke-rc.d(8)
forbidden=false
forbid_services() {
    forbidden=true
    [[ ! -e $policy ]] || as_root mv "$policy" "$policy.before"
    as_root env install -m 755 /dev/stdin "$policy" <<<$'#!/bin/sh\nexit 101'
}
allow_services() {
    $forbidden || return 0
    forbidden=false
    as_root rm -f "$policy"
    [[ ! -e $policy.before ]] || as_root mv "$policy.before" "$policy"
}
disable_services() { # PACKAGE...
    local package services=()
    for package in "${@/#etcd-server/etcd}"; do # whose service has another name
        [[ ! $package =~ ^(postgresql|redis-server|pgbouncer|prometheus|haproxy|patroni|etcd|docker-registry)$ ]] || services+=("$package")
    done
    [[ ! -d /run/systemd/system ]] || ((${#services[@]} == 0)) || as_root systemctl disable --quiet "${services[@]}"
}

apt() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 "$@" >>"$log" 2>&1
}

install() { # PACKAGE...
    say "installing $*"
    ((EUID == 0)) || command -v sudo >/dev/null || die "run this as root, or install: $*"
    forbid_services
    if ! { apt update && apt install -y --no-install-recommends "$@"; }; then
        cat "$log" >&2
        die "apt-get could not install $*"
    fi
    allow_services
    disable_services "$@"
}

# The version that CMakeLists.txt asks for: Debian 13 has it, Debian 12 has not.
libjwt_installed() { pkg-config --exists 'libjwt >= 1.17' 'libjwt < 3'; }
libjwt_packaged() {
    local version
    version=$(apt-cache policy libjwt-dev | sed -n 's/^ *Candidate: //p')
    [[ $version == [0-9]* ]] && dpkg --compare-versions "$version" ge 1.17 && dpkg --compare-versions "$version" lt 3
}

((${#missing[@]} == 0)) || install "${missing[@]}"
if [[ " $* " == *" build "* ]] && ! libjwt_installed; then
    if [[ ! -d $ROOT/build/libjwt ]] && libjwt_packaged; then
        install libjwt-dev
    else
        "$ROOT/scripts/libjwt.sh"
    fi
fi
