#!/usr/bin/env bash
# Handles the dead letters: messages that no daemon could apply.
#   dlq.sh list               counts them
#   dlq.sh show QUEUE         prints each as a line of JSON, with the reason. Not shown are messages that other readers
#                             hold, those after the first ten of a group, and what cannot be read in 45 seconds
#   dlq.sh redrive QUEUE      sends the present ones to the queue they came from
#   dlq.sh purge QUEUE        deletes them all. This cannot be undone
# QUEUE is orders, delivery-status or token-revocations.
# Settings come from the environment, .env or env.example. SQS_ENDPOINT also comes from the running system of
# start-services.sh. AWS needs AWS_REGION, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN). They
# must allow sqs:GetQueueUrl, GetQueueAttributes, ReceiveMessage, ChangeMessageVisibility, SendMessage,
# DeleteMessage and PurgeQueue on the queues.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

endpoint=${SQS_ENDPOINT:-}
if [[ -z $endpoint ]] && running "$ROOT/.run/order-svc.pid"; then
    endpoint=$(value_in "$ROOT/.run/order-svc.config" SQS_ENDPOINT)
fi
endpoint=${endpoint:-$(setting SQS_ENDPOINT)}
key=$(setting AWS_ACCESS_KEY_ID)

# Credentials are not put on a command line, where all users can see them.
credentials() {
    local token
    [[ $key ]] || return 0
    token=$(setting AWS_SESSION_TOKEN)
    printf 'user = "%s:%s"\naws-sigv4 = "aws:amz:%s:sqs"\n' "$key" "$(setting AWS_SECRET_ACCESS_KEY)" \
        "$(setting AWS_REGION)"
    [[ -z $token ]] || printf 'header = "X-Amz-Security-Token: %s"\n' "$token"
}

sqs() { # ACTION, the request's JSON on standard input
    local answer
    answer=$(curl -sS -m 30 --fail-with-body --config <(credentials) -H 'Content-Type: application/x-amz-json-1.0' \
        -H "X-Amz-Target: AmazonSQS.$1" --data-binary @- "$endpoint/") || die "$1 at $endpoint failed: $answer"
    printf '%s\n' "$answer"
}

queue_url() { jq -n --arg name "$(setting "$1")" '{QueueName: $name}' | sqs GetQueueUrl | jq -r .QueueUrl; } # KNOB

about() { jq -cn --arg url "$url" "{QueueUrl: \$url$1}"; } # MEMBERS: a request about the dead letters

count() { # visible ones
    about ', AttributeNames: ["ApproximateNumberOfMessages"]' | sqs GetQueueAttributes |
        jq -r '.Attributes.ApproximateNumberOfMessages'
}

receive() { # a line of JSON for each message, hidden from others for a minute
    about ', MaxNumberOfMessages: 10, VisibilityTimeout: 60, AttributeNames: ["All"],
        MessageSystemAttributeNames: ["All"], MessageAttributeNames: ["All"]' | sqs ReceiveMessage |
        jq -c '(.Messages // [])[]'
}

release() { # the lines of receive: makes the messages visible again
    jq -c --arg url "$url" '{QueueUrl: $url, ReceiptHandle, VisibilityTimeout: 0}' |
        while read -r request; do sqs ChangeMessageVisibility <<<"$request" >/dev/null; done
}

# Ends before those that were received first are visible again.
show() {
    local page all="" begin=$SECONDS
    while ((SECONDS - begin < 45)); do
        page=$(receive)
        [[ $page ]] || break
        all+=$page$'\n'
    done
    jq -c '{sent: (.Attributes.SentTimestamp | tonumber / 1000 | todate), group: .Attributes.MessageGroupId,
        reason: .MessageAttributes.reason.StringValue, correlationId: .MessageAttributes.correlationId.StringValue,
        body: .Body}' <<<"$all"
    release <<<"$all"
}

# Sends each message before it is deleted. A failure in between makes a duplicate, which is harmless. The number of
# messages at the start is the limit, because a message that fails again comes back.
redrive() {
    local source left done=0 page message
    source=$(queue_url "$queue_knob")
    left=$(count)
    while ((done < left)); do
        page=$(receive)
        [[ $page ]] || break
        while read -r message; do
            jq -c --arg url "$source" '{QueueUrl: $url, MessageBody: .Body,
                MessageGroupId: .Attributes.MessageGroupId, MessageDeduplicationId: .MessageId,
                MessageAttributes: ((.MessageAttributes // {}) | del(.reason)
                    | map_values({DataType, StringValue}))}' <<<"$message" | sqs SendMessage >/dev/null
            jq -c --arg url "$url" '{QueueUrl: $url, ReceiptHandle}' <<<"$message" | sqs DeleteMessage >/dev/null
            done=$((done + 1))
        done <<<"$page"
    done
    echo "$done messages redriven"
}

purge() { about '' | sqs PurgeQueue >/dev/null; }

list() {
    local queue number
    for queue in orders delivery-status token-revocations; do
        select_queue "$queue"
        number=$(count)
        printf '%-18s %s\n' "$queue" "$number"
    done
}

select_queue() { # QUEUE
    case $1 in
    orders) queue_knob=ORDERS_QUEUE url=$(queue_url ORDERS_DLQ) ;;
    delivery-status) queue_knob=DELIVERY_STATUS_QUEUE url=$(queue_url DELIVERY_STATUS_DLQ) ;;
    token-revocations) queue_knob=REVOCATIONS_QUEUE url=$(queue_url REVOCATIONS_DLQ) ;;
    *) die "no such queue: $1; QUEUE is orders, delivery-status or token-revocations" ;;
    esac
}

case ${1:-}:$# in
list:1) list ;;
show:2 | redrive:2 | purge:2)
    select_queue "$2"
    "$1"
    ;;
*) die "usage: dlq.sh list | show QUEUE | redrive QUEUE | purge QUEUE; QUEUE is orders, delivery-status or token-revocations" ;;
esac
