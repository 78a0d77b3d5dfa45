#!/usr/bin/env bash
# Prints the path of axe-core, which finds faults of accessibility in a page. The first time, it fetches it with npm. Only the
# tests use it.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

version=4.14.1
sha256=e6b0ce02b84d892e2e33e403485e7f3d6c29e2be6df65daf44d89ba564139745
cache=${XDG_CACHE_HOME:-~/.cache}/order-processing
script=$cache/axe-core-$version.min.js

if [[ ! -f $script ]]; then
    "$ROOT/scripts/install-deps.sh" npm >&2
    mkdir -p "$cache"
    partial=$(mktemp -d "$cache/axe.XXXXXX") # renamed when complete, so an incomplete download is never used
    trap 'rm -rf "$partial"' EXIT
    say "fetching axe-core $version to $cache" >&2
    (cd "$partial" && npm pack --silent "axe-core@$version" >npm.log 2>&1) || die "npm cannot fetch axe-core: $(tail -n 5 "$partial/npm.log")"
    sha256sum --status -c <<<"$sha256  $partial/axe-core-$version.tgz" || die "axe-core is not what it was: its SHA-256 is another"
    tar -C "$partial" -xzf "$partial/axe-core-$version.tgz" package/axe.min.js
    mv -T "$partial/package/axe.min.js" "$script"
fi
echo "$script"
