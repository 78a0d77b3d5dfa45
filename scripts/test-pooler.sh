#!/usr/bin/env bash
# Runs the integration tests with PgBouncer (pool_mode=transaction) between the daemons and PostgreSQL:
#   test-pooler.sh [-k EXPRESSION] [MODULE]...     as pytest's -k; MODULE: such as test_flow; all of them otherwise
# Tests with parts of their own, or with another DB_HOST, do without it.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

# What speaks of what is not there, or not the same.
deselected=(
    test_connections.py                            # counts sessions, which are the pooler's
)

expression=()
if [[ ${1:-} == -k ]]; then
    expression=(-k "${2:?an expression}")
    shift 2
fi
cd "$ROOT/tests/integration"
modules=()
for module in "${@:-test_*}"; do
    for file in $module.py; do modules+=("$file"); done
done

"$ROOT/scripts/install-deps.sh" build test run
say "building build/pooler"
build pooler dev -DBUILD_TESTING=OFF
prepare_python
parts=$ROOT/build/pooler-parts
trap '"$ROOT/scripts/parts.sh" remove "$parts"' EXIT
"$ROOT/scripts/parts.sh" remove "$parts"
"$ROOT/scripts/parts.sh" start "$parts"
"$ROOT/scripts/parts.sh" start "$parts" pgbouncer
set -a
# shellcheck source=/dev/null
source "$parts/env"
export ORDER_SVC=$ROOT/build/pooler/order-svc DELIVERY_SVC=$ROOT/build/pooler/delivery-svc
set +a
cd "$ROOT/tests/integration"
"$ROOT/build/venv/bin/python" -B -m pytest -q -p no:cacheprovider "${deselected[@]/#/--deselect=}" "${expression[@]}" \
    "${modules[@]}"
