# shellcheck shell=bash
# What scripts/test-deb.sh runs in a machine, as root: the chapter "Debian packages" of docs/OPERATIONS.md, step by step.
# The packages are in /packages, those of a next release in /next.
export DEBIAN_FRONTEND=noninteractive
etc=/etc/order-processing

check() { # WHAT COMMAND...
    local what=$1
    shift
    "$@" || { echo "FAILED: $what"; systemctl --no-pager --failed; journalctl --no-pager -n 60; exit 1; }
    echo "== ok: $what"
}
eventually() { # COMMAND...
    for _ in {1..300}; do
        if "$@"; then return; fi
        sleep 0.2
    done
    return 1
}
is() { [[ $1 == "$2" ]]; }

echo '== installing'
apt-get -qq update
apt-get -qqy install /packages/*.deb
check 'nothing runs before it is set up' is "$(systemctl list-units --plain --no-legend '*-svc@*' | wc -l)" 0
check 'the secrets are for root alone' is "$(stat -c %A:%U $etc/secrets)" drwx------:root
check 'the users exist' id order-svc delivery-svc
check 'the users are in the group' is "$(getent group order-processing | cut -d: -f4 | tr , '\n' | sort | xargs)" 'delivery-svc order-svc'
check 'the manual pages are there' test -s /usr/share/man/man8/order-svc.8.gz

echo '== setting up'
for name in jwt_secret webhook_secrets_key {order,delivery}_{svc,migrator}_password; do
    (umask 077; openssl rand -hex 32 >"$etc/secrets/$name")
done
sed -i 's|^SQS_ENDPOINT=.*|SQS_ENDPOINT=http://sqs:9324|' $etc/*.env
printf '%s\n' WEB_UI=true DEFAULT_CURRENCY=EUR QUEUE_SHARDS=2 >>$etc/order-svc.env
printf '%s\n' QUEUE_SHARDS=2 CARRIER_SIMULATION=true CARRIER_ASSIGN_DELAY=1s CARRIER_SHIP_DELAY=1s CARRIER_DELIVER_DELAY=1s >>$etc/delivery-svc.env
systemctl start postgresql redis-server
setpriv --reuid postgres --regid postgres --init-groups createdb orderprocessing
install -d -m 700 -o postgres /run/roles
install -m 400 -o postgres $etc/secrets/*_password /run/roles
SECRETS=/run/roles runuser -u postgres -- psql -q -d orderprocessing -f /usr/share/order-processing/roles.sql
rm -r /run/roles
check 'the migrations apply' systemctl start order-svc-migrate delivery-svc-migrate
systemctl enable -q --now order-svc@3001 order-svc@3011 delivery-svc@3002
check 'order-svc is ready' eventually env ORDER_SERVICE_PORT=3001 order-svc --health
check 'a second instance is ready' eventually env ORDER_SERVICE_PORT=3011 order-svc --health
check 'delivery-svc is ready' eventually delivery-svc --env $etc/delivery-svc.env --health
user_of() { awk '/^Uid:/ { print $2 }' "/proc/$(systemctl show -P MainPID "$1")/status"; }
check 'it runs as its user' is "$(user_of order-svc@3001)" "$(id -u order-svc)"

echo '== an order'
client() { # NAME SCOPE...: prints the secret of a new client
    DB_PASSWORD_FILE=$etc/secrets/order_svc_password order-svc --env $etc/order-svc.env client add "$@" |
        sed -n 's/^client_secret: //p'
}
secret=$(client shop order:create order:read)
token() { # [ID:SECRET]
    curl -sf -u "${1:-shop:$secret}" -d grant_type=client_credentials localhost:3001/auth/token | jq -er .access_token
}
order() { # prints its id
    curl -sf localhost:3001/orders -H "Authorization: Bearer $(token)" -H 'Content-Type: application/json' \
        -H "Idempotency-Key: $1" -d '{"customer_id":"c","items":[{"product_id":"p","quantity":1,"unit_price":1.5}]}' |
        jq -er .order_id
}
status() { curl -sf "localhost:3011/orders/$1" -H "Authorization: Bearer $(token)" | jq -er .status; }
delivered() { [[ $(status "$1") == DELIVERED ]]; }
eventually token >/dev/null
first=$(order first)
check 'an order is DELIVERED' eventually delivered "$first"

processes() { systemctl show -P MainPID order-svc@3001 order-svc@3011 delivery-svc@3002 | xargs; }

echo '== an upgrade without a secret that its units ask for'
mv $etc/secrets/webhook_secrets_key /root/
before=$(processes)
apt-get -qqy install /next/*.deb -o Dpkg::Options::=--force-confold 2>&1 | tee /root/said
check 'it names the secret' grep -q "order-svc@3001.service is still the old release.* $etc/secrets/webhook_secrets_key" /root/said
check 'order-svc goes on' is "$(processes | cut -d' ' -f1,2)" "$(cut -d' ' -f1,2 <<<"$before")"
check 'delivery-svc, which does not need it, is a new process' test "$(processes | cut -d' ' -f3)" != "$(cut -d' ' -f3 <<<"$before")"
mv /root/webhook_secrets_key $etc/secrets/
apt-get -qqy install --allow-downgrades /packages/*.deb -o Dpkg::Options::=--force-confold
check 'order-svc is ready' eventually env ORDER_SERVICE_PORT=3001 order-svc --health

echo '== an upgrade'
before=$(processes)
settings=$(cat $etc/*.env | sha256sum)
apt-get -qqy install /next/*.deb -o Dpkg::Options::=--force-confold
after=$(processes)
check 'the settings are what they were' is "$(cat $etc/*.env | sha256sum)" "$settings"
check 'those of the next release are beside them' test -s $etc/order-svc.env.dpkg-dist
for i in 1 2 3; do
    check "instance $i is a new process" test "$(cut -d' ' -f$i <<<"$before")" != "$(cut -d' ' -f$i <<<"$after")"
done
check 'order-svc is ready' eventually order-svc --health
check 'the order is still there' is "$(status "$first")" DELIVERED
second=$(order second)
check 'another order is DELIVERED' eventually delivered "$second"
check 'it has the currency of the settings' is "$(curl -sf "localhost:3001/orders/$second" -H "Authorization: Bearer $(token)" | jq -r .currency)" EUR
check 'the page is there' is "$(curl -s -o /dev/null -w '%{http_code}' localhost:3001/)" 200
hooks=hooks:$(client hooks webhook:manage)
eventually token "$hooks" >/dev/null
check 'a webhook has a secret, sealed with the key of the file' eventually curl -sf -o /dev/null localhost:3001/webhooks \
    -H "Authorization: Bearer $(token "$hooks")" -H 'Content-Type: application/json' -d '{"url":"https://hooks.example.com/orders"}'

echo '== an upgrade whose migrations fail'
mv $etc/secrets/order_migrator_password /root/
echo wrong >$etc/secrets/order_migrator_password
before=$(systemctl show -P MainPID order-svc@3001)
apt-get -qqy install --allow-downgrades /packages/*.deb -o Dpkg::Options::=--force-confold
check 'what runs goes on' is "$(systemctl show -P MainPID order-svc@3001)" "$before"
mv /root/order_migrator_password $etc/secrets/

echo '== removal'
apt-get -qqy remove order-svc delivery-svc
check 'the instances have stopped' is "$(systemctl list-units --plain --no-legend --state=active '*-svc@*' | wc -l)" 0
check 'the settings are kept' is "$(cat $etc/*.env | sha256sum)" "$settings"
apt-get -qqy purge order-svc delivery-svc order-processing-common
check 'no settings are left' is "$(find $etc -name '*.env*')" ''
check 'no instance is enabled' is "$(find /etc/systemd/system -name '*-svc@*')" ''
check 'the secrets are left to the administrator' test -s $etc/secrets/jwt_secret
rm -r $etc
check 'nothing else is left' is "$(find /etc /usr /var/lib/systemd -name '*order-svc*' -o -name '*delivery-svc*' -o -name '*order-processing*')" ''
echo '== done'
