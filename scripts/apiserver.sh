#!/usr/bin/env bash
# Runs the API server of Kubernetes with etcd and the controllers: a cluster without machines, so that Pods are made but none
# runs. The first time, it is built with Go, for 11 minutes of CPU.
#   apiserver.sh build      builds build/kubernetes/bin/{kube-apiserver,kube-controller-manager,kubectl}
#   apiserver.sh start DIR  starts it on free ports of 127.0.0.1, with keys of its own, and prints the settings of DIR/settings:
#                           KUBECONFIG, and KUBECACHEDIR for kubectl
#   apiserver.sh stop DIR   stops it; what it holds is gone
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

version=1.36.3
programs=(kube-apiserver kube-controller-manager kubectl)
home=$ROOT/build/kubernetes

# Kubernetes takes its libraries from folders beside it, which a module cannot have. They are modules as well, with the
# same version but for its first number.
write_module() { # FILE
    local source
    source=$(go mod download -json "k8s.io/kubernetes@v$version" | sed -n 's/.*"GoMod": "\(.*\)",/\1/p')
    {
        printf '%s\n' "module kubernetes.invalid/tool" "" "$(grep -m 1 '^go ' "$source")" "" "require k8s.io/kubernetes v$version" ""
        sed -n "s|^\s*\(k8s.io/[a-z-]*\) => ./staging/.*|replace \1 => \1 v0.${version#*.}|p" "$source"
    } >"$1"
}

built() {
    local name
    for name in "${programs[@]}"; do [[ -x $home/bin/$name ]] || return; done
    [[ $(cat "$home/version" 2>/dev/null) == "$version" ]]
}

build_kubernetes() {
    ! built || return 0
    command -v go >/dev/null || die "Kubernetes is built with Go: install it"
    say "building Kubernetes $version" >&2
    local about=k8s.io/component-base/version packages=("${programs[@]/#/k8s.io/kubernetes/cmd/}")
    rm -rf "$home"
    mkdir -p "$home/module" "$home/bin" "$ROOT/build/log" && cd "$home/module"
    write_module go.mod
    quietly "$ROOT/build/log/kubernetes.log" go get -tool "${packages[@]/%/@v$version}"
    quietly "$ROOT/build/log/kubernetes.log" go build -p 2 -trimpath -o "$home/bin" -ldflags \
        "-s -w -X $about.gitVersion=v$version -X $about.gitMajor=${version%%.*} -X $about.gitMinor=$(cut -d. -f2 <<<"$version")" \
        "${packages[@]}"
    echo "$version" >"$home/version"
}

make_keys() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=kubernetes.invalid \
        -addext subjectAltName=IP:127.0.0.1 -keyout server.key -out server.crt 2>/dev/null
    openssl genrsa -out accounts.key 2048 2>/dev/null
    token=$(openssl rand -hex 32)
    echo "$token,admin,admin,system:masters" >tokens.csv
}

write_kubeconfig() { # PORT
    cat >kubeconfig <<END
apiVersion: v1
kind: Config
clusters: [{ name: private, cluster: { server: "https://127.0.0.1:$1", certificate-authority: "$PWD/server.crt" } }]
users: [{ name: admin, user: { token: $token } }]
contexts: [{ name: private, context: { cluster: private, user: admin } }]
current-context: private
END
}

start_etcd() { # PORT
    local client=http://127.0.0.1:$1 peer
    peer=http://127.0.0.1:$(free_port)
    spawn etcd.pid etcd.log etcd --name private --data-dir etcd --listen-client-urls "$client" --advertise-client-urls "$client" \
        --listen-peer-urls "$peer" --initial-advertise-peer-urls "$peer" --initial-cluster "private=$peer"
    wait_until 30 port_open "$1" || fail etcd
}

# The addresses are those of documentation: nothing sends to them.
start_server() { # PORT ETCD-PORT
    spawn kube-apiserver.pid kube-apiserver.log "$home/bin/kube-apiserver" --bind-address=127.0.0.1 --secure-port="$1" \
        --etcd-servers="http://127.0.0.1:$2" --tls-cert-file=server.crt --tls-private-key-file=server.key \
        --token-auth-file=tokens.csv --authorization-mode=RBAC --anonymous-auth=false --allow-privileged \
        --service-cluster-ip-range=192.0.2.0/24 --advertise-address=198.51.100.1 --endpoint-reconciler-type=none \
        --service-account-issuer=https://kubernetes.invalid --service-account-key-file=accounts.key \
        --service-account-signing-key-file=accounts.key
    wait_until 120 answers || fail kube-apiserver
}

start_controllers() { # without the one that misses the signs of life of machines
    spawn kube-controller-manager.pid kube-controller-manager.log "$home/bin/kube-controller-manager" --kubeconfig=kubeconfig \
        --controllers=*,-node-lifecycle-controller --leader-elect=false --secure-port=0 \
        --service-account-private-key-file=accounts.key --root-ca-file=server.crt
    wait_until 60 has_account || fail kube-controller-manager
}

answers() { "$home/bin/kubectl" get --raw /readyz >/dev/null 2>&1; }
has_account() { "$home/bin/kubectl" -n default get serviceaccount default >/dev/null 2>&1; } # the first work of the controllers

fail() { # NAME
    tail -n 20 "$1.log" >&2
    stop_kubernetes
    die "cannot start $1; above is the end of $PWD/$1.log"
}

start_kubernetes() { # in the directory
    local port etcd_port
    ! running kube-controller-manager.pid || { cat settings && return; }
    umask 077
    port=$(free_port) etcd_port=$(free_port)
    make_keys
    write_kubeconfig "$port"
    export KUBECONFIG=$PWD/kubeconfig KUBECACHEDIR=$PWD/cache
    start_etcd "$etcd_port"
    start_server "$port" "$etcd_port"
    start_controllers
    printf '%s\n' "KUBECONFIG=$KUBECONFIG" "KUBECACHEDIR=$KUBECACHEDIR" >settings
    cat settings
}

stop_kubernetes() { # in the directory
    local name
    for name in kube-controller-manager kube-apiserver etcd; do stop $name.pid; done
    rm -rf etcd settings
}

case ${1:-}:$# in
build:1) build_kubernetes && echo "$home/bin" ;;
start:2)
    "$ROOT/scripts/install-deps.sh" kubernetes
    dir=$(readlink -m "$2") # before the build goes elsewhere
    build_kubernetes
    mkdir -p "$dir" && cd "$dir"
    start_kubernetes
    ;;
stop:2) ! cd "$2" 2>/dev/null || stop_kubernetes ;;
*) die "usage: apiserver.sh build | start DIR | stop DIR" ;;
esac
