#!/usr/bin/env bash
# Demonstrates the system: creates, ships and delivers an order, follows another one, and checks every answer.
#   demo.sh [--interactive]      pauses between the steps, except while the simulated carrier may interfere
#   ORDER_URL and DELIVERY_URL select a system that runs elsewhere. Without them, start-services.sh starts one.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/../scripts/lib.sh"

interactive=false
[[ ${1:-} != --interactive || ! -t 0 || ! -t 1 ]] || interactive=true
bold='' dim='' green='' red='' plain=''
pauses=$interactive
if [[ -t 1 ]]; then bold=$'\e[1m' dim=$'\e[2m' green=$'\e[32m' red=$'\e[31m' plain=$'\e[0m'; fi
answers=$(mktemp -d)
trap 'rm -rf "$answers"' EXIT
auth=()

step() {
    printf '\n%s== %s%s\n' "$bold" "$*" "$plain"
    if $pauses; then read -rsp "   [Enter]" && echo; fi
}

surprise() { # WHAT EXPECTED CAME
    printf '%s   unexpected: %s\n   expected: %s\n   received: %s%s\n' "$red" "$@" "$plain" >&2
    exit 1
}

expect() { # WHAT EXPECTED CAME
    [[ $2 == "$3" ]] || surprise "$@"
    printf '%s   ok: %s is %s%s\n' "$green" "$1" "$2" "$plain"
}

field() { jq -r "$1" "$answers/body"; } # the last answer's

expect_field() { expect "$1" "$2" "$(field "$1")"; } # JQ-PATH EXPECTED

# Sends the token to order-svc only, because in development delivery-svc needs no token.
ask() { # URL CURL-OPTION...
    local with=()
    [[ $1 != "$order_url"* ]] || with=("${auth[@]}")
    curl -sS -m 10 "${with[@]}" "$@"
}

# call STATUS METHOD URL [CURL-OPTION...]: shows the request and the answer. The answer must have that status.
call() {
    local wanted=$1 method=$2 url=$3 status
    shift 3
    printf '%s   %s %s%s\n' "$dim" "$method" "$url" "$plain"
    status=$(ask "$url" -X "$method" "$@" -D "$answers/head" -o "$answers/body" \
        -w '%{http_code}') || surprise "$method $url" "an answer" "none"
    jq . "$answers/body" | sed 's/^/   /'
    [[ $status == "$wanted" ]] || surprise "status of $method $url" "$wanted" "$status"
}

# await SECONDS URL JQ-PATH EXPECTED: repeats the request until the answer has the expected value.
await() {
    local begin=$SECONDS came=''
    while ((SECONDS - begin < $1)); do
        came=$(ask "$2" 2>/dev/null | jq -r "$3" 2>/dev/null) || came=''
        if [[ $came == "$4" ]]; then
            [[ ! -t 1 ]] || printf '\r\e[K'
            printf '%s   ok: %s is %s, after %d s%s\n' "$green" "$3" "$4" $((SECONDS - begin)) "$plain"
            return
        fi
        [[ ! -t 1 ]] || printf '\r   waiting for %s: %-16s %2d s' "$4" "$came" $((SECONDS - begin))
        sleep 0.2
    done
    surprise "$3 of $2 within $1 s" "$4" "${came:-nothing}"
}

# follow SECONDS URL TYPE: shows the events of a stream as they come, up to one of that type. told receives their types.
follow() {
    local line type='' curl begin=$SECONDS
    told=()
    printf '%s   GET %s (text/event-stream)%s\n' "$dim" "$2" "$plain"
    exec 3< <(exec curl -sSN -m "$1" "${auth[@]}" -H 'Accept: text/event-stream' "$2")
    curl=$!
    while IFS= read -r line <&3; do
        case $line in
        event:*) type=${line#event: } ;;
        data:*)
            printf '   %2d s  %-16s %s\n' $((SECONDS - begin)) "$type" "$(jq -c .data <<<"${line#data: }")"
            told+=("$type")
            [[ $type != "$3" ]] || break
            ;;
        esac
    done
    exec 3<&-
    kill "$curl" 2>/dev/null || true
    [[ $type == "$3" ]] || surprise "the last event within $1 s" "$3" "${type:-nothing}"
}

