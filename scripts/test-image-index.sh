#!/usr/bin/env bash
# Tests the joined archive of images that scripts/image-index.py writes: test-image-index.sh ARCHIVE IMAGE...
# It is pushed to a private registry as docs/OPERATIONS.md says, and each IMAGE must come back for its architecture as it is on
# this machine. Needs Docker; install-deps.sh installs skopeo and a registry.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

(($# >= 2)) || die "usage: test-image-index.sh ARCHIVE IMAGE..."
archive=$1
shift
"$ROOT/scripts/install-deps.sh" registry
dir=$(mktemp -d) port=$(free_port)
pushed=127.0.0.1:$port/order-processing-system
trap 'stop "$dir/pid"; docker rmi "$pushed:tested" >/dev/null 2>&1; rm -rf "$dir"' EXIT

cat >"$dir/config.yml" <<END
version: 0.1
log: { accesslog: { disabled: true } }
storage: { filesystem: { rootdirectory: $dir/registry } }
http: { addr: 127.0.0.1:$port }
END
spawn "$dir/pid" "$dir/log" docker-registry serve "$dir/config.yml"
wait_until 20 port_open "$port" || die "the registry does not start: $(cat "$dir/log")"

about() { docker image inspect -f '{{.Architecture}} {{json .RootFS.Layers}} {{json .Config}}' "$1"; } # IMAGE

say "pushing to a private registry"
quietly "$ROOT/build/log/image-index-push.log" \
    skopeo copy --all --dest-tls-verify=false "oci-archive:$archive" "docker://$pushed:tested"
digest=$(skopeo inspect --raw --tls-verify=false "docker://$pushed:tested" | sha256sum)
[[ $(tar -xOf "$archive" index.json) == *"sha256:${digest%% *}"* ]] || die "the registry has it under another digest"
for image in "$@"; do
    wanted=$(about "$image") arch=${wanted%% *}
    quietly "$ROOT/build/log/image-index-pull.log" docker pull -q --platform "linux/$arch" "$pushed:tested"
    [[ $(about "$pushed:tested") == "$wanted" ]] || die "$image for $arch does not come back as it was"
    docker rmi "$pushed:tested" >/dev/null
    say "$arch: $image comes back as it was"
done
