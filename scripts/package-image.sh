#!/usr/bin/env bash
# Builds the image of a release, and its bill of materials:
#   package-image.sh [TAG]      order-processing-system:<version> by default
# BASE names the image it stands on; by default debian:trixie-slim. It is pinned by its digest, which a label tells. With
# BASE=debian:trixie-slim@sha256:... a release can be built again from the same base. Needs Docker.
# The results are in build/packages/image: sbom.cdx.json, and image.txt with what it was made of.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

cd "$ROOT"
version=$(sed -n 's/^project(.* VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)
tag=${1:-order-processing-system:$version}
base=${BASE:-debian:trixie-slim}
out=build/packages/image

docker image inspect "$base" >/dev/null 2>&1 || docker pull -q "$base" >/dev/null || die "there is no image $base"
# An image that came from no registry has an id only, which pins it on this machine.
pinned=$base
[[ $base == *@sha256:* ]] ||
    pinned=$(docker image inspect -f '{{if .RepoDigests}}{{index .RepoDigests 0}}{{else}}{{.Id}}{{end}}' "$base")
revision=$(git rev-parse --verify -q HEAD || echo unknown)
say "building $tag on $pinned"
quietly build/log/package-image.log docker build -t "$tag" --build-arg "BASE=$pinned" --build-arg "VERSION=$version" \
    --build-arg "REVISION=$revision" --label "org.opencontainers.image.base.digest=${pinned#*@}" .
mkdir -p "$out"
scripts/sbom.py "$tag" >"$out/sbom.cdx.json"
docker run --rm --network none --entrypoint sha256sum "$tag" /usr/local/bin/order-svc /usr/local/bin/delivery-svc >"$out/image.txt"
printf 'base %s\nimage %s\nsize %s\n' "$pinned" "$(docker image inspect -f '{{.Id}}' "$tag")" \
    "$(docker image inspect -f '{{.Size}}' "$tag")" >>"$out/image.txt"
say "$tag: $(docker image inspect -f '{{.Size}}' "$tag" | numfmt --to=iec), of it the base" \
    "$(docker image inspect -f '{{.Size}}' "$pinned" | numfmt --to=iec)"
say "$out/sbom.cdx.json has $(grep -c '"purl"' "$out/sbom.cdx.json") packages"
