#!/usr/bin/env bash
# Checks what needs no running system: format, clang-tidy, the layout rules, documented settings, the scripts.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

cd "$ROOT"
failed=false

# check WHAT COMMAND...: the command prints what is wrong. The check passes when it prints nothing.
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

# only_in ROOM HEADERS: only this room (or rooms: a|b) may include these third-party headers.
only_in() { grep -rnE "#include <($2)" src include | grep -vE "^(src|include)/common/($1)/"; }

third_party() {
    only_in http 'microhttpd|gnutls'
    only_in db 'libpq|postgresql'
    only_in cache hiredis
    only_in 'queue|tracing|callout|service' curl
    only_in token jwt
    only_in service zlib
}

rooms() {
    scripts/rooms.sh >/dev/null && scripts/rooms.sh --current
}

# Function names are unique, so that grep finds one function. (A file may define it twice, for different builds.)
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

# The page makes text nodes, never markup: Trusted Types would refuse it, but only when it is run.
page() {
    grep -nE 'innerHTML|outerHTML|insertAdjacentHTML|createContextualFragment|document\.write|\beval\(|new Function|Storage\b|\.cookie' web/*.js
    grep -nE '<script>|<style|style=|[ "]on[a-z]+=' web/index.html
    wc -l web/* | awk '$2 != "total" && $1 > 400 {print $2 ": " $1 " lines"}'
}

# env.example has every setting with its description from --help. docs/CONFIGURATION.md has a table of all settings.
settings() {
    local table name meaning
    table=$(scripts/knobs.sh build/check) || return
    while IFS='|' read -r _ name _ _ meaning _; do
        name=${name//[ \`]/} meaning=${meaning# } meaning=${meaning% }
        grep -q "^$name=" env.example || echo "env.example lacks $name"
        grep -qF "# $meaning" env.example || echo "env.example lacks the description of $name: $meaning"
    done < <(tail -n +3 <<<"$table")
    diff <(sed -n '/<!-- settings: begin -->/,/<!-- settings: end -->/{/<!--/!p}' docs/CONFIGURATION.md) - <<<"$table" ||
        echo "docs/CONFIGURATION.md is outdated; run scripts/knobs.sh --write build/check"
}

metrics() {
    scripts/metrics.sh build/check | cmp -s - docs/OBSERVABILITY.md ||
        echo "docs/OBSERVABILITY.md is outdated; run scripts/metrics.sh --write build/check"
}

manual() {
    local daemon
    for daemon in order-svc delivery-svc; do
        scripts/man.sh $daemon build/check | cmp -s - docs/man/$daemon.8 ||
            echo "docs/man/$daemon.8 is outdated; run scripts/man.sh --write build/check"
    done
    diff <(sed -n 's/^project(.* VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt) <(sed -n '1s/.*(\(.*\)).*/\1/p' debian/changelog) ||
        echo "debian/changelog has another version than CMakeLists.txt"
    grep -qx "appVersion: $(sed -n 's/^project(.* VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)" packaging/helm/order-processing/Chart.yaml ||
        echo "the Helm chart has another appVersion than CMakeLists.txt"
}

scripts() { files -name '*.sh' -o -path './.ci/*' | xargs -0 shellcheck -x; }

# expect BINARY WHAT PATTERN: prints WHAT unless a line of standard input matches. (grep -q would end too early and
# kill the writer.)
expect() { grep -E "$3" >/dev/null || echo "$1: $2"; }

# The daemons have the exploit protections of compiler and linker, and every source file was compiled with them.
hardened() {
    local binary flag flags=(-fstack-protector-strong -fstack-clash-protection)
    case $(uname -m) in
    x86_64) flags+=(-fcf-protection) ;;
    aarch64) flags+=(-mbranch-protection=standard) ;;
    esac
    for binary in build/check/order-svc build/check/delivery-svc; do
        readelf -dW "$binary" | expect $binary "is not position-independent" 'FLAGS_1.* PIE'
        readelf -dW "$binary" | expect $binary "binds symbols late" 'FLAGS_1.* NOW'
        readelf -lW "$binary" | expect $binary "has a writable GOT" GNU_RELRO
        readelf -lW "$binary" | expect $binary "has an executable stack" 'GNU_STACK.* RW '
        readelf --dyn-syms -W "$binary" | expect $binary "calls no fortified functions" '__vsnprintf_chk'
        readelf --debug-dump=info --dwarf-depth=1 -W "$binary" | expect $binary "has no debug information about flags" DW_AT_producer
        for flag in "${flags[@]}"; do
            readelf --debug-dump=info --dwarf-depth=1 -W "$binary" | grep DW_AT_producer | grep -vF -e "$flag" |
                sed "s|.*|$binary: a file was compiled without $flag|" | sort -u
        done
    done
}

# Names that no module, class or function has. ("cluster" is an attribute that only some objects of a kind have.)
python_names() {
    files -name '*.py' | xargs -0 env PYTHONPATH=tests/integration:tests/faults:tests/bench:tests/rolling \
        pylint -j "$(nproc)" --score=n --disable=all --enable=no-member,undefined-variable --generated-members=cluster
}

units() { # a threshold of 20 means 2.0 of 10
    local unit
    for unit in deploy/systemd/*.service; do
        systemd-analyze security --offline=true --no-pager --threshold=20 "$unit" >/dev/null ||
            echo "$unit: exposure is above 2.0"
    done
}

mutations() { # of scripts/mutate.sh
    local patch
    for patch in tests/faults/mutations/*.patch; do git apply --check "$patch" 2>&1 | sed "s|^|$patch: |"; done
}

leftovers() { files -not -name check.sh | xargs -0 grep -nwE 'TODO|FIXME|XXX'; }

machine_paths() { files -name '*.md' | xargs -0 grep -nE "(^|[^[:alnum:]._-])/(home|root|Users)/|$ROOT"; }

tidy() { # stderr has only counts of suppressed warnings
    find src -name '*.c' -print0 | xargs -0 -P "$(nproc)" -n 1 clang-tidy --quiet -p build/check 2>/dev/null ||
        echo "clang-tidy reports problems"
}

"$ROOT/scripts/install-deps.sh" build check
say "building build/check"
build check release -DBUILD_TESTING=OFF
check "C files are formatted (clang-format -i)" format
check "third-party headers stay in their rooms" third_party
check "the rooms have no cycles, and their picture is current" rooms
check "no two functions share a name" names
check "the daemons do not include each other" daemons_apart
check "no .c file above 400 lines (tests: 450), no .h file above 160" file_lengths
check "the page has no markup from text, no storage, no inline script or style, no file above 400 lines" page
check "env.example and docs/CONFIGURATION.md have every setting" settings
check "docs/OBSERVABILITY.md has every metric" metrics
check "the manual pages have every setting, and the packages the version" manual
check "the binaries are hardened" hardened
check "the exposure of the systemd units is 2.0 at most" units
check "shellcheck finds nothing in the scripts" scripts
check "the Python files name nothing that does not exist" python_names
check "the mutations of the fault tests apply" mutations
check "no TODO, FIXME or XXX is left" leftovers
check "the documents have no machine paths" machine_paths
check "clang-tidy finds nothing" tidy
scripts/rooms.sh
! $failed
