#!/usr/bin/env bash
# Runs Jaeger, which keeps traces in memory and answers questions about them. The first time, it is built with Go, for some
# minutes. It has no pages for a browser: those are not in its Go module.
#   jaeger.sh build      builds build/jaeger/jaeger and prints its path
#   jaeger.sh start DIR  starts it on free ports of 127.0.0.1, and prints the settings of DIR/env: OTEL_EXPORTER_OTLP_ENDPOINT
#                        for the daemons, JAEGER_URL for its API
#   jaeger.sh stop DIR   stops it; its traces are gone
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

version=v1.76.0 # the last one of Jaeger 1
package=github.com/jaegertracing/jaeger/cmd/all-in-one
binary=$ROOT/build/jaeger/jaeger

build_jaeger() {
    [[ ! -x $binary ]] || return 0
    command -v go >/dev/null || die "Jaeger is built with Go: install it"
    say "building Jaeger $version" >&2
    mkdir -p "$ROOT/build/jaeger/module" && cd "$ROOT/build/jaeger/module"
    [[ -f go.mod ]] || quietly "$ROOT/build/log/jaeger.log" go mod init jaeger.invalid/tool
    quietly "$ROOT/build/log/jaeger.log" go get -tool "$package@$version"
    quietly "$ROOT/build/log/jaeger.log" go build -p 2 -o "$binary" "$package"
}

answers() { curl -sf -m 2 -o /dev/null "$1"; } # URL

start_jaeger() { # DIR
    local dir=$1 otlp query admin name options=()
    running "$dir/jaeger.pid" && { cat "$dir/env" && return; }
    mkdir -p "$dir"
    otlp=$(free_port) query=$(free_port) admin=$(free_port)
    # Other protocols, which nobody uses here.
    for name in collector.http-server collector.grpc-server collector.otlp.grpc query.grpc-server; do
        options+=("--$name.host-port=127.0.0.1:0")
    done
    SPAN_STORAGE_TYPE=memory spawn "$dir/jaeger.pid" "$dir/jaeger.log" "$binary" "${options[@]}" \
        --collector.otlp.enabled=true --collector.otlp.http.host-port="127.0.0.1:$otlp" \
        --query.http-server.host-port="127.0.0.1:$query" --admin.http.host-port="127.0.0.1:$admin"
    wait_until 60 answers "http://127.0.0.1:$query/api/services" || {
        tail -n 20 "$dir/jaeger.log" >&2
        die "cannot start Jaeger; above is the end of $dir/jaeger.log"
    }
    printf '%s\n' "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:$otlp" "JAEGER_URL=http://127.0.0.1:$query" >"$dir/env"
    cat "$dir/env"
}

case ${1:-}:$# in
build:1) build_jaeger && echo "$binary" ;;
start:2) dir=$(readlink -m "$2") && build_jaeger && start_jaeger "$dir" ;;
stop:2) stop "$(readlink -m "$2")/jaeger.pid" ;;
*) die "usage: jaeger.sh build | start DIR | stop DIR" ;;
esac
