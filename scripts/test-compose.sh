#!/usr/bin/env bash
# Tries docker-compose.yml: builds, starts on free ports, runs the demo, looks at the hardening, stops in order.
# Needs a Docker daemon that has or can fetch the images.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

cd "$ROOT"
compose=(docker-compose)
if docker compose version >/dev/null 2>&1; then compose=(docker compose); fi
compose+=(-p "compose-test-$$")
ORDER_SERVICE_PORT=$(free_port) DELIVERY_SERVICE_PORT=$(free_port)
DB_PORT=$(free_port) REDIS_PORT=$(free_port) ELASTICMQ_PORT=$(free_port)
export ORDER_SERVICE_PORT DELIVERY_SERVICE_PORT DB_PORT REDIS_PORT ELASTICMQ_PORT

container() { "${compose[@]}" ps -q "$1"; }
healthy() { [[ $(docker inspect -f '{{.State.Health.Status}}' "$(container "$1")") == healthy ]]; }

trap '"${compose[@]}" down -v --remove-orphans >/dev/null 2>&1' EXIT
say "building the image"
quietly build/log/compose-build.log "${compose[@]}" build
say "starting the containers"
quietly build/log/compose-up.log "${compose[@]}" up -d
for daemon in order-svc delivery-svc; do
    wait_until 60 healthy "$daemon" || {
        "${compose[@]}" logs "$daemon"
        die "$daemon is not healthy"
    }
done

say "running the demo"
ORDER_URL=http://localhost:$ORDER_SERVICE_PORT DELIVERY_URL=http://localhost:$DELIVERY_SERVICE_PORT demo/demo.sh

say "looking at the containers"
for daemon in order-svc delivery-svc; do
    [[ $(docker exec "$(container "$daemon")" bash -c 'echo $EUID') == 10001 ]] || die "$daemon runs as another user"
    ! docker exec "$(container "$daemon")" bash -c 'echo > /tmp/file' 2>/dev/null || die "$daemon may write files"
    id=$(container "$daemon")
    docker stop -t 30 "$id" >/dev/null
    [[ $(docker inspect -f '{{.State.ExitCode}}' "$id") == 0 ]] || die "$daemon did not stop in order"
done
say "the composition works; its image has $(docker image inspect -f '{{.Size}}' order-processing-system | numfmt --to=iec)"
