#!/usr/bin/env bash
# Runs a private Prometheus in a directory, with the rules of deploy/observability, for daemons of this machine:
#   observe.sh start DIR ORDER-SVC DELIVERY-SVC   each the HOST:PORT of its GET /metrics; prints the URL of Prometheus
#   observe.sh stop DIR                           the data stays
# The port is PROMETHEUS_PORT, else 9090 or, when that is taken, a free one. It is kept in DIR.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

usage="usage: observe.sh start DIR ORDER-SVC DELIVERY-SVC | stop DIR"
(($# >= 2)) || die "$usage"
verb=$1 dir=$(readlink -m "$2")
shift 2

choose_port() {
    if [[ ${PROMETHEUS_PORT:-} ]]; then
        port_is_free "$PROMETHEUS_PORT" || die "port $PROMETHEUS_PORT is in use; set PROMETHEUS_PORT to a free one"
        echo "$PROMETHEUS_PORT"
    elif port_is_free 9090; then
        echo 9090
    else
        free_port
    fi
}
port_is_free() { ! port_open "$1"; }

targets() { # JOB [ADDRESS]
    printf -- '- targets: [%s]\n' "${2:+\"$2\"}" >"$dir/targets/$1.yml"
}

answers() { curl -sf -m 2 "http://127.0.0.1:$port/-/ready" >/dev/null; }

start() { # ORDER-SVC DELIVERY-SVC
    mkdir -p "$dir/targets"
    if ! running "$dir/prometheus.pid"; then
        port=$(choose_port)
        echo "$port" >"$dir/port"
    fi
    port=$(<"$dir/port")
    cp "$ROOT/deploy/observability/prometheus.yml" "$dir"
    ln -sfnT "$ROOT/deploy/observability/rules" "$dir/rules"
    targets order-svc "$1" # a running Prometheus notices
    targets delivery-svc "$2"
    targets prometheus "127.0.0.1:$port"
    targets alertmanager
    running "$dir/prometheus.pid" || spawn "$dir/prometheus.pid" "$dir/log" prometheus --config.file="$dir/prometheus.yml" \
        --storage.tsdb.path="$dir/data" --web.listen-address="127.0.0.1:$port" \
        --enable-feature=exemplar-storage
    if ! wait_until 60 answers; then
        tail -n 20 "$dir/log" >&2
        die "cannot start Prometheus; above is the end of $dir/log"
    fi
    echo "http://127.0.0.1:$port"
}

case $verb in
start)
    (($# == 2)) || die "$usage"
    start "$@"
    ;;
stop)
    (($# == 0)) || die "$usage"
    stop "$dir/prometheus.pid"
    ;;
*) die "$usage" ;;
esac
