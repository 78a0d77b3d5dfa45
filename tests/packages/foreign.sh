# shellcheck shell=bash
# What scripts/test-deb.sh --arch runs in a container of another architecture, as root. The packages are in /packages.
export DEBIAN_FRONTEND=noninteractive
arch=$1 etc=/etc/order-processing

check() { # WHAT COMMAND...
    local what=$1
    shift
    "$@" || { echo "FAILED: $what"; exit 1; }
    echo "== ok: $what"
}
eventually() { # COMMAND...
    for _ in {1..150}; do
        if "$@"; then return; fi
        sleep 0.2
    done
    return 1
}
is() { [[ $1 == "$2" ]]; }

check "this is $arch" is "$(dpkg --print-architecture)" "$arch"
apt-get -qq update
mapfile -t packages < <(find /packages -name '*.deb' ! -name '*-dbgsym_*')
apt-get -qqy install "${packages[@]}"
check 'the daemons are for it' is "$(dpkg-query -W -f '${Architecture} ' order-svc delivery-svc)" "$arch $arch "
check 'the users exist' id order-svc delivery-svc
check 'the secrets are for root alone' is "$(stat -c %A:%U $etc/secrets)" drwx------:root
check 'the units are there' test -s '/usr/lib/systemd/system/order-svc@.service' -o -s '/lib/systemd/system/order-svc@.service'

export JWT_SECRET=a-secret-of-the-test-of-the-packages-0123456789 WEBHOOK_SECRETS_KEY=a-key-of-that-test-0123456789abcdef
export DB_PASSWORD=another AWS_ACCESS_KEY_ID=
for daemon in order-svc delivery-svc; do
    check "$daemon tells its version" is "$($daemon --version | grep -c '[0-9]\.[0-9]')" 1
    check "$daemon accepts its settings" $daemon --env $etc/$daemon.env --check-config
    setpriv --reuid $daemon --regid $daemon --init-groups $daemon --env $etc/$daemon.env >/tmp/$daemon.log 2>&1 &
    check "$daemon lives" eventually $daemon --env $etc/$daemon.env --health=live
    said=$($daemon --env $etc/$daemon.env --health 2>&1) || true
    check "$daemon is not ready without a database" is "$said" 'not ready: database'
    kill -TERM $!
    check "$daemon stops cleanly" wait $!
done

apt-get -qqy purge order-svc delivery-svc order-processing-common
check 'nothing is left' is "$(find /etc /usr -name '*order-svc*' -o -name '*delivery-svc*' -o -name '*order-processing*')" ''
echo '== done'
