#!/usr/bin/env bash
# Prints the manual page of a daemon with its current options and settings, from its --help:
#   man.sh order-svc|delivery-svc [DIR]      DIR holds the daemons (build/release)
#   man.sh --write [DIR]                     updates both in docs/man
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

[[ ${1:-} =~ ^(--write|order-svc|delivery-svc)$ && $# -le 2 ]] || die "usage: man.sh order-svc|delivery-svc|--write [DIR]"
bin=${2:-$ROOT/build/release}
[[ -x $bin/order-svc && -x $bin/delivery-svc ]] || die "no daemons in $bin; scripts/start-services.sh builds them"

# Options are "  --name ARG     text", with more text on deeper lines. Settings are "  NAME=default", then a deeper line.
page() { # DAEMON
    OPTIONS=$("$bin/$1" --help | awk '/^Environment/ { exit } { print }') SETTINGS=$("$bin/$1" --help | sed '1,/^Environment/d') \
        awk '
        function plain(text) {
            gsub(/\\/, "\\e", text)
            gsub(/-/, "\\-", text)
            return text ~ /^[.\x27]/ ? "\\&" text : text
        }
        function options(   lines, count, i, line, gap) {
            count = split(ENVIRON["OPTIONS"], lines, "\n")
            for (i = 1; i <= count; i++) {
                line = lines[i]
                if (match(line, /^  --[^ ]+( [A-Z]+)?  +/)) {
                    gap = RLENGTH
                    line = substr(line, 3)
                    sub(/  +.*/, "", line)
                    print ".TP\n.B " plain(line) "\n" plain(substr(lines[i], gap + 1))
                } else if (gap && match(line, /^ +/) && RLENGTH == gap)
                    print plain(substr(line, gap + 1))
            }
        }
        function settings(   lines, count, i) {
            count = split(ENVIRON["SETTINGS"], lines, "\n")
            for (i = 1; i <= count; i++)
                if (match(lines[i], /^  [A-Z]/))
                    print ".TP\n.B " plain(substr(lines[i], 3))
                else if (sub(/^ +/, "", lines[i]))
                    print plain(lines[i])
        }
        /^\.\\" end/ { inside = 0 }
        !inside
        /^\.\\" options: begin/ { options(); inside = 1 }
        /^\.\\" settings: begin/ { settings(); inside = 1 }' "$ROOT/docs/man/$1.8"
}

if [[ $1 != --write ]]; then
    page "$1"
    exit
fi
for daemon in order-svc delivery-svc; do
    text=$(page "$daemon")
    printf '%s\n' "$text" >"$ROOT/docs/man/$daemon.8"
done
