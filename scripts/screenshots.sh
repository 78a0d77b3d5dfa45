#!/usr/bin/env bash
# Takes the pictures of the page anew (docs/pictures/page-*.png): builds the daemons, and starts them with parts of their own.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

parts=$ROOT/build/screenshots
"$ROOT/scripts/install-deps.sh" build run test
prepare_python
build release release -DBUILD_TESTING=OFF
trap '"$ROOT/scripts/parts.sh" remove "$parts"' EXIT
"$ROOT/scripts/parts.sh" start "$parts"
set -a
# shellcheck source=/dev/null
source "$parts/env"
set +a
ORDER_SVC=$ROOT/build/release/order-svc DELIVERY_SVC=$ROOT/build/release/delivery-svc \
    "$ROOT/build/venv/bin/python" -B "$ROOT/scripts/screenshots.py"
