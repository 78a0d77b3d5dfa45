#!/usr/bin/env bash
# Prints the folder with ElasticMQ's jars; downloads them from Maven Central the first time.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

version=$(sed -n '/elasticmq-server/{n;s/ *<[^>]*>//g;p}' "$ROOT/scripts/elasticmq/pom.xml")
jars=${XDG_CACHE_HOME:-~/.cache}/order-processing/elasticmq-$version

if [[ ! -d $jars ]]; then
    "$ROOT/scripts/install-deps.sh" maven >&2
    mkdir -p "${jars%/*}"
    partial=$(mktemp -d "$jars.XXXXXX") # renamed when complete: a broken download is never taken for a whole one
    trap 'rm -rf "$partial"' EXIT
    say "downloading ElasticMQ $version to $jars" >&2
    mvn -q -B -f "$ROOT/scripts/elasticmq/pom.xml" dependency:copy-dependencies -DoutputDirectory="$partial" >&2 ||
        die "Maven could not fetch ElasticMQ; where Maven Central is out of reach, point SQS_ENDPOINT to an ElasticMQ"
    mv -T "$partial" "$jars" 2>/dev/null || [[ -d $jars ]] # another run may have been first
fi
echo "$jars"
