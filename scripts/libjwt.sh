#!/usr/bin/env bash
# Builds libjwt in build/libjwt, from the source that Debian 13 has; fetches that from Debian's mirror the first time.
#   libjwt.sh [arm64]      arm64: cross-compiles it
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

version=1.17.2
source=libjwt_$version.orig.tar.xz
sha256=8d52fceba532317359eca8e920c6186577aed45504f47a9be0a13c70ef8586cc
cache=${XDG_CACHE_HOME:-~/.cache}/order-processing
built=$ROOT/build/libjwt
compiler=(-DCMAKE_C_COMPILER=gcc) target=$(uname -m)
case ${1:-} in
'') ;;
arm64)
    compiler=("-DCMAKE_TOOLCHAIN_FILE=$ROOT/cmake/aarch64.cmake" -DCMAKE_LIBRARY_PATH=/usr/lib/aarch64-linux-gnu)
    target=aarch64
    ;;
*) die "usage: libjwt.sh [arm64]" ;;
esac

# The mirrors that apt has its packages from: the pool of each holds the sources of all releases.
mirrors() {
    # shellcheck disable=SC2016 # apt fills it in
    apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | sort -u
}

fetch() { # FILE
    local mirror
    [[ $(mirrors) ]] || as_root apt-get -qq update
    for mirror in $(mirrors); do
        /usr/lib/apt/apt-helper download-file "${mirror%/}/pool/main/libj/libjwt/$source" "$1" "SHA256:$sha256" && return
    done
    echo "none of apt's mirrors has $source"
    return 1
}

intact() { sha256sum --status -c <<<"$sha256  $1"; } # FILE

# Where pkg-config, and so CMake, looks. What a static library needs itself, its users must link.
describe() { # PREFIX
    mkdir -p "$1/lib/pkgconfig"
    cat >"$1/lib/pkgconfig/libjwt.pc" <<END
prefix=$built
Name: libjwt
Description: JWT C Library
Version: $version
Requires: jansson libcrypto
Cflags: -I"\${prefix}/include"
Libs: -L"\${prefix}/lib" -ljwt
END
}

compile() { # FOLDER: with the flags that our own code has
    local flags='-O2 -g -D_FORTIFY_SOURCE=3 -fstack-protector-strong -fstack-clash-protection'
    case $target in
    x86_64) flags+=' -fcf-protection' ;;
    aarch64) flags+=' -mbranch-protection=standard' ;;
    esac
    flags+=" \"-ffile-prefix-map=$1=.\"" # its name is random
    # "quietly" ignores what fails in the middle
    mkdir "$1/source" && cd "$1/source" || return
    cmake -E tar xf "$cache/$source" || return # tar would need xz
    cd "libjwt-$version" && cp "$ROOT"/scripts/libjwt/base64.[ch] libjwt/ || return
    cmake -G Ninja -B build "${compiler[@]}" -DCMAKE_BUILD_TYPE=None "-DCMAKE_C_FLAGS=$flags" \
        -DBUILD_SHARED_LIBS=OFF -DENABLE_PIC=ON -DBUILD_EXAMPLES=OFF -DCMAKE_INSTALL_PREFIX="$1" &&
        cmake --build build --target install && describe "$1"
}

grep -qsx "Version: $version" "$built/lib/pkgconfig/libjwt.pc" && exit
mkdir -p "$cache" "${built%/*}"
partial=$(mktemp -d "$built.XXXXXX") # renamed when complete
trap 'rm -rf "$partial"' EXIT
if ! intact "$cache/$source" 2>/dev/null; then
    say "fetching libjwt $version to $cache"
    quietly "$ROOT/build/log/libjwt-fetch.log" fetch "$partial/$source"
    intact "$partial/$source" || die "$source is not what it was: its SHA-256 is another"
    mv "$partial/$source" "$cache/"
fi
say "building libjwt $version in build/libjwt"
quietly "$ROOT/build/log/libjwt.log" compile "$partial"
rm -rf "$partial/source"
rm -rf "$built"
mv -T "$partial" "$built" 2>/dev/null || [[ -d $built ]] # another run may have been first
