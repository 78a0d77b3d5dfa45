#!/usr/bin/env bash
# Tests the Debian packages of build/packages in containers with systemd: from nothing to an order that is DELIVERED, an
# upgrade that keeps settings and data, and a purge that leaves nothing.
#   test-deb.sh [--from COMMIT] [bookworm|trixie]...      those of build/packages by default; scripts/package-deb.sh makes them
#   test-deb.sh --arch arm64 [bookworm|trixie]...
# --from builds the packages of that commit, too, and upgrades from them; without it from the same ones. --arch is for another
# architecture than this machine's, in containers that qemu-user runs (scripts/emulate.sh): without systemd and an order, up to
# daemons that live.
# Needs Docker with the images debian:<release>-slim (arm64v8/debian:<release>-slim) and softwaremill/elasticmq-native.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

cd "$ROOT"
from='' foreign=''
while [[ ${1:-} == --* && $# -gt 1 ]]; do
    case $1 in
    --from) from=$(git rev-parse --verify -q "$2^{commit}") || die "no such commit: $2" ;;
    --arch) foreign=$2 ;;
    *) die "no such option: $1" ;;
    esac
    shift 2
done
[[ ! $foreign || ($foreign == arm64 && ! $from) ]] || die "usage: test-deb.sh [--from COMMIT | --arch arm64] [RELEASE...]"
if (($# == 0)); then
    for release in bookworm trixie; do
        [[ ! -d build/packages/$release${foreign:+-$foreign} ]] || set -- "$@" "$release"
    done
    (($# > 0)) || die "no packages in build/packages; scripts/package-deb.sh makes them"
fi
network=deb-test-$$
image=softwaremill/elasticmq-native:1.7.1

tree=''
clean_machine() {
    docker rm -f "$network" "$network-sqs" >/dev/null 2>&1 || true
    docker network rm "$network" >/dev/null 2>&1 || true
}
clean() {
    clean_machine
    [[ ! $tree ]] || git worktree remove --force "$tree" >/dev/null 2>&1 || true
}
trap clean EXIT

# Debian with systemd and the parts, as a machine that an administrator has set up; without anything of ours.
machine() { # RELEASE
    docker build -q -t "order-processing-machine:$1" - >/dev/null 2>&1 <<END
FROM debian:$1-slim
RUN apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qqy install --no-install-recommends \
    systemd systemd-sysv dbus postgresql redis-server ca-certificates curl jq openssl
CMD ["sh", "-c", "mount --make-rshared / && exec /sbin/init"]
END
}

# systemd needs mounts that it shares with its units, for their credentials, and a hierarchy of cgroups to write into. Some
# machines have version 2 beside version 1.
start_machine() { # RELEASE
    local groups=/sys/fs/cgroup
    [[ ! -d $groups/unified ]] || groups=$groups/unified
    docker run -d --name "$network" --network "$network" --cgroupns=host -v "$groups:/sys/fs/cgroup:rw" \
        --cap-add SYS_ADMIN --cap-add SYS_PTRACE --security-opt seccomp=unconfined --security-opt apparmor=unconfined \
        --tmpfs /run --tmpfs /run/lock --tmpfs /tmp -e container=docker "order-processing-machine:$1" >/dev/null
    wait_until 60 inside 'systemctl is-system-running 2>/dev/null | grep -qx "running\|degraded"' || die "systemd does not come up"
}

inside() { docker exec -i "$network" bash -c "set -e; $1"; }

# again as a newer version whose files of settings differ, too
repack() { # FILE
    local dir
    dir=$(mktemp -d)
    dpkg-deb -R "$1" "$dir/x"
    sed -i 's/^Version: .*/&+next/; s/\(order-processing-common (= [^)]*\))/\1+next)/' "$dir/x/DEBIAN/control"
    find "$dir/x/etc/order-processing" -name '*.env' -exec sed -i '1i # the settings of the next release' {} +
    dpkg-deb --root-owner-group -b "$dir/x" "$dir" >/dev/null
    cat "$dir"/*.deb
    rm -rf "$dir"
}

put() { # FOLDER/NAME: standard input, into the machine
    docker exec -i "$network" sh -c "cat >$1"
}

test_release() { # RELEASE
    local packages=build/packages/$1 old file
    old=${tree:-.}/$packages
    say "$1: starting a machine with systemd, PostgreSQL and Redis"
    machine "$1"
    docker network create "$network" >/dev/null
    docker run -d --name "$network-sqs" --network "$network" --network-alias sqs "$image" >/dev/null
    start_machine "$1"
    docker exec "$network" mkdir /packages /next
    for file in "$old"/*.deb; do
        [[ $file == *-dbgsym_* ]] || put "/packages/${file##*/}" <"$file"
    done
    for file in "$packages"/*.deb; do
        [[ $file == *-dbgsym_* ]] || repack "$file" | put "/next/${file##*/}"
    done
    say "$1: installing, setting up, and following an order"
    quietly "build/log/deb-$1.log" docker exec -i "$network" bash -euxo pipefail -s <tests/packages/machine.sh
    grep -h '^== ' "build/log/deb-$1.log" || true
    clean_machine
}

# In a container of another architecture.
test_foreign() { # RELEASE
    local packages=build/packages/$1-$foreign
    say "$1 for $foreign: installing, and running the daemons"
    quietly "build/log/deb-$1-$foreign.log" docker run --rm --name "$network" --platform "linux/$foreign" \
        -v "$ROOT/$packages:/packages:ro" -v "$ROOT/tests/packages:/tests:ro" "arm64v8/debian:$1-slim" \
        bash -euxo pipefail /tests/foreign.sh "$foreign"
    grep -h '^== ' "build/log/deb-$1-$foreign.log"
}

if [[ $foreign ]]; then scripts/emulate.sh "$foreign"; fi
if [[ $from ]]; then
    tree=$(mktemp -d)
    git worktree add -q --detach "$tree" "$from"
    say "building the packages of $from"
    "$tree/scripts/package-deb.sh" --no-tests "$@"
fi
for release in "$@"; do
    packages=build/packages/$release${foreign:+-$foreign}
    [[ -d $packages ]] || die "no $packages; scripts/package-deb.sh makes it"
    if [[ $foreign ]]; then test_foreign "$release"; else test_release "$release"; fi
done
say "the packages${foreign:+ for $foreign} work: $*${from:+ (upgraded from $from)}"
