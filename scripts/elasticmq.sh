#!/usr/bin/env bash
# Prints the directory of ElasticMQ's jars. The first time, it downloads them from Maven Central.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

version=$(sed -n '/elasticmq-server/{n;s/ *<[^>]*>//g;p}' "$ROOT/scripts/elasticmq/pom.xml")
jars=${XDG_CACHE_HOME:-~/.cache}/order-processing/elasticmq-$version

if [[ ! -d $jars ]]; then
    "$ROOT/scripts/install-deps.sh" maven >&2
    mkdir -p "${jars%/*}"
    partial=$(mktemp -d "$jars.XXXXXX") # renamed when complete, so an incomplete download is never used
    trap 'rm -rf "$partial"' EXIT
    say "downloading ElasticMQ $version to $jars" >&2
    mvn -q -B -f "$ROOT/scripts/elasticmq/pom.xml" dependency:copy-dependencies -DoutputDirectory="$partial" >&2 ||
        die "Maven cannot fetch ElasticMQ. Without Maven Central, set SQS_ENDPOINT to a running ElasticMQ"
    mv -T "$partial" "$jars" 2>/dev/null || [[ -d $jars ]] # another run may have been faster
fi
echo "$jars"
