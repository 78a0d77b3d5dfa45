#!/usr/bin/env bash
# Restarts and upgrades replicas behind HAProxy under load, and checks that no client noticed, and that nothing was lost or
# done twice. Clients keep their connections and repeat no request.
#   test-rolling.sh restart [OPTION...]            restarts each replica
#   test-rolling.sh upgrade [COMMIT] [OPTION...]   migrates, replaces all replicas of that commit by those of this one, goes back,
#                                                  and upgrades again. COMMIT: the last release without the last migrations
#   test-rolling.sh kill [OPTION...]               kills each replica instead: says what clients notice then
#   test-rolling.sh idle [OPTION...]               restarts nothing; connections are closed when they were idle for a second
#   test-rolling.sh                                restart and upgrade
# Options: --replicas N (3) of each daemon, --clients N (24), --rounds N (1), --build DIR (build/release, which is built),
# --set NAME=VALUE for a setting of the daemons.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

BEFORE=d260952 # before the migrations 013 to 015 of order-svc

usage() { die "usage: test-rolling.sh [restart|kill|idle|upgrade [COMMIT]] [--replicas N] [--clients N] [--rounds N] [--build DIR] [--set NAME=VALUE]"; }

whats=(restart upgrade)
case ${1:-} in
restart | kill | upgrade | idle) whats=("$1") && shift ;;
'' | --*) ;;
*) usage ;;
esac
commit=$BEFORE
if [[ ${whats[*]} == upgrade && ${1:---} != --* ]]; then commit=$1 && shift; fi
bin='' options=()
while (($# > 0)); do
    case $1 in
    --build) bin=$(readlink -f "${2:-}") || usage ;;
    --replicas | --clients | --rounds | --set) options+=("$1" "${2:-}") ;;
    *) usage ;;
    esac
    (($# > 1)) || usage
    shift 2
done

# build_old: the daemons of the commit, in a folder of their own that is kept.
build_old() {
    local source=$ROOT/build/old-$commit
    old=$source/build/release
    [[ ! -x $old/order-svc || ! -x $old/delivery-svc ]] || return 0
    say "building $commit in build/old-$commit"
    rm -rf "$source"
    mkdir -p "$source/build"
    git -C "$ROOT" archive "$commit" | tar -x -C "$source" || die "cannot get $commit out of the repository"
    [[ ! -d $ROOT/build/libjwt ]] || ln -s "$ROOT/build/libjwt" "$source/build/libjwt"
    quietly "$source/configure.log" cmake --preset release -S "$source" -B "$old" -DBUILD_TESTING=OFF
    quietly "$source/build.log" cmake --build "$old"
}

"$ROOT/scripts/install-deps.sh" build run haproxy
if [[ ! $bin ]]; then
    say "building build/release"
    build release release -DBUILD_TESTING=OFF
    bin=$ROOT/build/release
fi
[[ -x $bin/order-svc && -x $bin/delivery-svc ]] || die "no daemons in $bin"
prepare_python
export ORDER_SVC=$bin/order-svc DELIVERY_SVC=$bin/delivery-svc
failed=false
for what in "${whats[@]}"; do
    with=()
    if [[ $what == upgrade ]]; then
        build_old
        with=(--old "$old")
    fi
    say "$what"
    "$ROOT/build/venv/bin/python" -B "$ROOT/tests/rolling/run.py" "$what" "${with[@]}" "${options[@]}" || failed=true
done
! $failed
