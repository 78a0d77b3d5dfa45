#!/usr/bin/env bash
# Runs the integration tests with PgBouncer (pool_mode=transaction) between the daemons and PostgreSQL:
#   test-pooler.sh [MODULE]...     MODULE: such as test_flow; all of them otherwise
# Daemons with a PostgreSQL, user or password of their own do without it.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

# Not these:
left_out=(
    test_connections # counts sessions, which are the pooler's
    test_lists       # waits until there is no session
    test_pooler      # has a pooler of its own
    test_fault_disk  # has a PostgreSQL of its own, as has the next one
    test_fault_hosts
    test_scripts     # run no daemon, as do the next ones
    test_queue_moto
    test_sigv4
    test_systemd
)

cd "$ROOT/tests/integration"
modules=("$@")
if (($# == 0)); then
    for file in test_*.py; do
        [[ " ${left_out[*]} " == *" ${file%.py} "* ]] || modules+=("${file%.py}")
    done
fi

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
export ROOT ORDER_SVC=$ROOT/build/pooler/order-svc DELIVERY_SVC=$ROOT/build/pooler/delivery-svc
set +a
cd "$ROOT/tests/integration"

# test MODULE: one line for each, and the output of those that fail.
test_module() {
    local output
    if output=$("$ROOT/build/venv/bin/python" -B -m pytest -q -p no:cacheprovider "$1.py" 2>&1); then
        printf '%s: %s\n' "$1" "${output##*$'\n'}"
    else
        printf '%s\n%s: FAILED\n' "$output" "$1"
        return 1
    fi
}
export -f test_module
printf '%s\n' "${modules[@]}" | xargs -P "$(($(nproc) + 1))" -I{} bash -c 'test_module {}'
