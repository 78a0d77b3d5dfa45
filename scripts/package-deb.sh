#!/usr/bin/env bash
# Builds the Debian packages in containers, and runs lintian:
#   package-deb.sh [--no-tests] [--arch amd64|arm64] [--prepare] [bookworm|trixie]...      both releases by default
# --no-tests leaves out the unit tests. --arch names another architecture than this machine's: the packages are cross-compiled,
# without the unit tests (scripts/test-arm64.sh runs them). The packages of a release are in build/packages/<release> afterwards,
# those for another architecture in build/packages/<release>-<arch>. --prepare only makes the containers. Needs Docker.
# On Debian 13 itself, dpkg-buildpackage -us -uc -b does the same.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

cd "$ROOT"
options='' native=$(docker version -f '{{.Server.Arch}}')
arch=$native prepare=false
while [[ ${1:-} == --* ]]; do
    case $1 in
    --no-tests) options=nocheck ;;
    --prepare) prepare=true ;;
    --arch) arch=${2:-} && shift ;;
    *) die "no such option: $1" ;;
    esac
    shift
done
[[ $arch == amd64 || $arch == arm64 ]] || die "no such architecture: $arch (there are: amd64 arm64)"
(($# > 0)) || set -- bookworm trixie
declare -A numbers=([bookworm]=12 [trixie]=13)
cross=''
if [[ $arch != "$native" ]]; then cross=$arch; fi

# What the container needs to install the build dependencies. Debian 12 has no libjwt that is new enough.
context() { # FOLDER RELEASE PROFILES
    local dir=$1
    cat >"$dir/Dockerfile" <<END
FROM ${DEBIAN_IMAGE:-debian:$2-slim}
ENV DEBIAN_FRONTEND=noninteractive
RUN ${cross:+dpkg --add-architecture $cross && }apt-get -qq update && apt-get -qqy install --no-install-recommends \
    build-essential ca-certificates lintian ${cross:+crossbuild-essential-$cross}
WORKDIR /src
COPY debian/control debian/
RUN apt-get -qqy build-dep --no-install-recommends ${cross:+-a $cross} -P '$3' ./
END
    case ,$3, in
    *.libjwt,*) printf 'COPY cmake cmake\nCOPY scripts scripts\nRUN scripts/libjwt.sh %s\n' "$cross" >>"$dir/Dockerfile" ;;
    esac
    mkdir "$dir/debian"
    cp debian/control "$dir/debian/"
    cp -r cmake "$dir/"
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
    dpkg-buildpackage -us -uc -b -P"$PROFILES" ${CROSS:+-a "$CROSS"}
    lintian --allow-root --fail-on error,warning --suppress-tags initial-upload-closes-no-bugs --info ../*.changes
    cd ..
    tar -c -- *.deb *.changes *.buildinfo >&3'

for release in "$@"; do
    [[ -n ${numbers[$release]:-} ]] || die "no such release: $release"
    profiles=${cross:+cross,nocheck}
    if [[ $release == bookworm ]]; then profiles+=${profiles:+,}pkg.order-processing.libjwt; fi
    out=$release${cross:+-$cross}
    log=build/log/package-$out image=order-processing-packages:$out
    dir=$(mktemp -d)
    trap 'rm -rf "$dir"' EXIT
    context "$dir" "$release" "$profiles"
    say "preparing a container of Debian ${numbers[$release]}${cross:+ for $cross}"
    quietly "$log-image.log" docker build -t "$image" "$dir"
    rm -rf "$dir"
    $prepare && continue
    say "building the packages for $arch"
    rm -rf "build/packages/$out"
    mkdir -p "build/packages/$out"
    git ls-files -z --cached --others --exclude-standard | tar -c --null -T - --owner=0 --group=0 |
        docker run --rm -i --network none -e "RELEASE=$release" -e "NUMBER=${numbers[$release]}" -e "PROFILES=$profiles" \
            -e "CROSS=$cross" -e "DEB_BUILD_OPTIONS=$options" "$image" bash -c "$build_there" 2>"$log.log" |
        tar -x -C "build/packages/$out" || {
        tail -n 50 "$log.log" >&2
        die "failed (full log: $log.log)"
    }
    say "build/packages/$out:"
    (cd "build/packages/$out" && ls -sh1 -- *.deb)
done
