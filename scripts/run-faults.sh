#!/usr/bin/env bash
# Runs both daemons, two replicas each, under load and faults that a seed selects. Then it checks that nothing was
# lost or done twice:
#   run-faults.sh [--seed N] [--duration SECONDS] [--only REGEX] [--build DIR] [--observe]
# Without a seed it chooses one. REGEX selects faults by kind and target. DIR contains the daemons (build/asan).
# --observe also starts a Prometheus with our alerts. It tells which fired during which faults, and fails if one stays on.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

seed=$RANDOM duration=60 only='' build=$ROOT/build/asan observe=()
while (($# > 0)); do
    case $1 in
    --seed) seed=$2 ;;
    --duration) duration=$2 ;;
    --only) only=$2 ;;
    --build) build=$(readlink -f "$2") ;;
    --observe)
        observe=(--observe)
        shift
        continue
        ;;
    *) die "usage: run-faults.sh [--seed N] [--duration SECONDS] [--only REGEX] [--build DIR] [--observe]" ;;
    esac
    shift 2
done

[[ -x $build/order-svc ]] || die "no daemons in $build; scripts/run-tests.sh builds build/asan"
[[ ! ${observe[*]} ]] || "$ROOT/scripts/install-deps.sh" observe
prepare_python
export ORDER_SVC=$build/order-svc DELIVERY_SVC=$build/delivery-svc
exec "$ROOT/build/venv/bin/python" -B "$ROOT/tests/faults/run.py" --seed "$seed" --duration "$duration" --only "$only" \
    "${observe[@]}"
