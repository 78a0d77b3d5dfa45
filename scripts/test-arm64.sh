#!/usr/bin/env bash
# Cross-compiles the daemons for arm64 in a container of Debian 13, runs the unit tests under qemu-user, and leaves the daemons
# in build/arm64. Needs Docker.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

cd "$ROOT"
image=order-processing-arm64:trixie
say "preparing a container with the toolchain"
scripts/package-deb.sh --arch arm64 --prepare trixie
quietly build/log/arm64-image.log docker build -t "$image" - <<END
FROM order-processing-packages:trixie-arm64
RUN apt-get -qq update && apt-get -qqy install --no-install-recommends qemu-user libcmocka-dev:arm64
END

# Runs in the container: the source comes from standard input, the daemons go to standard output. One test looks at the time and
# memory of its process, which qemu does not tell. So it is that one, and no other, that may fail.
# shellcheck disable=SC2016 # it is expanded there
build_there='
    set -e
    exec 3>&1 >&2
    mkdir -p /src && cd /src && tar -x
    cmake -G Ninja -B build/arm64 -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCMAKE_TOOLCHAIN_FILE=cmake/aarch64.cmake
    cmake --build build/arm64
    ctest --test-dir build/arm64 -L unit -E "^unit/common/metrics/test_metrics$" -j2 --output-on-failure
    qemu-aarch64 build/arm64/tests/common_metrics_test_metrics >/tmp/metrics 2>&1 || true
    grep -q "PASSED" /tmp/metrics && ! grep "FAILED" /tmp/metrics | grep -v "the_process_is_described\|listed below\|FAILED TEST"
    tar -c -C build/arm64 order-svc delivery-svc >&3'

say "building, and testing under qemu"
mkdir -p build/arm64
git ls-files -z --cached --others --exclude-standard | tar -c --null -T - |
    docker run --rm -i --network none "$image" bash -c "$build_there" 2>build/log/arm64.log | tar -x -C build/arm64 || {
    tail -n 60 build/log/arm64.log >&2
    die "failed (full log: build/log/arm64.log)"
}
for daemon in order-svc delivery-svc; do
    [[ $(readelf -h "build/arm64/$daemon") == *AArch64* ]] || die "$daemon is not for arm64"
done
say "$(sed -n '/tests passed/p' build/log/arm64.log); the daemons are in build/arm64"
