#!/usr/bin/env bash
# Prints the table of all settings in docs/CONFIGURATION.md, from the --help of both daemons:
#   knobs.sh [--write] [DIR]      DIR holds the daemons (build/release); --write updates the document
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

document=$ROOT/docs/CONFIGURATION.md
write=false
if [[ ${1:-} == --write ]]; then write=true && shift; fi
[[ $# -le 1 && ${1:-} != -* ]] || die "usage: knobs.sh [--write] [DIR]"
bin=${1:-$ROOT/build/release}
[[ -x $bin/order-svc && -x $bin/delivery-svc ]] || die "no daemons in $bin; scripts/start-services.sh builds them"

# One line per setting: NAME, default, help and values, separated by tabs. --help has two lines per setting:
#   NAME=default
#       help (values)
settings() { # DAEMON
    "$bin/$1" --help | awk -v OFS='\t' '
        match($0, /^  [A-Z][A-Z0-9_]*=/) {
            name = substr($0, 3, RLENGTH - 3)
            value = substr($0, RLENGTH + 1)
            getline
            sub(/^ +/, "")
            open = match($0, / \([^()]*\)$/)
            values = substr($0, open + 2, length($0) - open - 2)
            gsub(/\|/, ", ", values)
            print name, value, substr($0, 1, open - 1), values
        }'
}

table() {
    echo '| setting | default | daemon | meaning | values |'
    echo '|---|---|---|---|---|'
    # Both lists are in the order of the code. A setting of one daemon follows the common setting before it.
    awk -F '\t' '
        BEGIN { at = count = 0 }
        function row(daemon) {
            printf "| `%s` | %s | %s | %s | %s |\n", $1, $2 == "" ? "" : "`" $2 "`", daemon, $3, $4
        }
        function order_only(until) {
            for (; at < count && names[at] != until; at++) {
                $0 = lines[at]
                row("order-svc")
            }
        }
        NR == FNR { lines[count] = $0; names[count++] = $1; known[$1]; next }
        $1 in known { order_only($1); $0 = lines[at++]; row("both"); next } # a default that differs: the help says so
        { row("delivery-svc") }
        END { order_only("") }' <(settings order-svc) <(settings delivery-svc)
}

rows=$(table)
if ! $write; then
    printf '%s\n' "$rows"
    exit
fi
text=$(ROWS=$rows awk '
    /<!-- settings: begin -->/ { print; print ENVIRON["ROWS"]; inside = 1 }
    /<!-- settings: end -->/ { inside = 0 }
    !inside' "$document")
printf '%s\n' "$text" >"$document"
