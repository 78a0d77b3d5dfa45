#!/usr/bin/env bash
# Tests docker-compose.yml: builds, starts on free ports, runs the demo, checks the hardening and that daemons stop
# cleanly. Then it tests deploy/docker-compose.production.yml with an order of a registered client. Needs a Docker
# daemon that has the images or can fetch them.
#   test-compose.sh --scale    tests docker-compose.scale.yml instead: three replicas of each daemon behind HAProxy, which
#                              are restarted one after the other under load, then five and three again
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

scale=false
case ${1:-} in
--scale) scale=true ;;
?*) die "usage: test-compose.sh [--scale]" ;;
esac
cd "$ROOT"
compose=(docker-compose)
if docker compose version >/dev/null 2>&1; then compose=(docker compose); fi
compose+=(-p "compose-test-$$")
ORDER_SERVICE_PORT=$(free_port) DELIVERY_SERVICE_PORT=$(free_port)
DB_PORT=$(free_port) REDIS_PORT=$(free_port) ELASTICMQ_PORT=$(free_port)
export ORDER_SERVICE_PORT DELIVERY_SERVICE_PORT DB_PORT REDIS_PORT ELASTICMQ_PORT

container() { "${compose[@]}" ps -q "$1"; } # or containers, one a line
healthy() { # SERVICE: all of its containers
    local containers
    mapfile -t containers < <(container "$1")
    [[ $(docker inspect -f '{{.State.Health.Status}}' "${containers[@]}" | sort -u) == healthy ]]
}

start() { # [OPTION...]
    quietly build/log/compose-up.log "${compose[@]}" up -d "$@"
    for daemon in order-svc delivery-svc; do
        wait_until 60 healthy "$daemon" || {
            "${compose[@]}" logs "$daemon"
            die "$daemon is not healthy"
        }
    done
}

trap '"${compose[@]}" down -v --remove-orphans >/dev/null 2>&1' EXIT
say "building the image"
quietly build/log/compose-build.log "${compose[@]}" build
if $scale; then
    compose+=(-f docker-compose.yml -f docker-compose.scale.yml)
    BALANCER_ORDER_PORT=$(free_port) BALANCER_DELIVERY_PORT=$(free_port) BALANCER_WATCH_PORT=$(free_port)
    export ORDER_SERVICE_PORT=0 DELIVERY_SERVICE_PORT=0 BALANCER_ORDER_PORT BALANCER_DELIVERY_PORT BALANCER_WATCH_PORT
    # Containers that share a busy disk take their time for a first connection. This is about restarts, not about deadlines.
    sed -E 's/^(DB_CONNECT_TIMEOUT|DB_STATEMENT_TIMEOUT|HTTP_QUEUE_TIMEOUT)=.*/\1=20s/' env.example >build/compose-scale.env
    export ENV_FILE=build/compose-scale.env
    say "starting three replicas of each daemon"
    start --scale order-svc=3 --scale delivery-svc=3
    say "restarting each replica under load"
    prepare_python
    mapfile -t replicas < <(container order-svc && container delivery-svc)
    DB_HOST=127.0.0.1 DB_USER=admin DB_PASSWORD=admin123 REDIS_HOST=127.0.0.1 SQS_ENDPOINT=http://127.0.0.1:$ELASTICMQ_PORT \
        "$ROOT/build/venv/bin/python" -B tests/rolling/containers.py "${compose[*]}" "${replicas[@]}"
    say "running the demo through HAProxy"
    ORDER_URL=http://localhost:$BALANCER_ORDER_PORT DELIVERY_URL=http://localhost:$BALANCER_DELIVERY_PORT demo/demo.sh
    say "docker-compose works with many replicas"
    exit
fi
say "starting the containers"
start

say "running the demo"
ORDER_URL=http://localhost:$ORDER_SERVICE_PORT DELIVERY_URL=http://localhost:$DELIVERY_SERVICE_PORT demo/demo.sh

say "checking the containers"
for daemon in order-svc delivery-svc; do
    [[ $(docker exec "$(container "$daemon")" bash -c 'echo $EUID') == 10001 ]] || die "$daemon does not run as user 10001"
    ! docker exec "$(container "$daemon")" bash -c 'echo > /tmp/file' 2>/dev/null || die "$daemon can write files"
    id=$(container "$daemon")
    limits='{{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} {{.HostConfig.SecurityOpt}} {{.HostConfig.Memory}}'
    [[ $(docker inspect -f "$limits {{.HostConfig.PidsLimit}}" "$id") == \
        'true [ALL] [no-new-privileges:true] 536870912 256' ]] || die "$daemon has other limits than expected"
    docker stop -t 30 "$id" >/dev/null
    [[ $(docker inspect -f '{{.State.ExitCode}}' "$id") == 0 ]] || die "$daemon did not stop cleanly"
done
say "starting again with the production settings"
"${compose[@]}" down -v >/dev/null 2>&1
export SECRETS=$ROOT/build/compose-secrets DB_PASSWORD=password-of-the-administrator
mkdir -p "$SECRETS"
for name in jwt_secret webhook_secrets_key {order,delivery}_{svc,migrator}_password; do
    od -An -N32 -tx1 /dev/urandom | tr -d ' \n' >"$SECRETS/$name"
done
export SQS_ENDPOINT=http://elasticmq:9324 AWS_ACCESS_KEY_ID_FILE='' AWS_SECRET_ACCESS_KEY_FILE=''
compose+=(-f docker-compose.yml -f deploy/docker-compose.production.yml --profile elasticmq)
start
secret=$(docker exec "$(container order-svc)" order-svc client add shop order:create order:read webhook:manage |
    sed -n 's/^client_secret: //p')
token() {
    curl -s -u "shop:$secret" -d grant_type=client_credentials "http://localhost:$ORDER_SERVICE_PORT/auth/token" |
        jq -er .access_token
}
wait_until 30 token >/dev/null || die "the new client gets no token"
post() { # PATH BODY: prints the status
    curl -s -o /dev/null -w '%{http_code}' "http://localhost:$ORDER_SERVICE_PORT$1" -H "Authorization: Bearer $(token)" \
        -H 'Content-Type: application/json' -d "$2"
}
ordered=$(post /orders '{"customer_id":"c","items":[{"product_id":"p","quantity":1,"unit_price":1.5}]}')
[[ $ordered == 201 ]] || die "POST /orders was answered $ordered"
hooked=$(post /webhooks '{"url":"https://hooks.example.com/orders"}')
[[ $hooked == 201 ]] || die "POST /webhooks was answered $hooked"
say "docker-compose works; the size of the image is $(docker image inspect -f '{{.Size}}' order-processing-system | numfmt --to=iec)"
