#!/usr/bin/env bash
# Measures order-svc at ten times what it can take, on parts of its own.
#   measure-overload.sh [SECONDS] [SETTING=VALUE...]     SECONDS of each load (10); settings of order-svc
# First with a database that is the bottleneck (one worker, an order per transaction), so that there is a load of ten
# times as much; then as configured by default, with nearly as many clients as it has connections. There is no queue, so
# that on a small machine nothing takes the processors from what is measured: orders do not wait for it.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

seconds=10
if [[ ${1:-} =~ ^[0-9]+$ ]]; then seconds=$1 && shift; fi
settings=("$@")
ORDER_SVC=${ORDER_SVC:-$ROOT/build/release/order-svc}
[[ -x $ORDER_SVC ]] || build release release
command -v wrk >/dev/null || die "wrk is not installed"
dir=$(mktemp -d)
# shellcheck disable=SC2317
finish() {
    stop "$dir/order-svc.pid"
    "$ROOT/scripts/parts.sh" remove "$dir/parts"
    rm -rf "$dir"
}
trap finish EXIT
chmod 755 "$dir"
"$ROOT/scripts/parts.sh" start "$dir/parts" postgres redis
port=$(free_port)
url=http://127.0.0.1:$port

start_daemon() { # SETTING...
    local -a parts
    mapfile -t parts <"$dir/parts/env"
    spawn "$dir/order-svc.pid" "$dir/log" env "${parts[@]}" APP_ENV=development DEMO_CLIENTS=true LOG_LEVEL=error \
        RATE_LIMIT=0 RATE_LIMIT_ADDRESS=0 SQS_ENDPOINT=http://127.0.0.1:9 BIND_ADDRESS=127.0.0.1 ORDER_SERVICE_PORT="$port" "$@" "$ORDER_SVC"
    wait_until 60 curl -sf -o "$dir/ready" "$url/health/ready" || die "order-svc did not start: $(tail -n 5 "$dir/log")"
    token=$(curl -sf "$url/auth/token" -H 'Content-Type: application/json' \
        -d '{"client_id":"demo-client","client_secret":"demo-secret","grant_type":"client_credentials"}' |
        sed 's/.*"access_token":"\([^"]*\)".*/\1/')
}

load() { # CLIENTS SECONDS PAUSE: prints "201s 503s others seconds"
    wrk -t 2 -c "$1" -d "$2" --timeout 30 -s "$ROOT/tests/bench/orders.lua" "$url" -- "$token" "$3" | tail -n 1
}

# The milliseconds until an order is taken within 100 ms again.
until_normal() {
    local start now answer=
    start=$(date +%s%3N)
    while [[ $answer != "201 0.0"* ]]; do
        now=$(date +%s%3N)
        answer=$(curl -s -o "$dir/answer" -w '%{http_code} %{time_total}' "$url/orders" -H "Authorization: Bearer $token" \
            -H 'Content-Type: application/json' \
            -d "{\"customer_id\":\"probe-$now\",\"items\":[{\"product_id\":\"p\",\"quantity\":1,\"unit_price\":1}]}")
    done
    echo $(($(date +%s%3N) - start))
}

report() { # NAME CLIENTS-FOR-THE-BEST-RATE CLIENTS SETTING...
    local name=$1 best=$2 many=$3 pid created shed other took best_rate rate asked recovery
    shift 3
    start_daemon "$@" "${settings[@]}"
    load "$best" 3 0 >"$dir/warm"
    read -r created _ _ took < <(load "$best" "$seconds" 0)
    best_rate=$(bc <<<"$created / $took")
    read -r created shed other took < <(load "$many" "$seconds" $((1000 * many / (10 * best_rate))))
    recovery=$(until_normal)
    rate=$(bc <<<"$created / $took")
    asked=$(bc <<<"($created + $shed) / $took")
    read -r pid _ <"$dir/order-svc.pid"
    printf '%s\n' "$name:"
    printf '  %-36s %s\n' "best rate, $best clients" "$best_rate orders/s" \
        "overload, $many clients" "$rate orders/s ($((100 * rate / best_rate)) % of the best)" \
        "answered" "$asked requests/s ($((100 * asked / best_rate)) % of the best)" \
        "503" "$((100 * shed / (created + shed + other))) %" \
        "errors and other answers" "$other" \
        "largest memory" "$(awk '/VmHWM/ {print int($2 / 1024)}' "/proc/$pid/status") MiB" \
        "back to normal after" "$recovery ms"
    stop "$dir/order-svc.pid"
}

report "database as the bottleneck" 64 2000 DB_POOL_SIZE=1 BATCH_SIZE=1
report "as configured by default" 256 4000
