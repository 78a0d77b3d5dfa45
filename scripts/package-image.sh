#!/usr/bin/env bash
# Builds the image of a release, and its bill of materials:
#   package-image.sh [--arch amd64|arm64] [TAG]      TAG is order-processing-system:<version> by default
# --arch arm64 on amd64 cross-compiles the daemons, and qemu-user (scripts/emulate.sh) runs the rest. TAG ends in -ARCH then by
# default. BASE names the image it stands on; by default that of Debian 13 for the architecture. It is pinned by its digest,
# which a label tells. With BASE=debian:trixie-slim@sha256:... a release can be built again from the same base. Needs Docker.
# The results are in build/packages/image, or image-ARCH: sbom.cdx.json, and image.txt with what it was made of.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

cd "$ROOT"
declare -A bases=([amd64]=amd64/debian:trixie-slim [arm64]=arm64v8/debian:trixie-slim)
native=$(docker version -f '{{.Server.Arch}}')
arch=$native
if [[ ${1:-} == --arch ]]; then arch=${2:-} && shift $(($# < 2 ? 1 : 2)); fi
[[ -n ${bases[$arch]:-} && $# -le 1 ]] || die "usage: package-image.sh [--arch amd64|arm64] [TAG]"
version=$(sed -n 's/^project(.* VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)
suffix='' base=debian:trixie-slim
if [[ $arch != "$native" ]]; then
    suffix=-$arch base=${bases[$arch]}
    scripts/emulate.sh "$arch"
fi
tag=${1:-order-processing-system:$version$suffix} base=${BASE:-$base} out=build/packages/image$suffix

docker image inspect "$base" >/dev/null 2>&1 || docker pull -q --platform "linux/$arch" "$base" >/dev/null ||
    die "there is no image $base"
# An image that came from no registry has an id only, which pins it on this machine.
pinned=$base
[[ $base == *@sha256:* ]] ||
    pinned=$(docker image inspect -f '{{if .RepoDigests}}{{index .RepoDigests 0}}{{else}}{{.Id}}{{end}}' "$base")
of=$(docker image inspect -f '{{.Architecture}}' "$pinned")
[[ $of == "$arch" ]] || die "$base is for $of, not for $arch"
revision=$(git rev-parse --verify -q HEAD || echo unknown)
say "building $tag for $arch on $pinned"
name=$(image_name "$pinned")
options=(--platform "linux/$arch" --build-arg "BASE=$name" --build-arg "VERSION=$version" --build-arg "REVISION=$revision"
    --label "org.opencontainers.image.base.digest=${pinned#*@}")
log=build/log/package-image$suffix.log
if [[ $suffix ]]; then
    # The same two steps as in the Dockerfile, but for the compiler.
    quietly "$log" docker build "${options[@]}" --target runtime -t "$tag-runtime" .
    dir=$(mktemp -d)
    trap 'rm -rf "$dir"; docker rmi "$tag-runtime" >/dev/null 2>&1' EXIT
    scripts/cross-compile.sh "$arch" "$dir"
    printf 'FROM %s\nCOPY order-svc delivery-svc /usr/local/bin/\n' "$tag-runtime" >"$dir/Dockerfile"
    quietly "$log" docker build --platform "linux/$arch" -t "$tag" "$dir"
else
    quietly "$log" docker build "${options[@]}" -t "$tag" .
fi
mkdir -p "$out"
scripts/sbom.py "$tag" >"$out/sbom.cdx.json"
docker run --rm --platform "linux/$arch" --network none --entrypoint sha256sum "$tag" \
    /usr/local/bin/order-svc /usr/local/bin/delivery-svc >"$out/image.txt"
printf 'base %s\nimage %s\nsize %s\narchitecture %s\n' "$pinned" "$(docker image inspect -f '{{.Id}}' "$tag")" \
    "$(docker image inspect -f '{{.Size}}' "$tag")" "$(docker image inspect -f '{{.Architecture}}' "$tag")" >>"$out/image.txt"
grep -qx "architecture $arch" "$out/image.txt" || die "$tag says that it is for another architecture: $out/image.txt"
say "$tag: $(docker image inspect -f '{{.Size}}' "$tag" | numfmt --to=iec), of it the base" \
    "$(docker image inspect -f '{{.Size}}' "$pinned" | numfmt --to=iec)"
say "$out/sbom.cdx.json has $(grep -c '"purl"' "$out/sbom.cdx.json") packages"
