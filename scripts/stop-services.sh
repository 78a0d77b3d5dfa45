#!/usr/bin/env bash
# Stops what start-services.sh started. The data stays, unless --clean is given, which deletes .run.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

run=$ROOT/.run
[[ $# == 0 || $* == --clean ]] || die "usage: stop-services.sh [--clean]"

# The daemons first: they finish what they have begun. The parts are only there for them.
for name in delivery-svc order-svc; do
    running "$run/$name.pid" || continue
    say "stopping $name"
    stop "$run/$name.pid"
done
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
