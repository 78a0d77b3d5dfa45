#!/usr/bin/env bash
# Tests the Helm chart: helm lint, its templates with the default, production and minimal values and with every optional part
# against the schemas of Kubernetes, kube-score, the rules of tests/packages/chart.py, and that bad values are refused. Needs Go
# and Python; no cluster.
#   test-chart.sh [DIR]      DIR holds the daemons (build/release), which check the settings that the chart gives them
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

cd "$ROOT"
bin=${1:-build/release}
[[ -x $bin/order-svc && -x $bin/delivery-svc ]] || die "no daemons in $bin; scripts/start-services.sh builds them"
score_version=v1.20.0 validate_version=1.37.0
releases=(1.28 1.31 1.34) # of Kubernetes
chart=packaging/helm/order-processing
out=build/chart

mkdir -p "$out"
helm=$(helm_tool)
score=$(go_tool kube-score github.com/zegl/kube-score/cmd/kube-score "$score_version")
[[ -x $out/venv/bin/kubernetes-validate ]] || quietly build/log/chart-venv.log python3 -m venv "$out/venv"
quietly build/log/chart-pip.log "$out/venv/bin/pip" install -q --disable-pip-version-check "kubernetes-validate==$validate_version" PyYAML

values_of() { # VALUES: sets options
    options=()
    case $1 in
    default) ;;
    pooler) options=(-f tests/packages/values-pooler.yaml) ;;
    *) options=(-f "$chart/values-$1.yaml") ;;
    esac
}

render() { # VALUES [OPTION...]: prints the objects
    local options
    values_of "$1"
    shift
    "$helm" template shop "$chart" --namespace orders --kube-version 1.31.0 "${options[@]}" "$@"
}

# A limit of CPU would make a daemon slow while its machine is idle.
score_options=(--ignore-container-cpu-limit)
for values in default production minimal pooler; do
    say "$values: lint, schemas, score, rules"
    values_of "$values"
    quietly "build/log/chart-lint-$values.log" "$helm" lint --strict --kube-version 1.31.0 "$chart" "${options[@]}"
    render "$values" >"$out/$values.yaml"
    # the schemas have no custom resources
    python3 -c 'import sys; print("---\n".join(d for d in sys.stdin.read().split("---\n") if "kind: ServiceMonitor" not in d))' \
        <"$out/$values.yaml" >"$out/$values-core.yaml"
    for release in "${releases[@]}"; do
        quietly "build/log/chart-$values-$release.log" "$out/venv/bin/kubernetes-validate" --strict -k "$release" "$out/$values-core.yaml"
    done
    [[ $values == minimal ]] || quietly "build/log/chart-score-$values.log" "$score" score "${score_options[@]}" "$out/$values-core.yaml"
    "$out/venv/bin/python" tests/packages/chart.py "$out/$values.yaml" "$values" "$bin"
done

refused() { # WORDS OPTION...
    local words=$1 said
    shift
    ! said=$(render default "$@" 2>&1) || die "values are not refused: $*"
    grep -qF "$words" <<<"$said" || die "values are refused with other words: $said"
}
say "refusing bad values"
refused 'is a secret' --set settings.DB_PASSWORD=x
refused 'is a secret' --set order.settings.JWT_SECRET=x
refused 'is a secret' --set order.settings.WEBHOOK_SECRETS_KEY=x
refused 'is set by the chart' --set order.settings.METRICS_PORT=1
refused 'digest' --set image.digest=sha256:abc
refused 'replica' --set order.replica=3
refused 'port' --set order.service.port=80
say "settings of one daemon win, and large numbers stay numbers"
shown=$(render default --set settings.RATE_LIMIT=1000,order.settings.RATE_LIMIT=0,settings.ORDERS_RETENTION=34560000 | grep -A1 -E 'name: (RATE_LIMIT|ORDERS_RETENTION)$')
for value in 0 1000 34560000; do
    grep -qF "value: \"$value\"" <<<"$shown" || die "$value is not among $shown"
done
say "the chart works"
