#!/usr/bin/env bash
# Breaks one promise at a time in a copy of the tree, and checks that the fault tests find it:
#   mutate.sh [--seed N] [--duration SECONDS] [NAME...]     of tests/faults/mutations; all when none is named
# Fails when a mutation survives three seeds, or the test that it names. At the end it prints a table of the
# results.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

seed=1 duration=60
while [[ ${1:-} == --* ]]; do
    case $1 in
    --seed) seed=$2 ;;
    --duration) duration=$2 ;;
    *) die "usage: mutate.sh [--seed N] [--duration SECONDS] [NAME...]" ;;
    esac
    shift 2
done
mutations=$ROOT/tests/faults/mutations
names=("$@")
(($# > 0)) || mapfile -t names < <(cd "$mutations" && printf '%s\n' *.patch | sed 's/\.patch$//')

tree=$ROOT/build/mutate
python=$ROOT/build/venv/bin/python
prepare_python
survivors=0
results=()

# Copies the current tree. (Reverting a patch makes its files newer than their objects, so they are compiled again.)
copy_tree() {
    rm -rf "$tree"
    mkdir -p "$tree"
    (cd "$ROOT" && git ls-files -z | tar --null -T - -c) | tar -x -C "$tree"
}

build_mutant() {
    cmake -S "$tree" --preset release -B "$tree/bin" -DBUILD_TESTING=OFF "-DCMAKE_PREFIX_PATH=$ROOT/build/libjwt" &&
        cmake --build "$tree/bin"
}

# try_test NAME MODULE: runs the test of a mutation that random faults might miss, on parts of its own. True when
# the test fails.
try_test() {
    local log=$ROOT/build/log/mutant-$1.log
    env -u DB_HOST ORDER_SVC="$tree/bin/order-svc" DELIVERY_SVC="$tree/bin/delivery-svc" \
        "$python" -B -m pytest -q -p no:cacheprovider "$tree/tests/integration/$2.py" >"$log" 2>&1 || true
    grep -q '^FAILED' "$log"
}

# try_seed NAME SEED: true when the run found a broken promise. Any other failure ends the script.
try_seed() {
    local name=$1 log=$ROOT/build/log/mutant-$1.log only
    only=$(sed -n 's/^Faults: *//p' "$mutations/$name.patch")
    if ORDER_SVC=$tree/bin/order-svc DELIVERY_SVC=$tree/bin/delivery-svc "$python" -B "$tree/tests/faults/run.py" \
        --seed "$2" --duration "$duration" --only "$only" >"$log" 2>&1; then
        return 1
    fi
    grep -q '^BROKEN' "$log" || die "the run itself failed: see $log"
}

# try_seeds NAME: stores what was found, if anything, in result.
try_seeds() {
    local try
    for try in 0 1 2; do
        if try_seed "$1" $((seed + try)); then
            result="caught with seed $((seed + try)): $(sed -n 's/^BROKEN  \([^:]*\):.*/\1/p' "$ROOT/build/log/mutant-$1.log" |
                sort -u | paste -sd ';')"
            return
        fi
    done
}

copy_tree
for name in "${names[@]}"; do
    patch -s -p1 -d "$tree" <"$mutations/$name.patch" || die "$name does not apply"
    (cd "$tree" && quietly "$ROOT/build/log/mutant-build.log" build_mutant)
    result="survived"
    test=$(sed -n 's/^Test: *//p' "$mutations/$name.patch")
    if [[ $test ]]; then
        if try_test "$name" "$test"; then result="caught by $test"; fi
    else
        try_seeds "$name"
    fi
    [[ $result != survived ]] || survivors=$((survivors + 1))
    say "$name: $result"
    patch -s -R -p1 -d "$tree" <"$mutations/$name.patch"
    results+=("| $name | $result |")
done
printf '%s\n' "${results[@]}"
((survivors == 0))
