#!/usr/bin/env bash
# Compares the daemons with the limits of their parts, side by side on parts of its own, and prints a table:
#   bench.sh [--quick] [--full] [--only REGEX] [--write]      see bench.sh --help
#   bench.sh --peers [--quick] [--only REGEX] [--write]       against the same order path in Go and Rust
# Exits with 1 when a floor is missed. For meaningful figures, nothing else should run.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

"$ROOT/scripts/install-deps.sh" build run bench
if [[ " $* " == *" --peers "* ]]; then # a peer whose toolchain cannot be had is left out
    command -v go >/dev/null || "$ROOT/scripts/install-deps.sh" go || say "Go: missing"
    command -v cargo >/dev/null || "$ROOT/scripts/install-deps.sh" rust-web || "$ROOT/scripts/install-deps.sh" rust || say "Rust: missing"
fi
build release release -DBUILD_TESTING=OFF -DBENCH=ON
prepare_python
export TMPDIR=$ROOT/build/bench # must be on a disk, but /tmp may be in memory
mkdir -p "$TMPDIR"
exec "$ROOT/build/venv/bin/python" -B "$ROOT/tests/bench/run.py" "$@"
