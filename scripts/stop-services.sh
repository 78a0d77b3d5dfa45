#!/usr/bin/env bash
# Stops the daemons, the private parts, Prometheus and Jaeger in .run. The data stays; --clean deletes it.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

run=$ROOT/.run
[[ $# == 0 || $* == --clean ]] || die "usage: stop-services.sh [--clean]"

# The daemons stop first, because they need the parts to finish what they have begun.
for name in delivery-svc order-svc; do
    running "$run/$name.pid" || continue
    say "stopping $name"
    stop "$run/$name.pid"
done
if running "$run/prometheus/prometheus.pid"; then
    say "stopping Prometheus"
    "$ROOT/scripts/observe.sh" stop "$run/prometheus"
fi
if running "$run/jaeger/jaeger.pid"; then
    say "stopping Jaeger"
    "$ROOT/scripts/jaeger.sh" stop "$run/jaeger"
fi
for part in elasticmq redis postgres; do
    running "$run/$part.pid" || continue
    say "stopping $part"
    "$ROOT/scripts/parts.sh" stop "$run" "$part"
done
if [[ ${1:-} == --clean ]]; then
    "$ROOT/scripts/parts.sh" remove "$run"
    say "deleted .run"
fi
say "stopped"
