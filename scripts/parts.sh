#!/usr/bin/env bash
# Runs a private PostgreSQL, Redis and ElasticMQ in a directory, each on a free port of 127.0.0.1 that it keeps:
#   parts.sh start|stop|kill|pause|resume DIR [postgres|redis|elasticmq]...   all three when none is named
#   parts.sh start DIR pgbouncer      one more, in front of a PostgreSQL that runs: a session for each transaction
#   parts.sh env DIR      prints the settings of the started parts as shell assignments; they are also in DIR/env
#   parts.sh remove DIR   stops the parts and deletes the directory
# start leaves running parts alone. kill sends SIGKILL to a part's processes, pause sends SIGSTOP, resume sends
# SIGCONT.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

(($# >= 2)) || die "usage: parts.sh start|stop|kill|pause|resume|env|remove DIR [PART]..."
verb=$1 dir=$(readlink -m "$2")
shift 2
parts=("$@")
(($# > 0)) || parts=(postgres redis elasticmq)
[[ $verb != remove || ! -s $dir/pgbouncer.port ]] || parts+=(pgbouncer)
cd / # the user postgres may have no access to the current directory

# PostgreSQL refuses to run as root.
as_postgres=()
((EUID != 0)) || as_postgres=(setpriv --reuid=postgres --regid=postgres --init-groups)

port_of() { # PART: chosen at its first start
    [[ -s $dir/$1.port ]] || free_port >"$dir/$1.port"
    cat "$dir/$1.port"
}

# await PART COMMAND...: waits until the command succeeds, which means that the part is ready.
await() {
    local part=$1 deadline=$((SECONDS + 60))
    shift
    until "$@" >/dev/null 2>&1; do
        if ! running "$dir/$part.pid" || ((SECONDS >= deadline)); then
            tail -n 20 "$dir/log/$part.log" >&2
            die "cannot start $part; above is the end of $dir/log/$part.log"
        fi
        sleep 0.1
    done
}

pg_bin() {
    local newest
    newest=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
    if [[ -x $newest/postgres ]]; then echo "$newest"; else pg_config --bindir; fi
}

# The data is in DIR/postgres. When the user postgres cannot reach DIR (a clone under /root), that is a link to a
# directory under /var/tmp.
create_cluster() {
    local data=$dir/postgres
    if ! "${as_postgres[@]}" test -x "$dir"; then
        data=$(mktemp -d /var/tmp/order-processing.XXXXXX)
        ln -sT "$data" "$dir/postgres"
    fi
    mkdir -p "$data"
    ((EUID != 0)) || chown postgres: "$data"
    "${as_postgres[@]}" "$(pg_bin)/initdb" -D "$data" -U admin --auth=trust --encoding=UTF8 --locale=C.UTF-8 &&
        echo 'host all all 127.0.0.1/32 scram-sha-256' >"$data/pg_hba.conf" &&
        "${as_postgres[@]}" "$(pg_bin)/postgres" --single -D "$data" postgres <<'SQL'
ALTER ROLE admin PASSWORD 'password-of-the-parts'
CREATE DATABASE orderprocessing
SQL
}

start_postgres() {
    local port
    port=$(port_of postgres)
    [[ -s $dir/postgres/PG_VERSION ]] || create_cluster >"$dir/log/initdb.log" 2>&1 ||
        die "cannot create the database; see $dir/log/initdb.log"
    spawn "$dir/postgres.pid" "$dir/log/postgres.log" "${as_postgres[@]}" "$(pg_bin)/postgres" \
        -D "$(readlink -f "$dir/postgres")" -c port="$port" -c listen_addresses=127.0.0.1 \
        -c unix_socket_directories= -c max_connections=300
    await postgres "$(pg_bin)/pg_isready" -h 127.0.0.1 -p "$port"
}

start_redis() {
    local port
    port=$(port_of redis)
    spawn "$dir/redis.pid" "$dir/log/redis.log" redis-server --bind 127.0.0.1 --port "$port" --dir "$dir" \
        --save '' --appendonly no --databases 1024
    await redis redis-cli -h 127.0.0.1 -p "$port" ping
}

# Messages are stored on disk, so that an order on its way to delivery-svc survives a restart, as it does in SQS.
start_elasticmq() {
    local port jars
    port=$(port_of elasticmq)
    jars=$("$ROOT/scripts/elasticmq.sh")
    mkdir -p "$dir/elasticmq"
    cat >"$dir/elasticmq.conf" <<CONF
include classpath("application.conf")
node-address { protocol = http, host = localhost, port = $port, context-path = "" }
rest-sqs { enabled = true, bind-port = $port, bind-hostname = "127.0.0.1", sqs-limits = strict }
messages-storage { enabled = true, uri = "jdbc:h2:$dir/elasticmq/messages" }
CONF
    # The simple collector starts it with less CPU time. It remembers all messages of five minutes, which are 600 MB at 300 orders/s.
    spawn "$dir/elasticmq.pid" "$dir/log/elasticmq.log" java -Xmx2g -XX:+UseSerialGC \
        -Dconfig.file="$dir/elasticmq.conf" -cp "$jars/*" org.elasticmq.server.Main
    await elasticmq curl -sf "http://127.0.0.1:$port/health"
}

# Its files are where PostgreSQL's are: it refuses to run as root, too.
start_pgbouncer() {
    local port folder
    port=$(port_of pgbouncer)
    folder=$(readlink -f "$dir/postgres")
    echo '"admin" "password-of-the-parts"' >"$folder/pgbouncer.users"
    sed -e "s|^orderprocessing = .*|* = host=127.0.0.1 port=$(port_of postgres)|" -e "s|^auth_file = .*|auth_file = $folder/pgbouncer.users|" \
        -e "s|^listen_addr = .*|listen_addr = 127.0.0.1|" -e "s|^listen_port = .*|listen_port = $port|" \
        -e "s|^max_client_conn = .*|max_client_conn = 2000|" -e "s|^default_pool_size = .*|default_pool_size = 3|" \
        -e "\$ a unix_socket_dir =" "$ROOT/deploy/pgbouncer/pgbouncer.ini" >"$folder/pgbouncer.ini"
    spawn "$dir/pgbouncer.pid" "$dir/log/pgbouncer.log" "${as_postgres[@]}" \
        "$(PATH=$PATH:/usr/sbin command -v pgbouncer)" "$folder/pgbouncer.ini"
    await pgbouncer "$(pg_bin)/pg_isready" -h 127.0.0.1 -p "$port"
}

settings_of() { # PART
    [[ -s $dir/$1.port ]] || return 0
    local port
    port=$(<"$dir/$1.port")
    case $1 in
    postgres) printf 'DB_%s\n' HOST=127.0.0.1 PORT="$port" NAME=orderprocessing USER=admin PASSWORD=password-of-the-parts ;;
    redis) printf 'REDIS_%s\n' HOST=127.0.0.1 PORT="$port" ;;
    elasticmq) echo "SQS_ENDPOINT=http://127.0.0.1:$port" ;;
    pgbouncer) echo "POOLER_PORT=$port" ;; # of the tests, no setting of a daemon
    esac
}

