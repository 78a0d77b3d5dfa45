#!/usr/bin/env bash
# Checks what needs no running system: format, clang-tidy, the layout rules, documented settings, the scripts.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

cd "$ROOT"
failed=false

# check WHAT COMMAND...: the command prints what is wrong; that it prints nothing is what counts.
check() {
    local what=$1 faults
    shift
    faults=$("$@" 2>&1) || true
    if [[ -z $faults ]]; then
        say "ok      $what"
    else
        say "FAILED  $what"
        printf '%s\n' "$faults"
        failed=true
    fi
}

files() { find . \( -path ./build -o -path ./.run -o -path ./.git \) -prune -o -type f \( "$@" \) -print0; } # FIND-TEST...

format() { files -name '*.[ch]' | xargs -0 clang-format --dry-run -Werror; }

# only_in ROOM HEADERS: the third-party headers belong to this room.
only_in() { grep -rnE "#include <($2)" src include | grep -vE "^(src|include)/common/$1/"; }

third_party() {
    only_in http 'microhttpd|gnutls'
    only_in db 'libpq|postgresql'
    only_in cache hiredis
    only_in queue curl
    only_in token jwt
}

rooms() {
    scripts/rooms.sh >/dev/null && scripts/rooms.sh --current
}

# A name that one can grep leads to one function. (A file may define it twice, for different builds.)
names() {
    find src -name '*.c' -print0 | xargs -0 ctags -x --c-kinds=f | awk '$1 != "main" {print $1, $4}' | sort -u |
        awk '{count[$1]++; files[$1] = files[$1] " " $2} END {for (name in count) if (count[name] > 1) print name ":" files[name]}'
}

daemons_apart() {
    grep -rn '#include.*delivery/' src/order src/common include
    grep -rn '#include.*order/' src/delivery src/common include
}

file_lengths() {
    files -name '*.[ch]' | xargs -0 wc -l |
        awk '$2 ~ /\.c$/ && $1 > ($2 ~ /^.\/tests/ ? 450 : 400) || $2 ~ /\.h$/ && $1 > 160 {print $2 ": " $1 " lines"}'
}

# env.example names every setting and says of it what --help says. docs/CONFIGURATION.md has the table of all.
settings() {
    local table name meaning
    table=$(scripts/knobs.sh build/check) || return
    while IFS='|' read -r _ name _ _ meaning _; do
        name=${name//[ \`]/} meaning=${meaning# } meaning=${meaning% }
        grep -q "^$name=" env.example || echo "env.example does not name $name"
        grep -qF "# $meaning" env.example || echo "env.example does not say of $name: $meaning"
    done < <(tail -n +3 <<<"$table")
    diff <(sed -n '/<!-- settings: begin -->/,/<!-- settings: end -->/{/<!--/!p}' docs/CONFIGURATION.md) - <<<"$table" ||
        echo "docs/CONFIGURATION.md is not current: scripts/knobs.sh --write build/check"
}

scripts() { files -name '*.sh' -o -path './.ci/run' | xargs -0 shellcheck -x; }

# expect BINARY WHAT PATTERN: standard input has a line with it. (Not grep -q: its early end would kill the writer.)
expect() { grep -E "$3" >/dev/null || echo "$1: $2"; }

# What compiler and linker can do against exploits is in the daemons, and every source file was compiled with it.
hardened() {
    local binary flag flags=(-fstack-protector-strong -fstack-clash-protection)
    [[ $(uname -m) != x86_64 ]] || flags+=(-fcf-protection)
    for binary in build/check/order-svc build/check/delivery-svc; do
        readelf -dW "$binary" | expect $binary "is not position-independent" 'FLAGS_1.* PIE'
        readelf -dW "$binary" | expect $binary "binds symbols late" 'FLAGS_1.* NOW'
        readelf -lW "$binary" | expect $binary "has a writable GOT" GNU_RELRO
        readelf -lW "$binary" | expect $binary "has an executable stack" 'GNU_STACK.* RW '
        readelf --dyn-syms -W "$binary" | expect $binary "calls no fortified functions" '__vsnprintf_chk'
        readelf --debug-dump=info --dwarf-depth=1 -W "$binary" | expect $binary "tells no flags" DW_AT_producer
        for flag in "${flags[@]}"; do
            readelf --debug-dump=info --dwarf-depth=1 -W "$binary" | grep DW_AT_producer | grep -vF -e "$flag" |
                sed "s|.*|$binary: a file was compiled without $flag|" | sort -u
        done
    done
}

units() { # 20 is 2.0 of 10
    local unit
    for unit in deploy/systemd/*.service; do
        systemd-analyze security --offline=true --no-pager --threshold=20 "$unit" >/dev/null ||
            echo "$unit: is exposed by more than 2.0"
    done
}

mutations() { # of scripts/mutate.sh
    local patch
    for patch in tests/faults/mutations/*.patch; do git apply --check "$patch" 2>&1; done
}

leftovers() { files -not -name check.sh | xargs -0 grep -nwE 'TODO|FIXME|XXX'; }

machine_paths() { files -name '*.md' | xargs -0 grep -nE "(^|[^[:alnum:]._-])/(home|root|Users)/|$ROOT"; }

tidy() { # on stderr it only counts what it does not report
    find src -name '*.c' -print0 | xargs -0 -P "$(nproc)" -n 1 clang-tidy --quiet -p build/check 2>/dev/null ||
        echo "clang-tidy is not content"
}

"$ROOT/scripts/install-deps.sh" build check
say "building build/check"
build check release -DBUILD_TESTING=OFF
check "C files are formatted (clang-format -i)" format
check "third-party headers stay in their rooms" third_party
check "no two rooms use each other in a circle, and their picture is current" rooms
check "no two functions share a name" names
check "the daemons do not include each other" daemons_apart
check "no .c file above 400 lines (tests: 450), no .h file above 160" file_lengths
check "env.example and docs/CONFIGURATION.md have every setting" settings
check "the binaries are hardened" hardened
check "systemd's units are exposed by 2.0 at most" units
check "shellcheck finds nothing in the scripts" scripts
check "the mutations of the fault tests apply" mutations
check "nothing is left to do" leftovers
check "prose names no path of a machine" machine_paths
check "clang-tidy finds nothing" tidy
scripts/rooms.sh
! $failed
