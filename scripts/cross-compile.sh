#!/usr/bin/env bash
# Cross-compiles the daemons in a container of Debian 13, as the image has them: cross-compile.sh arm64 DIR [FOLDER]
# DIR gets order-svc and delivery-svc. FOLDER is where they are built in the container (/src). Needs Docker, on amd64.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

cd "$ROOT"
[[ ${1:-} == arm64 && ($# -eq 2 || $# -eq 3) ]] || die "usage: cross-compile.sh arm64 DIR [FOLDER]"
dir=$2 folder=${3:-/src} log=build/log/cross-compile.log
scripts/package-deb.sh --arch arm64 --prepare trixie

# Runs in the container: the source comes from standard input, the daemons go to standard output.
# shellcheck disable=SC2016 # it is expanded there
build_there='
    set -e
    exec 3>&1 >&2
    mkdir -p "$1" && cd "$1" && rm -rf build && tar -x
    cmake --preset release -B build/release -DBUILD_TESTING=OFF -DCMAKE_TOOLCHAIN_FILE=cmake/aarch64.cmake
    cmake --build build/release
    cmake --install build/release --prefix /built --strip
    tar -c -C /built/bin order-svc delivery-svc >&3'

say "cross-compiling the daemons for arm64"
mkdir -p "$dir" build/log
git ls-files -z --cached --others --exclude-standard | tar -c --null -T - |
    docker run --rm -i --network none order-processing-packages:trixie-arm64 bash -c "$build_there" build "$folder" 2>"$log" |
    tar -x -C "$dir" || {
    tail -n 50 "$log" >&2
    die "failed (full log: $log)"
}
for daemon in order-svc delivery-svc; do
    [[ $(readelf -h "$dir/$daemon") == *AArch64* ]] || die "$daemon is not for arm64"
done
