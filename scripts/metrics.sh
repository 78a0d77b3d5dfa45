#!/usr/bin/env bash
# Prints docs/OBSERVABILITY.md with the current table of metrics, from --list-metrics of a daemon:
#   metrics.sh [--write] [DIR]      DIR holds the daemons (build/release); --write updates the document
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

document=$ROOT/docs/OBSERVABILITY.md
write=false
if [[ ${1:-} == --write ]]; then write=true && shift; fi
[[ $# -le 1 && ${1:-} != -* ]] || die "usage: metrics.sh [--write] [DIR]"
daemon=${1:-$ROOT/build/release}/order-svc
[[ -x $daemon ]] || die "no $daemon; scripts/start-services.sh builds it"

text=$(TABLE=$("$daemon" --list-metrics) awk '
    /<!-- metrics: begin -->/ { print; print ENVIRON["TABLE"]; inside = 1 }
    /<!-- metrics: end -->/ { inside = 0 }
    !inside' "$document")
if $write; then printf '%s\n' "$text" >"$document"; else printf '%s\n' "$text"; fi
