#!/usr/bin/env bash
# Builds the Debian packages in containers, and runs lintian:
#   package-deb.sh [--no-tests] [bookworm|trixie]...      both by default; --no-tests: without the unit tests
# The packages of a release are in build/packages/<release> afterwards. Needs Docker. On Debian 13 itself,
# dpkg-buildpackage -us -uc -b does the same.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

cd "$ROOT"
options=''
if [[ ${1:-} == --no-tests ]]; then options=nocheck && shift; fi
(($# > 0)) || set -- bookworm trixie
declare -A numbers=([bookworm]=12 [trixie]=13)

# What the container needs to install the build dependencies. Debian 12 has no libjwt that is new enough.
context() { # FOLDER RELEASE PROFILES
    local dir=$1
    cat >"$dir/Dockerfile" <<END
FROM ${DEBIAN_IMAGE:-debian:$2-slim}
ENV DEBIAN_FRONTEND=noninteractive
RUN apt-get -qq update && apt-get -qqy install --no-install-recommends build-essential ca-certificates lintian
WORKDIR /src
COPY debian/control debian/
COPY scripts scripts
RUN apt-get -qqy build-dep --no-install-recommends -P '$3' ./ && { [ -z '$3' ] || scripts/libjwt.sh; }
END
    mkdir "$dir/debian"
    cp debian/control "$dir/debian/"
    mkdir "$dir/scripts"
    cp -r scripts/lib.sh scripts/libjwt.sh scripts/libjwt "$dir/scripts/"
}

# Runs in the container: the source comes from standard input, the packages go to standard output.
# shellcheck disable=SC2016 # it is expanded there
build_there='
    set -e
    exec 3>&1 >&2
    tar -x
    sed -i "1s/(\(.*\)) [^;]*;/(\1+deb$NUMBER) $RELEASE;/" debian/changelog
    dpkg-buildpackage -us -uc -b -P"$PROFILES"
    lintian --allow-root --fail-on error,warning --suppress-tags initial-upload-closes-no-bugs --info ../*.changes
    cd ..
    tar -c -- *.deb *.changes *.buildinfo >&3'

for release in "$@"; do
    [[ -n ${numbers[$release]:-} ]] || die "no such release: $release"
    profiles=''
    if [[ $release == bookworm ]]; then profiles=pkg.order-processing.libjwt; fi
    log=build/log/package-$release image=order-processing-packages:$release
    dir=$(mktemp -d)
    trap 'rm -rf "$dir"' EXIT
    context "$dir" "$release" "$profiles"
    say "preparing a container of Debian ${numbers[$release]}"
    quietly "$log-image.log" docker build -t "$image" "$dir"
    rm -rf "$dir"
    say "building the packages"
    rm -rf "build/packages/$release"
    mkdir -p "build/packages/$release"
    git ls-files -z --cached --others --exclude-standard | tar -c --null -T - --owner=0 --group=0 |
        docker run --rm -i --network none -e "RELEASE=$release" -e "NUMBER=${numbers[$release]}" -e "PROFILES=$profiles" \
            -e "DEB_BUILD_OPTIONS=$options" "$image" bash -c "$build_there" 2>"$log.log" |
        tar -x -C "build/packages/$release" || {
        tail -n 50 "$log.log" >&2
        die "failed (full log: $log.log)"
    }
    say "build/packages/$release:"
    (cd "build/packages/$release" && ls -sh1 -- *.deb)
done
