#!/usr/bin/env bash
# Fuzzes the code that reads external data, with libFuzzer:
#   fuzz.sh [SECONDS [TARGET...]]     SECONDS per target (60); all targets when none is named
# Inputs that reach new code stay in build/fuzz/found and are used again. Inputs that crash are in
# build/fuzz/crash-*. Such a file goes to tests/fuzz/crashes/TARGET once it is fixed.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

seconds=${1:-60}
[[ $seconds =~ ^[0-9]+$ ]] || die "usage: fuzz.sh [SECONDS [TARGET...]]"
targets=("${@:2}")
dir=$ROOT/build/fuzz

"$ROOT/scripts/install-deps.sh" build fuzz
say "building build/fuzz"
build fuzz fuzz
if ((${#targets[@]} == 0)); then
    for program in "$dir"/tests/fuzz/fuzz_*; do targets+=("${program##*/fuzz_}"); done
fi

crashes=0
printf '%-12s %12s %9s %9s\n' target executions coverage crashes
for target in "${targets[@]}"; do
    program=$dir/tests/fuzz/fuzz_$target log=$ROOT/build/log/fuzz-$target.log
    [[ -x $program ]] || die "no such target: $target"
    crashed=0
    "$program" -max_total_time="$seconds" -max_len=8192 -dict="$ROOT/tests/fuzz/dict/$target.dict" \
        -artifact_prefix="$dir/crash-$target-" -print_final_stats=1 \
        "$dir/found/$target" "$ROOT"/tests/fuzz/*/"$target" >"$log" 2>&1 || crashed=1
    executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    coverage=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -n 1)
    printf '%-12s %12s %9s %9s\n' "$target" "${executions:-0}" "${coverage:-0}" "$crashed"
    ((crashed == 0)) || grep -m 3 -E 'does not hold|ERROR:|Test unit written' "$log" || tail -n 3 "$log"
    crashes=$((crashes + crashed))
done
((crashes == 0))
