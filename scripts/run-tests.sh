#!/usr/bin/env bash
# Runs the tests: all of them under ASan and UBSan, those that say something about threads under TSan, unit tests under
# valgrind, and a few seconds of fuzzing.
#   run-tests.sh [--quick] [-R REGEX]     --quick: only the unit tests under ASan; REGEX: as ctest's -R
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

quick=false
select=() none=error
while (($# > 0)); do
    case $1 in
    --quick) quick=true ;;
    -R) select=(-R "${2:?a regular expression}") none=ignore && shift ;; # it need not match in every build
    *) die "usage: run-tests.sh [--quick] [-R REGEX]" ;;
    esac
    shift
done

logs=$ROOT/build/log
jobs=$(($(nproc) + 1)) # tests wait more than they work
parts=$ROOT/build/test-parts
passed=() failed=()

# run_tests BUILD CTEST-COMMAND...: shows all output, and keeps the summary for the end.
run_tests() {
    local name=$1
    shift
    say "testing build/$name"
    if "$@" --test-dir "$ROOT/build/$name" --output-on-failure --no-tests=$none -j "$jobs" "${select[@]}" |
        tee "$logs/$name-test.log"; then
        passed+=("$name")
    else
        failed+=("$name")
    fi
}

# Prints ctest's summaries with the error messages at the end, those with failures last.
finish() {
    local name logs_of_run=()
    for name in "${passed[@]}" "${failed[@]}"; do
        printf '\n== build/%s\n' "$name"
        grep -E '^(E  |\[  (ERROR|FAILED))|(SUMMARY|WARNING): [A-Z]' "$logs/$name-test.log" | head -n 40 || true
        sed -n '/% tests passed/,$p' "$logs/$name-test.log"
    done
    ((${#failed[@]} == 0)) || return 1
    for name in "${passed[@]}"; do logs_of_run+=("$logs/$name-test.log"); done
    grep -qF "% tests passed" "${logs_of_run[@]}" || die "no test has such a name"
}

"$ROOT/scripts/install-deps.sh" build test
say "building build/asan"
build asan asan
if $quick; then
    none=error
    run_tests asan ctest -L unit
    exit "${#failed[@]}"
fi

"$ROOT/scripts/install-deps.sh" run fuzz haproxy
say "fetching ElasticMQ, axe-core and the tests' Python packages where missing, building build/tsan, build/valgrind and build/fuzz"
{ prepare_python && "$ROOT/scripts/axe.sh" >/dev/null; } &
fetching=$!
build tsan tsan
build valgrind dev \
    "-DCMAKE_CROSSCOMPILING_EMULATOR=valgrind;-q;--fair-sched=yes;--error-exitcode=99;--leak-check=full;--show-leak-kinds=definite;--errors-for-leak-kinds=definite"
build fuzz fuzz
wait "$fetching"
export JAVA_TOOL_OPTIONS=-XX:TieredStopAtLevel=1 # many ElasticMQs start and live short: the simple compiler suits them
say "starting the parts in build/test-parts"
trap '"$ROOT/scripts/parts.sh" remove "$parts"' EXIT
"$ROOT/scripts/parts.sh" remove "$parts"
"$ROOT/scripts/parts.sh" start "$parts"
set -a
# shellcheck source=/dev/null
source "$parts/env"
set +a

run_tests fuzz ctest
run_tests valgrind ctest -L unit
# TSan cannot always place its shadow memory when addresses are random. A sandbox may forbid to switch that off.
fixed_addresses=()
if setarch -R true 2>/dev/null; then fixed_addresses=(setarch -R); fi
run_tests tsan "${fixed_addresses[@]}" ctest -L "unit|integration"
run_tests asan ctest
finish
