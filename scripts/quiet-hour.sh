#!/usr/bin/env bash
# Tests that healthy daemons under load fire no alert: quiet-hour.sh [RATE [SECONDS]], by default 200 orders a second for
# ten minutes. Needs start-services.sh --observe. Prints each alert that fires, and fails if one does.
# Each order is three events or more. When ElasticMQ cannot take so many, OutboxOld fires, and is right.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

rate=${1:-200} seconds=${2:-600} run=$ROOT/.run
running "$run/prometheus/prometheus.pid" || die "no Prometheus; run scripts/start-services.sh --observe"
alerts=http://127.0.0.1:$(<"$run/prometheus/port")/api/v1/alerts
ORDER_URL=http://localhost:$(value_in "$run/order-svc.config" ORDER_SERVICE_PORT)
DELIVERY_URL=http://localhost:$(value_in "$run/delivery-svc.config" DELIVERY_SERVICE_PORT)
export ORDER_URL DELIVERY_URL

firing() {
    curl -sfS -m 10 "$alerts" |
        jq -r '.data.alerts[] | select(.state == "firing") | "\(.labels.alertname): \(.annotations.summary)"'
}

before=$(firing)
[[ -z $before ]] || die "an alert fires already: $before"
say "$rate orders a second for $seconds s"
python3 "$ROOT/scripts/order-load.py" "$rate" "$seconds" &
load=$!
trap 'kill "$load" 2>/dev/null || true' EXIT
declare -A fired=()
while kill -0 "$load" 2>/dev/null; do
    now=$(firing) || die "Prometheus does not answer"
    while IFS= read -r alert; do
        [[ -z $alert || ${fired[${alert%%:*}]:-} ]] || say "$alert"
        [[ -z $alert ]] || fired[${alert%%:*}]=true
    done <<<"$now"
    sleep 5
done
wait "$load"
((${#fired[@]} == 0)) || die "fired: ${!fired[*]}"
say "no alert fired"
