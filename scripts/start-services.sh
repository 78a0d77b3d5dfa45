#!/usr/bin/env bash
# Starts the whole system: builds it, starts the parts it needs, migrates the database, starts both daemons.
# Each part (PostgreSQL, Redis, ElasticMQ) is a private one in .run, unless the environment sets its address
# (DB_HOST, REDIS_HOST, SQS_ENDPOINT) or the address in .env differs from env.example.
#   start-services.sh [--observe]    --observe also starts a Prometheus in .run, with the alerts of deploy/observability
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

run=$ROOT/.run
bin=$ROOT/build/release
daemons=(order-svc delivery-svc)
[[ $# == 0 || $* == --observe ]] || die "usage: start-services.sh [--observe]"
observe=${1:-}

port_setting() { # DAEMON
    local name=${1%-svc}
    echo "${name^^}_SERVICE_PORT"
}

url() { echo "http://localhost:$(setting "$(port_setting "$1")")"; } # DAEMON

healthy() { curl -s -m 2 "$(url "$1")/health" | grep -q '"status":"healthy"'; } # DAEMON

ours() { # SETTING...: true when the user has set none of them
    local name
    for name in "$@"; do
        [[ -z ${!name:-} && $(setting "$name") == "$(value_in "$ROOT/env.example" "$name")" ]] || return 1
    done
}

everything_runs() {
    local name
    for name in "${private[@]}" "${daemons[@]}"; do running "$run/$name.pid" || return 1; done
    for name in "${daemons[@]}"; do healthy "$name" || return 1; done
}

await_health() { # DAEMON
    local deadline=$((SECONDS + 60))
    until healthy "$1"; do
        if ! running "$run/$1.pid" || ((SECONDS >= deadline)); then
            tail -n 20 "$run/log/$1.log" >&2
            die "$1 is not healthy; above is the end of .run/log/$1.log"
        fi
        sleep 0.1
    done
}

metrics_of() { # DAEMON
    local port
    port=$(value_in "$run/$1.config" METRICS_PORT)
    ((port)) || die "METRICS_PORT is 0, so there is nothing to observe"
    echo "127.0.0.1:$port"
}

start_prometheus() {
    [[ $observe ]] || return 0
    local addresses=() name url
    "$ROOT/scripts/install-deps.sh" observe
    for name in "${daemons[@]}"; do addresses+=("$(metrics_of "$name")"); done
    url=$("$ROOT/scripts/observe.sh" start "$run/prometheus" "${addresses[@]}")
    say "Prometheus shows metrics and alerts: $url"
}

private=()
if ours DB_HOST DB_PORT; then private+=(postgres); fi
if ours REDIS_HOST REDIS_PORT; then private+=(redis); fi
if ours SQS_ENDPOINT; then private+=(elasticmq); fi

mkdir -p "$run"
exec 9>"$run/lock"
flock -n 9 || die "another start-services.sh is at work"
"$ROOT/scripts/install-deps.sh" build run
if everything_runs; then
    say "everything is running already: $(url order-svc) $(url delivery-svc)"
    start_prometheus
    exit 0
fi
for name in "${daemons[@]}"; do
    port=$(setting "$(port_setting "$name")")
    running "$run/$name.pid" || ! port_open "$port" ||
        die "port $port is in use; stop that program, or set $(port_setting "$name") to a free port"
done

say "building the daemons in build/release"
build release release -DBUILD_TESTING=OFF
mkdir -p "$run/log"
if ((${#private[@]} > 0)); then
    say "starting ${private[*]} in .run"
    "$ROOT/scripts/parts.sh" start "$run" "${private[@]}"
    set -a
    # shellcheck source=/dev/null
    source <("$ROOT/scripts/parts.sh" env "$run" "${private[@]}")
    set +a
fi
# A message costs ElasticMQ the more, the more it has had in that queue within five minutes.
if [[ " ${private[*]} " == *" elasticmq "* ]] && ours QUEUE_SHARDS; then export QUEUE_SHARDS=8; fi
say "database $(setting DB_HOST):$(setting DB_PORT), Redis $(setting REDIS_HOST):$(setting REDIS_PORT)," \
    "SQS $(setting SQS_ENDPOINT), other settings from ${ENV_FILE#"$ROOT/"}"

for name in "${daemons[@]}"; do
    running "$run/$name.pid" && continue
    say "migrating the database of $name and starting it"
    "$bin/$name" --env "$ENV_FILE" --print-config >"$run/$name.config" # for health-check.sh and the demo
    quietly "$run/log/$name-migrate.log" "$bin/$name" --env "$ENV_FILE" --migrate
    spawn "$run/$name.pid" "$run/log/$name.log" "$bin/$name" --env "$ENV_FILE"
done
for name in "${daemons[@]}"; do
    await_health "$name"
    say "$name is healthy: $(url "$name")"
done
start_prometheus
say "logs are in .run/log; try demo/demo.sh; stop with scripts/stop-services.sh"
