#!/usr/bin/env bash
# Lets parts and a daemon fail, one after the other, while a Prometheus watches: each fault fires exactly its alerts, and
# none stays on. Takes about five minutes, because alerts wait. The rules themselves are tested by run-tests.sh.
#   test-alerts.sh [PYTEST-OPTION...]
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

"$ROOT/scripts/install-deps.sh" build test run
build release release -DBUILD_TESTING=OFF
prepare_python
export ORDER_SVC=$ROOT/build/release/order-svc DELIVERY_SVC=$ROOT/build/release/delivery-svc
exec "$ROOT/build/venv/bin/python" -B -m pytest -q -p no:cacheprovider "$@" "$ROOT/tests/integration/fault_alerts.py"