order() { # IDEMPOTENCY-KEY
    call 201 POST "$order_url/orders" -H 'Content-Type: application/json' -H "Idempotency-Key: $1" -d '{
        "customer_id": "customer-demo-001",
        "items": [{"product_id": "laptop-001", "quantity": 1, "unit_price": 999.99},
                  {"product_id": "mouse-001", "quantity": 2, "unit_price": 29.99}]}'
}

new_key() { cat /proc/sys/kernel/random/uuid; }

for tool in curl jq; do
    command -v "$tool" >/dev/null || [[ -z ${ORDER_URL:-} || -z ${DELIVERY_URL:-} ]] || die "$tool is missing"
done
if [[ -z ${ORDER_URL:-} || -z ${DELIVERY_URL:-} ]]; then
    "$ROOT/scripts/start-services.sh"
    ORDER_URL=http://localhost:$(value_in "$ROOT/.run/order-svc.config" ORDER_SERVICE_PORT)
    DELIVERY_URL=http://localhost:$(value_in "$ROOT/.run/delivery-svc.config" DELIVERY_SERVICE_PORT)
fi
order_url=${ORDER_URL%/} delivery_url=${DELIVERY_URL%/}

step "Both daemons are healthy"
for url in "$order_url" "$delivery_url"; do
    await 60 "$url/health" .status healthy
    call 200 GET "$url/health"
done

step "A client gets a token"
call 200 POST "$order_url/auth/token" -H 'Content-Type: application/json' \
    -d '{"grant_type": "client_credentials", "client_id": "demo-client", "client_secret": "demo-secret"}'
expect_field .token_type Bearer
auth=(-H "Authorization: Bearer $(field .access_token)")

step "It creates an order"
key=$(new_key)
order "$key"
expect_field .status PENDING_SHIPMENT
expect_field .total_amount 1059.97
id=$(field .order_id)
cp "$answers/body" "$answers/first"

pauses=false # the simulated carrier may move the shipment from here on
step "It asks again with the same Idempotency-Key: the same answer, no second order"
order "$key"
cmp "$answers/first" "$answers/body" || surprise "the second answer" "the first one, byte for byte" "another"
expect "Idempotent-Replayed" true "$(sed -n 's/^Idempotent-Replayed: *\([a-z]*\).*/\1/Ip' "$answers/head")"

step "delivery-svc has received the order and created a shipment"
await 10 "$delivery_url/delivery/shipment/$id" .status PROCESSING
call 200 GET "$delivery_url/delivery/shipment/$id"
shipment=$(field .id)

step "We ship it by hand, with a tracking number"
call 200 POST "$delivery_url/delivery/shipment/$shipment/status" -H 'Content-Type: application/json' \
    -d '{"status": "SHIPPED", "tracking_number": "TRACK-DEMO-1", "carrier": "Demo Express"}'
expect_field .status SHIPPED
await 10 "$order_url/orders/$id" .status SHIPPED

step "We deliver it"
call 200 POST "$delivery_url/delivery/shipment/$shipment/status" -H 'Content-Type: application/json' \
    -d '{"status": "DELIVERED"}'
expect_field .tracking_number TRACK-DEMO-1
await 10 "$order_url/orders/$id" .status DELIVERED
pauses=$interactive

step "A status never goes back"
call 409 POST "$delivery_url/delivery/shipment/$shipment/status" -H 'Content-Type: application/json' \
    -d '{"status": "PROCESSING"}'
expect_field .error INVALID_TRANSITION

step "The order at the end"
call 200 GET "$order_url/orders/$id"
expect_field .status DELIVERED
expect_field .tracking_number TRACK-DEMO-1
expect_field .carrier "Demo Express"

step "The audit trail"
call 200 GET "$delivery_url/delivery/shipment/$id/events"
expect_field '[.events[].status] | unique | length' 3
expect_field '.events[-1].status' DELIVERED

step "A second order, left to the simulated carrier (half a minute)"
order "$(new_key)"
id=$(field .order_id)

step "We follow it: the stream tells what happens, nobody has to ask again"
follow 90 "$order_url/orders/$id/events" order.delivered
expect "what the stream told" "order.created order.shipped order.delivered" "${told[*]}"
call 200 GET "$order_url/orders/$id"
expect_field .status DELIVERED

if curl -sf -m 10 -o "$answers/page" "$order_url/"; then
    step "Look at it yourself"
    printf '   %s/ is a page that shows all orders as they move\n   sign in as demo-client, with the secret demo-secret\n' "$order_url"
fi

printf '\n%s%sThe demo ran without errors.%s\n' "$bold" "$green" "$plain"
