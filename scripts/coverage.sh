#!/usr/bin/env bash
# Runs the unit tests and prints which lines of src and include they execute, by file, the least covered first:
#   coverage.sh [COUNT]      the COUNT least covered files (20), and the total
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

count=${1:-20}
[[ $# -le 1 && $count =~ ^[0-9]+$ ]] || die "usage: coverage.sh [COUNT]"
dir=$ROOT/build/coverage

"$ROOT/scripts/install-deps.sh" build test
say "building build/coverage"
build coverage coverage
find "$dir" -name '*.gcda' -delete # the counts of earlier runs
say "running the unit tests"
quietly "$ROOT/build/log/coverage-test.log" ctest --test-dir "$dir" -L unit -j "$(nproc)" --output-on-failure

# gcov prints one JSON document per object file. A header is in many of them, so its lines are merged.
find "$dir/CMakeFiles" -name '*.gcno' -print0 | xargs -0 gcov --json-format --stdout 2>/dev/null |
    python3 -c '
import collections, json, os, sys

root, count = sys.argv[1], int(sys.argv[2])
files = collections.defaultdict(dict)
for document in map(json.loads, sys.stdin):
    for file in document["files"]:
        name = os.path.relpath(os.path.join(document["current_working_directory"], file["file"]), root)
        if name.startswith(("src/", "include/")):
            for line in file["lines"]:
                number = line["line_number"]
                files[name][number] = files[name].get(number, 0) or line["count"]

def row(name, lines):
    covered = sum(1 for executed in lines if executed)
    return 100 * covered / len(lines), -len(lines), f"{covered:6} of {len(lines):6}  {name}"

rows = sorted(row(name, lines.values()) for name, lines in files.items() if lines)
total = row("all", [executed for lines in files.values() for executed in lines.values()])
for percent, _, text in rows[:count] + [total]:
    print(f"{percent:6.1f} %  {text}")
' "$ROOT" "$count"
