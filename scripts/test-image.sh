#!/usr/bin/env bash
# Tests the image: test-image.sh [--arch amd64|arm64]
# The same source gives the same programs in another place, the bill of materials is valid and complete, and the daemons run
# read-only, without capabilities and as any user. Needs Docker; --arch is as in scripts/package-image.sh.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

cd "$ROOT"
tag=order-processing-system:test-$$ name=image-test-$$
trap 'docker rm -f "$name" >/dev/null 2>&1; docker rmi -f "$tag" "$tag-build" >/dev/null 2>&1' EXIT
native=$(docker version -f '{{.Server.Arch}}') arch=${2:-}
[[ $# -eq 0 || ($1 == --arch && $# -eq 2) ]] || die "usage: test-image.sh [--arch amd64|arm64]"
arch=${arch:-$native}
results=build/packages/image
if [[ $arch != "$native" ]]; then results+=-$arch; fi
scripts/package-image.sh --arch "$arch" "$tag"

say "building the programs once more, in another folder"
build_again() { # prints the digests of the daemons
    docker build -q --platform "linux/$arch" -t "$tag-build" --target build --build-arg "BASE=$1" . >/dev/null
    # shellcheck disable=SC2016 # it is expanded there
    docker run --rm --network none "$tag-build" sh -c '
        cp -r /src /elsewhere && rm -rf /elsewhere/build && cd /elsewhere && export TZ=Asia/Tokyo
        { cmake --preset release -B build/again -DBUILD_TESTING=OFF && cmake --build build/again &&
          cmake --install build/again --prefix /again --strip; } >&2 && cd /again/bin && sha256sum order-svc delivery-svc'
}
if [[ $arch == "$native" ]]; then
    base=$(image_name "$(sed -n 's/^base //p' "$results/image.txt")")
    again=$(build_again "$base" 2>build/log/image-again.log) ||
        die "the second build failed (build/log/image-again.log)"
else
    scripts/cross-compile.sh "$arch" "build/again-$arch" /elsewhere
    again=$(cd "build/again-$arch" && sha256sum order-svc delivery-svc)
fi
diff <(sed 's|/usr/local/bin/||; /^[0-9a-f]\{64\} /!d' "$results/image.txt") - <<<"$again" ||
    die "the second build made other programs"
say "both builds made the same programs"

say "checking the bill of materials"
venv=build/sbom-venv
[[ -x $venv/bin/python ]] || quietly build/log/sbom-venv.log python3 -m venv "$venv"
quietly build/log/sbom-pip.log "$venv/bin/pip" install -q --disable-pip-version-check 'cyclonedx-python-lib[json-validation]==11.12.0'
"$venv/bin/python" - "$results/sbom.cdx.json" <<'END'
import json, sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
text = open(sys.argv[1]).read()
fault = JsonStrictValidator(SchemaVersion.V1_5).validate_str(text)
assert fault is None, fault
bill = json.loads(text)
references = {part["bom-ref"] for part in bill["components"]} | {"image"}
for dependency in bill["dependencies"]:
    assert set(dependency["dependsOn"]) <= references, dependency
linked = {ref.split("/")[2].split("@")[0] for d in bill["dependencies"] if d["ref"].endswith("-svc") for ref in d["dependsOn"]}
assert {"libjwt2", "libpq5", "libc6"} <= linked, linked
END
packages=$(docker run --rm --platform "linux/$arch" --network none "$tag" dpkg-query -W -f '${db:Status-Status}\n' |
    grep -cx installed)
[[ $(grep -c '"purl"' "$results/sbom.cdx.json") == "$packages" ]] || die "the bill lacks packages of the image"

# In production, as it then starts without a database and is not ready.
run() { # USER DAEMON
    docker run -d --name "$name" --platform "linux/$arch" --network none --read-only --cap-drop ALL \
        --security-opt no-new-privileges --user "$1" --pids-limit 256 --memory 512m -e JWT_SECRET=a-secret-of-the-test-of-the-image-0123456789 -e DB_PASSWORD=another \
        -e WEBHOOK_SECRETS_KEY=a-key-of-the-test-of-the-image-0123456789 -e AWS_ACCESS_KEY_ID= "$tag" "$2" >/dev/null
}
for user in 10001:10001 123456:0; do # the image's own, and one that a platform may choose
    for daemon in order-svc delivery-svc; do
        say "$daemon as user $user, read-only, without capabilities"
        run "$user" "$daemon"
        wait_until 20 docker exec "$name" "$daemon" --health=live >/dev/null 2>&1 || {
            docker logs "$name"
            die "$daemon does not live"
        }
        ! said=$(docker exec "$name" "$daemon" --health 2>&1) || die "$daemon is ready without a database"
        [[ $said == 'not ready: database' ]] || die "$daemon says: $said"
        [[ $(docker exec "$name" sh -c 'grep -h "^Cap\(Eff\|Bnd\)" /proc/self/status | cut -f2 | sort -u') == 0000000000000000 ]] ||
            die "$daemon has capabilities"
        docker stop -t 30 "$name" >/dev/null
        [[ $(docker inspect -f '{{.State.ExitCode}}' "$name") == 0 ]] || die "$daemon did not stop cleanly"
        docker rm "$name" >/dev/null
    done
done
said=$(docker image inspect -f '{{.Config.Healthcheck.Test}} {{.Config.User}}' "$tag")
[[ $said == '[CMD order-svc --health] 10001:10001' ]] || die "the image has another health check or user: $said"
say "the image for $arch works"
