#!/usr/bin/env bash
# Sends one order through both daemons, and asserts that Jaeger shows it as one trace:
#   test-jaeger.sh [DIR]      DIR holds the daemons (build/release)
# The parts are those of the environment, or private ones.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

bin=$(readlink -m "${1:-$ROOT/build/release}")
[[ -x $bin/order-svc && -x $bin/delivery-svc ]] || die "no daemons in $bin"
prepare_python
"$ROOT/scripts/jaeger.sh" build
dir=$(mktemp -d)
# shellcheck disable=SC2064 # the directory of now
trap "'$ROOT/scripts/jaeger.sh' stop '$dir'; rm -rf '$dir'" EXIT
"$ROOT/scripts/jaeger.sh" start "$dir"
set -a
# shellcheck disable=SC1091
source "$dir/env"
set +a
export ORDER_SVC=$bin/order-svc DELIVERY_SVC=$bin/delivery-svc
cd "$ROOT/tests/integration"
"$ROOT/build/venv/bin/python" -B -m pytest -q -p no:cacheprovider jaeger.py
