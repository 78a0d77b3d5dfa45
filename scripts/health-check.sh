#!/usr/bin/env bash
# Reports the state of each part and daemon of start-services.sh. Fails unless all are healthy.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

run=$ROOT/.run
well=true

report() { # NAME ADDRESS STATE
    printf '%-14s %-30s %s\n' "$@"
    [[ $3 == up || $3 == healthy ]] || well=false
}

check() { # NAME ADDRESS COMMAND...
    local name=$1 address=$2
    shift 2
    if "$@" >/dev/null 2>&1; then report "$name" "$address" up; else report "$name" "$address" down; fi
}

check_daemon() { # NAME SETTING
    local url answer
    url=http://localhost:$(value_in "$run/$1.config" "$2")
    answer=$(curl -s -m 3 "$url/health") || true
    report "$1" "$url" "$(jq -r '.status // "down"' <<<"${answer:-"{}"}")"
}

[[ -s $run/order-svc.config && -s $run/delivery-svc.config ]] || die "not started; run scripts/start-services.sh"
config=$run/order-svc.config
db_host=$(value_in "$config" DB_HOST) db_port=$(value_in "$config" DB_PORT)
redis_host=$(value_in "$config" REDIS_HOST) redis_port=$(value_in "$config" REDIS_PORT)
sqs=$(value_in "$config" SQS_ENDPOINT)

check PostgreSQL "$db_host:$db_port" pg_isready -q -t 3 -h "$db_host" -p "$db_port"
check Redis "$redis_host:$redis_port" timeout 3 redis-cli -h "$redis_host" -p "$redis_port" ping
check SQS "$sqs" curl -s -m 3 "$sqs/health"
check_daemon order-svc ORDER_SERVICE_PORT
check_daemon delivery-svc DELIVERY_SERVICE_PORT
$well
