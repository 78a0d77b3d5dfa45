#!/usr/bin/env bash
# Runs the system on more than one of something, breaks it, and checks what is promised:
#   run-scale.sh cluster [--seed N] [--duration SECONDS] [--mode direct|haproxy|pooler] [--async] [--strict] [--only REGEX] [--build DIR]
# cluster: PostgreSQL on three nodes under Patroni, with three etcd and HAProxy. Both daemons, two replicas each, and clients
# run while faults that a seed selects hit the cluster. A table shows how long nothing was written. direct: DB_HOST lists
# the nodes. pooler: PgBouncer is in front of HAProxy. --async: standbys may lag. REGEX selects faults by kind. DIR has the
# daemons (build/release).
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

usage() {
    sed -n 's/^#   /usage: /p' "$0" >&2
    exit 1
}

run_cluster() {
    local seed=$RANDOM duration=300 build=$ROOT/build/release more=()
    while (($# > 0)); do
        case $1 in
        --seed) seed=$2 ;;
        --duration) duration=$2 ;;
        --build) build=$(readlink -f "$2") ;;
        --mode | --only) more+=("$1" "$2") ;;
        --async | --strict)
            more+=("$1")
            shift
            continue
            ;;
        *) usage ;;
        esac
        shift 2
    done
    [[ -x $build/order-svc ]] || die "no daemons in $build; cmake --preset release && cmake --build --preset release makes some"
    "$ROOT/scripts/install-deps.sh" run haproxy pgbouncer patroni
    prepare_python
    export ORDER_SVC=$build/order-svc DELIVERY_SVC=$build/delivery-svc
    exec "$ROOT/build/venv/bin/python" -B "$ROOT/tests/faults/cluster.py" --seed "$seed" --duration "$duration" "${more[@]}"
}

case ${1:-} in
cluster) run_cluster "${@:2}" ;;
*) usage ;;
esac
