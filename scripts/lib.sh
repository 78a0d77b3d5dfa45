# shellcheck shell=bash
# What the scripts share: log lines with elapsed time, ports, waiting, processes with a pid file. Sourced, not run.

# shellcheck disable=SC2034 # used by those who source this
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# Sorting, capital letters and names of files, also Java's, must not depend on the user's language.
export LC_ALL=C.UTF-8

say() { printf '[%4ds] %s\n' "$SECONDS" "$*"; }
die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# CMake, PATH and the configuration of ElasticMQ give these characters a meaning.
[[ $ROOT != *[\;:\"\\]* ]] || die "cannot work in $ROOT: move it to a path without ; : \" and \\"

port_open() { (exec 3<>"/dev/tcp/${2:-127.0.0.1}/$1") 2>/dev/null; } # PORT [HOST]

# Prints a free port, below the ports of the tests and below the ephemeral ports of the kernel. Each caller on this machine gets
# another one, in turn, so that nobody takes that of a part which is being started or is stopped for a moment.
free_port() (
    local number
    exec 9<>"${TMPDIR:-/tmp}/order-processing-last-port-$UID"
    flock 9
    read -r number <&9 || number=$RANDOM
    for _ in {1..100}; do
        number=$((10000 + (number + 1) % 5000))
        port_open "$number" && continue
        echo "$number" | tee /dev/fd/9
        exit
    done
    die "no free port found"
)

# wait_until SECONDS COMMAND...: waits until the command succeeds. Fails when the time is over.
wait_until() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@"; do
        ((SECONDS < deadline)) || return 1
        sleep 0.1
    done
}

as_root() {
    if ((EUID == 0)); then "$@"; else sudo "$@"; fi
}

# quietly LOGFILE COMMAND...: shows the end of the command's output, only when it fails.
quietly() {
    local log=$1
    shift
    mkdir -p "${log%/*}"
    "$@" >"$log" 2>&1 || {
        tail -n 50 "$log" >&2
        die "failed: $* (full log: $log)"
    }
}

# build NAME PRESET [OPTION...]: configures build/NAME with these options of cmake, and builds it.
build() {
    local name=$1 preset=$2
    shift 2
    cd "$ROOT" || exit
    quietly "build/log/$name-configure.log" cmake --preset "$preset" -B "build/$name" "$@"
    quietly "build/log/$name-build.log" cmake --build "build/$name"
}

# Creates build/venv, a Python environment with the packages that the tests import.
prepare_python() {
    local venv=$ROOT/build/venv wanted=$ROOT/tests/requirements.txt
    if ! cmp -s "$wanted" "$venv/requirements.txt"; then
        quietly "$ROOT/build/log/venv.log" python3 -m venv "$venv"
        quietly "$ROOT/build/log/pip.log" "$venv/bin/pip" install --disable-pip-version-check -r "$wanted"
        cp "$wanted" "$venv/requirements.txt"
    fi
}

# go_tool NAME PACKAGE VERSION: builds a program for the chart the first time, in the user's cache, and prints its path.
go_tool() {
    local tools=${XDG_CACHE_HOME:-~/.cache}/order-processing/chart-tools
    if [[ ! -x $tools/$1-$3 ]]; then
        say "building $1 $3" >&2
        mkdir -p "$tools"
        quietly "$ROOT/build/log/$1.log" env GOBIN="$ROOT/build/chart/bin" GOFLAGS=-p=2 go install "$2@$3"
        mv "$ROOT/build/chart/bin/$1" "$tools/$1-$3"
    fi
    echo "$tools/$1-$3"
}

# image_name IMAGE: prints a name that BuildKit takes: it takes no id, which it would look for in a registry.
image_name() {
    if [[ $1 != sha256:* ]]; then
        echo "$1"
    else
        docker tag "$1" "order-processing-base:${1:7:12}" && echo "order-processing-base:${1:7:12}"
    fi
}

helm_tool() { go_tool helm helm.sh/helm/v3/cmd/helm v3.16.4; }

ENV_FILE=$ROOT/.env
[[ -f $ENV_FILE ]] || ENV_FILE=$ROOT/env.example

value_in() { sed -n "s/^ *$2=[\"']\{0,1\}\([^\"'# ]*\).*/\1/p" "$1" | head -n 1; } # FILE NAME

# setting NAME: from the environment, else .env, else env.example, which has every default.
setting() {
    local value=${!1:-}
    [[ $value ]] || value=$(value_in "$ENV_FILE" "$1")
    [[ $value ]] || value=$(value_in "$ROOT/env.example" "$1")
    echo "$value"
}

# A pid file contains "PID STARTTIME". The start time distinguishes our process from a later one with the same pid.
start_time() { # PID
    local stat
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
    stat=${stat##*) } # the name in parentheses may contain spaces
    [[ $stat != Z* ]] && cut -d' ' -f20 <<<"$stat"
}

# spawn PIDFILE LOGFILE COMMAND...: starts it in the background, in a session that gets no signals from the
# terminal, and without the lock of start-services.sh (9).
spawn() {
    local pid_file=$1 log=$2
    shift 2
    setsid "$@" </dev/null >>"$log" 2>&1 9>&- &
    echo "$! $(start_time $!)" >"$pid_file"
}

running() { # PIDFILE
    local pid started
    read -r pid started 2>/dev/null <"$1" && [[ $(start_time "$pid") == "$started" ]]
}

stopped() { ! running "$1"; }

# stop PIDFILE [SIGNAL [SECONDS]]: stops the process, with SIGKILL when it takes longer.
stop() {
    local pid_file=$1 pid
    if running "$pid_file"; then
        read -r pid _ <"$pid_file"
        kill -s "${2:-TERM}" "$pid"
        wait_until "${3:-30}" stopped "$pid_file" || { kill -s KILL "$pid" && wait_until 5 stopped "$pid_file"; }
    fi
    rm -f "$pid_file"
}
