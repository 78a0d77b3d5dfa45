#!/usr/bin/env bash
# Measures order-svc under ten times the load it can take, on parts of its own. Fails when a bound is missed.
#   measure-overload.sh [SECONDS] [SETTING=VALUE...]     SECONDS of each load (10); settings of order-svc
# The first measurement makes the disk the bottleneck: a commit takes 20 ms and has one order, so that ten times the
# load is possible. The second uses the default configuration, with nearly as many clients as there are connections.
# No queue runs. Orders do not wait for it, and on a small machine it would take CPU time from order-svc. The best
# rate is the mean of one measured before and one after, because other work on the machine varies.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

seconds=10
if [[ ${1:-} =~ ^[0-9]+$ ]]; then seconds=$1 && shift; fi
settings=("$@")
"$ROOT/scripts/install-deps.sh" run bench
ORDER_SVC=${ORDER_SVC:-$ROOT/build/release/order-svc}
[[ -x $ORDER_SVC ]] || build release release
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
failed=false

start_daemon() { # SETTING...
    local -a parts
    mapfile -t parts <"$dir/parts/env"
    spawn "$dir/order-svc.pid" "$dir/log" env "${parts[@]}" APP_ENV=development DEMO_CLIENTS=true LOG_LEVEL=error \
        RATE_LIMIT=0 RATE_LIMIT_ADDRESS=0 ORDER_RATE_LIMIT=0 SQS_ENDPOINT=http://127.0.0.1:9 BIND_ADDRESS=127.0.0.1 \
        ORDER_SERVICE_PORT="$port" "$@" "$ORDER_SVC"
    wait_until 60 curl -sf -o "$dir/ready" "$url/health/ready" || die "order-svc did not start: $(tail -n 5 "$dir/log")"
    token=$(curl -sf "$url/auth/token" -H 'Content-Type: application/json' \
        -d '{"client_id":"demo-client","client_secret":"demo-secret","grant_type":"client_credentials"}' |
        sed 's/.*"access_token":"\([^"]*\)".*/\1/')
}

commits_take() { # MILLISECONDS: the delay that is added to each commit
    local name
    for name in "commit_delay = $((1000 * $1))" "commit_siblings = 0"; do
        PGPASSWORD=$(sed -n 's/^DB_PASSWORD=//p' "$dir/parts/env") psql -qh 127.0.0.1 \
            -p "$(<"$dir/parts/postgres.port")" -U admin orderprocessing -c "ALTER DATABASE orderprocessing SET $name"
    done
}

load() { # CLIENTS SECONDS PAUSE: prints "201s 503s others milliseconds"
    wrk -t 2 -c "$1" -d "$2" --timeout 30 -s "$ROOT/tests/bench/orders.lua" "$url" -- "$token" "$3" | tail -n 1
}

# Prints the milliseconds until an order is accepted within 100 ms again.
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

row() { printf '  %-44s %8s %-12s %-14s %s\n' "$@"; } # WHAT MEASURED UNIT BOUND VERDICT

check() { # WHAT MEASURED UNIT least|most BOUND
    local verdict=ok
    if [[ $4 == least ]]; then (($2 >= $5)) || verdict=FAILED; else (($2 <= $5)) || verdict=FAILED; fi
    [[ $verdict == ok ]] || failed=true
    row "$1" "$2" "$3" "$4 $5" "$verdict"
}

report() { # NAME CLIENTS-FOR-THE-BEST-RATE CLIENTS LEAST-LOAD SETTING...
    local name=$1 best=$2 many=$3 least=$4 pid created shed other ms again recovery rate asked before best_rate
    shift 4
    start_daemon "$@" "${settings[@]}"
    load "$best" 3 0 >"$dir/warm"
    read -r created _ _ ms < <(load "$best" "$seconds" 0)
    before=$((1000 * created / ms))
    # The clients aim at 15 times the best rate, because some wait for their order, and the machine may be slow.
    read -r created shed other ms < <(load "$many" "$seconds" $((1000 * many / (15 * before))))
    recovery=$(until_normal)
    rate=$((1000 * created / ms)) asked=$((1000 * (created + shed) / ms))
    read -r created _ again ms < <(load "$best" "$seconds" 0)
    best_rate=$(((before + 1000 * created / ms) / 2))
    read -r pid _ <"$dir/order-svc.pid"
    printf '%s:\n' "$name"
    row "best rate, $best clients" "$best_rate" orders/s "" ""
    row "overload, $many clients: stored" "$rate" orders/s "" ""
    row "answered 503 with Retry-After" $((100 * shed / (asked * seconds + 1))) % "" ""
    ((least == 0)) || check "offered load, of the best rate" $((100 * asked / best_rate)) % least "$least"
    check "stored, of the best rate" $((100 * rate / best_rate)) % least 80
    check "other answers, and errors" $((other + again)) "" most 0
    check "peak memory" "$(awk '/VmHWM/ {print int($2 / 1024)}' "/proc/$pid/status")" MiB most 256
    check "back to normal after" "$recovery" ms most 1000
    stop "$dir/order-svc.pid"
}

commits_take 20
report "disk as the bottleneck" 64 1000 1000 BATCH_SIZE=1
commits_take 0
report "as configured by default" 256 4000 0
printf '(load average of the machine, %s processors: %s)\n' "$(nproc)" "$(cut -d' ' -f1-3 /proc/loadavg)"
! $failed