# A fast shutdown, as TERM would wait for its clients. It may never end while clients keep coming, because the server
# waits for those that it refuses. It is killed then: what is committed is in its log.
stop_postgres() {
    local pid
    if running "$dir/postgres.pid"; then
        read -r pid _ <"$dir/postgres.pid"
        kill -s INT "$pid"
        wait_until 15 stopped "$dir/postgres.pid" || kill_part postgres
    fi
    rm -f "$dir/postgres.pid"
}

stop_part() { # PART
    case $1 in
    postgres) stop_postgres ;;
    elasticmq) stop "$dir/$1.pid" TERM 2 ;; # it would only wait for long polls of clients that are gone
    *) stop "$dir/$1.pid" ;;
    esac
}

processes_of() { # PART: its process and its child processes (PostgreSQL has some)
    local pid
    running "$dir/$1.pid" || return 0
    read -r pid _ <"$dir/$1.pid"
    echo "$pid"
    sed -n "s/^\([0-9]*\) (.*) [A-Z] $pid .*/\1/p" /proc/[0-9]*/stat 2>/dev/null || true # some may end meanwhile
}

# A server that is stopped first makes no further processes meanwhile.
signal_part() { # SIGNAL PART
    local pid
    if [[ $1 != CONT ]] && running "$dir/$2.pid"; then
        read -r pid _ <"$dir/$2.pid"
        kill -s STOP "$pid" 2>/dev/null || true
    fi
    for pid in $(processes_of "$2"); do kill -s "$1" "$pid" 2>/dev/null || true; done
}

gone() { ! start_time "$1" >/dev/null; }

kill_part() { # PART
    local pid processes
    signal_part STOP "$1"
    processes=$(processes_of "$1")
    signal_part KILL "$1"
    for pid in $processes; do wait_until 10 gone "$pid" || die "$1 survived SIGKILL"; done
    rm -f "$dir/$1.pid"
    # In a container without init, killed processes stay zombies. PostgreSQL's pid file would then prevent its start.
    [[ $1 != postgres ]] || rm -f "$dir/postgres/postmaster.pid"
}

for part in "${parts[@]}"; do
    [[ $part =~ ^(postgres|redis|elasticmq|pgbouncer)$ ]] || die "no such part: $part"
    case $verb in
    start)
        mkdir -p "$dir/log"
        running "$dir/$part.pid" || "start_$part"
        ;;
    stop | remove) stop_part "$part" ;;
    kill) kill_part "$part" ;;
    pause) signal_part STOP "$part" ;;
    resume) signal_part CONT "$part" ;;
    env) settings_of "$part" ;;
    *) die "no such verb: $verb" ;;
    esac
done
case $verb in
start) for part in postgres redis elasticmq pgbouncer; do settings_of "$part"; done >"$dir/env" ;;
remove) rm -rf "$(readlink -m "$dir/postgres")" "$dir" ;;
esac
