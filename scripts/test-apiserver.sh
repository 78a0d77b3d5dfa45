#!/usr/bin/env bash
# Installs, upgrades and removes the Helm chart in a private Kubernetes without machines: see apiserver.sh, which builds it the
# first time, and tests/packages/apiserver.py. Needs Go.
#   test-apiserver.sh [OPTION...]      the options are those of pytest
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

prepare_python
HELM=$(helm_tool)
KUBECTL=$("$ROOT/scripts/apiserver.sh" build)/kubectl
dir=$(mktemp -d)
# shellcheck disable=SC2064 # the directory of now
trap "'$ROOT/scripts/apiserver.sh' stop '$dir'; rm -rf '$dir'" EXIT
"$ROOT/scripts/apiserver.sh" start "$dir" >/dev/null
set -a
# shellcheck disable=SC1091
source "$dir/settings"
set +a
export HELM KUBECTL HELM_CACHE_HOME=$dir/helm HELM_CONFIG_HOME=$dir/helm HELM_DATA_HOME=$dir/helm
"$ROOT/build/venv/bin/python" -B -m pytest -q -p no:cacheprovider "$ROOT/tests/packages/apiserver.py" "$@"
