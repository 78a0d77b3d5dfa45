"""Compares the answers to clients with the databases and the queues."""

import collections
import datetime
import decimal
import itertools
import json
import re
import time
import uuid

from clients import FINAL, STATUSES

MAX_RECEIVES = 3  # of a message, by default
MANY = 10  # violations of one kind that are printed


class Findings:
    """Counts the checks of each promise, and lists its violations as text."""

    def __init__(self):
        self.checked, self.violations = collections.Counter(), collections.defaultdict(list)

    def check(self, promise, ok, words):
        self.checked[promise] += 1
        if not ok:
            self.violations[promise].append(words)

    def fail(self, promise, all_words):
        """Adds violations that were seen during the run. An empty list means that the promise was kept."""
        self.checked[promise] += 1
        self.violations[promise] += all_words

    @property
    def count(self):
        return sum(map(len, self.violations.values()))


SLOW = 6  # seconds from the time of a change, or of an order's id, to its commit: a lane, a statement's limit


class Losses:
    """The times whose changes the database forgot. Nothing is promised for what happened in them."""

    def __init__(self, losses, journal):
        self.losses = losses
        self.forgotten = {order.order_id for order in journal.orders if order.cancels and self.touch(order)}

    def has(self, answer):
        """Whether the answer, or that to the revocation of a token, came while what it says could still be forgotten."""
        return any(start <= answer.came and answer.sent <= end for start, end, _, _ in self.losses)

    def touch(self, order):
        """Whether the order was under way in such a time, between its request and the last that was seen of it."""
        seen = [read[1] for read in order.reads + order.shipment_reads] + [answer.came for answer in order.cancel_answers]
        last = max(seen, default=order.asked)
        return any(order.asked <= end and last >= start for start, end, _, _ in self.losses)

    def made(self, order_id):
        """Whether the order was created in such a time. The id, a UUIDv7, begins with the time."""
        created = (uuid.UUID(order_id).int >> 80) / 1000
        return any(start - SLOW <= created <= end + 1 for _, _, start, end in self.losses)

    def delivered(self, at):
        """Whether the shipment of an order that was delivered then may be forgotten, from its first status to its last, while
        the event that told the last was not: it was on its way then. The order is right, and nobody can heal its shipment."""
        return at is not None and any(start - SLOW <= at <= end + 1 for _, _, start, end in self.losses)

    def decided(self, order_id):
        """Whether what was decided of the order may be forgotten, while its event was not: it was on its way then."""
        return order_id in self.forgotten

    def during(self, event):
        """Whether the change that this event tells may be forgotten. Who was told of it before such a time was told what is kept."""
        at = datetime.datetime.fromisoformat(event["occurred_at"]).timestamp()
        return any(start - SLOW <= at <= end + 1 and event["came"] >= start - 1 for _, _, start, end in self.losses)


def total(body):
    return sum(item["quantity"] * decimal.Decimal(str(item["unit_price"])) for item in body["items"])


def check_orders(journal, losses, system, findings):
    """Each order that was answered exists once and as it was sent. No other order exists."""
    stored = {str(row[0]): row[1:] for row in system.query(
        "SELECT id, client_id, customer_id, total_amount, status, tracking_number, carrier, cancellation,"
        " extract(epoch FROM delivered_at) FROM orders")}
    items = collections.defaultdict(list)
    for order_id, *item in system.query(
            "SELECT order_id, product_id, quantity, unit_price FROM order_items ORDER BY order_id, position"):
        items[str(order_id)].append(item)
    of_customer = collections.defaultdict(list)
    for order_id, row in stored.items():
        of_customer[row[1]].append(order_id)
    for order in journal.orders:
        mine = of_customer.pop(order.customer, [])
        binding = [answer for answer in order.answers if not losses.has(answer)]
        findings.check("one order per key", len(mine) <= 1, f"{order.customer} has orders {mine}")
        findings.check("every client has its answer", order.answers or not order.wanted,
                       f"{order.customer} was never answered")
        if mine:
            row = stored[mine[0]]
            expected = [[i["product_id"], i["quantity"], decimal.Decimal(str(i["unit_price"]))] for i in order.body["items"]]
            findings.check("an order has the content that was sent",
                           (row[0], row[2]) == (order.client_id, total(order.body)) and items[mine[0]] == expected,
                           f"{mine[0]} of {order.customer}: {row} {items[mine[0]]}, sent {order.body}")
        for answer in binding:
            findings.check("an order answered 201 exists", mine == [answer.json()["order_id"]],
                           f"{answer.body} of {order.customer} is not stored: {mine}")
        if binding:
            findings.check("all answers to one key are the same", len({a.body for a in binding}) == 1,
                           f"{order.customer} was answered {[a.body for a in binding]}")
    findings.fail("no order that nobody asked for", [f"{ids} of {c}" for c, ids in of_customer.items()])
    findings.fail("no items without an order", [f"items of {order_id}" for order_id in items if order_id not in stored])
    return stored


def check_shipments(stored, losses, system, findings):
    """Each order has one shipment, and both have the same status."""
    shipments = {}
    for shipment_id, order_id, *state in system.query(
            "SELECT id, order_id, status, tracking_number, carrier FROM shipments"):
        if losses.made(str(order_id)) and str(order_id) not in stored:
            continue
        findings.check("no shipment without an order", str(order_id) in stored, f"{shipment_id} of {order_id}")
        findings.check("no order has two shipments", str(order_id) not in shipments, f"{order_id} has two")
        shipments[str(order_id)] = (shipment_id, state)
    for order_id, row in stored.items():
        findings.check("every order has a shipment", order_id in shipments or losses.delivered(row[7]),
                       f"{order_id}, which is {row[3]}, has none")
        findings.check("every order ends DELIVERED or CANCELLED", STATUSES[row[3]] in FINAL or losses.decided(order_id),
                       f"{order_id} is {row[3]}, its shipment {shipments.get(order_id)}")
        if order_id in shipments and STATUSES[row[3]] in FINAL and not losses.decided(order_id):
            findings.check("order and shipment agree", list(row[3:6]) == shipments[order_id][1],
                           f"{order_id} is {row[3:6]}, its shipment {shipments[order_id][1]}")
    return shipments


def check_cancelling(journal, stored, losses, findings):
    """What clients were told of their wishes to cancel is what became of the orders."""
    for order in journal.orders:
        row = stored.get(order.order_id)
        if not row or losses.touch(order):
            continue
        status, cancellation = row[3], row[6]
        told = f"{order.order_id} is {status}, {cancellation}; asked {order.cancels} times, answered " \
               f"{[answer.body for answer in order.cancel_answers]}"
        findings.check("every wish to cancel is decided", cancellation != "requested", told)
        findings.check("nothing is cancelled that nobody wished", order.cancels or (status, cancellation) == ("DELIVERED", None),
                       told)
        findings.check("a wish is accepted, or the order is delivered",
                       (status, cancellation) in (("CANCELLED", "accepted"), ("DELIVERED", "refused"), ("DELIVERED", None)), told)
        for answer in order.cancel_answers:
            said = answer.json().get("cancellation")
            right = {"accepted": cancellation == "accepted", "refused": cancellation == "refused",
                     "requested": cancellation is not None, None: cancellation is None}[said]
            findings.check("what is said of a wish holds", right and answer.status != 404, told)


def check_audit(shipments, losses, system, findings):
    """The audit trail has each change once, and leads from the first state to the current one."""
    trail = collections.defaultdict(list)
    for order_id, *event in system.query(
            "SELECT order_id, shipment_id, previous_status, status, tracking_number, carrier FROM delivery_events"
            " ORDER BY id"):
        trail[str(order_id)].append(event)
    for order_id, (shipment_id, state) in shipments.items():
        events = trail.pop(order_id, [])
        whole = bool(events) and events[0][1:] == [None, "PROCESSING", None, None] and events[-1][2:] == state
        for before, after in itertools.pairwise(events):
            whole = whole and after[1] == before[2] and after[2:] != before[2:]
        moves = [event[2] for event in events if event[1] != event[2]]
        findings.check("one audit row per change", whole and len(moves) == len(set(moves)) and
                       {event[0] for event in events} == {shipment_id}, f"{order_id} is {state}, told as {events}")
    findings.fail("no audit row without a shipment", [order_id for order_id in trail if not losses.made(order_id)])


def forward(reads):
    """Describes the first read that saw an earlier state than a read that ended before it began. None without one."""
    told = sorted((came, rank, where) for _, came, rank, _, where in reads if rank is not None)
    best, i = (-1, None), 0
    for sent, _, rank, _, where in sorted(reads, key=lambda read: read[0]):
        while i < len(told) and told[i][0] < sent:
            best, i = max(best, told[i][1:], key=lambda pair: pair[0]), i + 1
        if (-1 if rank is None else rank) < best[0]:
            return f"{where} saw {rank} after {best[1]} had seen {best[0]}"
    return None


def check_reads(journal, losses, findings):
    """The states that clients saw of an order only moved forward, over all clients and replicas."""
    for order in journal.orders:
        if not order.answers or losses.touch(order):
            continue
        known = min(answer.came for answer in order.answers)
        findings.check("an order can be read after its 201",
                       not any(rank is None for sent, _, rank, _, _ in order.reads if sent > known),
                       f"{order.order_id} was not found: {order.reads}")
        for promise, reads in [("the status of an order never goes back", order.reads),
                               ("the status of a shipment never goes back", order.shipment_reads)]:
            back = forward(reads)
            findings.check(promise, not back, f"{order.order_id}: {back}")
        # A delivered order is kept in caches for a while, so a correction of its tracking number may come late.
        versions = [(s, c, v, None, w) for s, c, r, v, w in order.reads if v is not None and r not in FINAL]
        back = forward(versions)
        findings.check("the version of a moving order never goes back", not back, f"{order.order_id}: {back}")
        ahead = max((r for r in order.reads if r[2] is not None), key=lambda r: (r[2], -r[1]), default=None)
        late = [r for r in order.shipment_reads if ahead and r[0] > ahead[1] and (r[2] or 0) < ahead[2]]
        findings.check("an order is never ahead of its shipment", not late, f"{order.order_id}: {ahead} before {late}")


def dead_letters(system, queue):
    """The body of each dead letter, and the reason that a daemon gave. None when the broker gave it up by itself."""
    url, letters = system.queue_url(queue), []
    while found := system.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10,
                                              MessageAttributeNames=["All"]).get("Messages"):
        for message in found:
            letters.append((message["Body"], message.get("MessageAttributes", {}).get("reason", {}).get("StringValue")))
            system.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return letters


def is_lost(body, losses):
    """Whether a dead letter is about an order that the database forgot, or of which it forgot a decision."""
    try:
        order_id = json.loads(body)["orderId"]
        return losses.made(order_id) or losses.decided(order_id)
    except (ValueError, KeyError):
        return False


def is_worn_out(body, readers, setbacks):
    """Whether all receives of a message may have been lost: each to a daemon that died or was paused, or to a request or
    an answer of SQS that was lost on its way. The broker counts such a receive, too."""
    made = datetime.datetime.fromisoformat(json.loads(body)["timestamp"]).timestamp()
    return sum(ended >= made and re.match(readers, target) is not None
               for ended, target in setbacks) >= MAX_RECEIVES


def settled(count, seconds=30):
    """Waits until nothing is left. Returns what is. (A correction may be repeated just now, also after all was empty.)"""
    deadline = time.monotonic() + seconds
    while (left := count()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return left


def check_queues(journal, losses, setbacks, system, findings):
    for table in ("order_outbox", "delivery_outbox"):
        waiting = settled(lambda table=table: system.query(f"SELECT count(*) FROM {table}")[0][0])
        findings.check("the outboxes are empty", waiting == 0, f"{waiting} wait in {table}")
    for queue in ("ORDERS_QUEUE", "DELIVERY_STATUS_QUEUE"):
        waiting = settled(lambda queue=queue: system.messages_in(queue))
        findings.check("the queues are empty", waiting == 0, f"{waiting} wait in {queue}")
    for queue, readers in (("ORDERS_DLQ", "delivery|elasticmq"), ("DELIVERY_STATUS_DLQ", "order|elasticmq")):
        for body, reason in dead_letters(system, queue):
            findings.check("only poison is a dead letter", body in journal.poison or is_lost(body, losses) or
                           reason is None and is_worn_out(body, readers, setbacks), f"{queue}: {reason}: {body}")


def check_history(journal, stored, losses, system, findings):
    """The history of an order leads from its creation to its end, and everybody who follows the feed has seen it once."""
    trail, wishes, kept = collections.defaultdict(list), collections.defaultdict(list), []
    for epoch, xid, n, order_id, *event in system.query(
            "SELECT epoch, xid, n, order_id, type, previous_status, status, data::json->>'tracking_number',"
            " data::json->>'carrier' FROM order_events ORDER BY epoch, xid, n"):
        kept.append(f"{epoch:08x}{xid:016x}{n:08x}")
        (wishes if "cancel_" in event[0] else trail)[str(order_id)].append(event)
    for order_id, row in stored.items():
        events = trail.pop(order_id, [])
        whole = bool(events) and events[0][:3] == ["order.created", None, "PENDING_SHIPMENT"]
        whole = whole and events[-1][2:] == [row[3], *([None, None] if events[-1][0] == "order.cancelled" else row[4:6])]
        asked = [event[0] for event in wishes.pop(order_id, [])]
        expected = {None: [], "refused": ["order.cancel_requested", "order.cancel_refused"]}
        whole = whole and asked == expected.get(row[6], ["order.cancel_requested"])
        for before, after in itertools.pairwise(events):
            whole = whole and after[1] == before[2] and after[2:] != before[2:]
        findings.check("one event per change of an order", whole, f"{order_id} is {row[3:]}, told as {events}")
    findings.fail("no event without an order", [*trail, *wishes])
    for follower in journal.followers:
        ids = [event["id"] for event in follower.seen]
        later = [pair for pair in itertools.pairwise(ids) if pair[0] >= pair[1]]
        findings.fail("no event appears behind one that was seen, or twice", [f"{follower.name}: {p}" for p in later])
        missed = set(kept) - set(ids)
        findings.check("who follows the feed sees every event", not missed, f"{follower.name} missed {sorted(missed)[:20]}")
        known = set(kept)
        unknown = [e for e in follower.seen if e["id"] not in known and not losses.during(e)]
        findings.check("no event is told that was not kept", not unknown, f"{follower.name} saw {unknown[:5]}")


def check_webhooks(journal, losses, system, findings):
    """The receiver was told of each event of its client at least once, in order for each order."""
    receiver = journal.receiver
    missed = receiver.missing()
    findings.check("webhooks tell every event", not missed, f"missed {sorted(missed)[:20]}")
    told = collections.defaultdict(list)
    for event in receiver.seen:
        told[event["order_id"]].append(event["id"])
    for order_id, ids in told.items():
        findings.check("webhooks tell the events of an order in order", ids == sorted(ids), f"{order_id} was told {ids}")
    own = {str(row[0]) for row in system.query("SELECT order_id FROM order_events WHERE client_id = %s", receiver.CLIENT)}
    foreign = [e for e in receiver.seen if e["order_id"] not in own and not losses.during(e)]
    findings.check("webhooks tell nothing of others", not foreign, f"{foreign[:5]}")


def check_revocations(journal, losses, findings):
    """What a client ended stays ended, in every replica."""
    for token in journal.revoked:
        if losses.has(token):  # it may have been stored in such a time
            continue
        findings.check("a revoked token is refused everywhere at the end", token.left == [], f"{token.left} accept it")
        back = [(name, at) for name, at in token.accepted if at > token.refused.get(name, float("inf"))]
        findings.check("a refused token stays refused", not back, f"refused at {token.refused}, accepted by {back}")


def check(journal, losses, setbacks, system):
    findings, losses = Findings(), Losses(losses, journal)
    stored = check_orders(journal, losses, system, findings)
    shipments = check_shipments(stored, losses, system, findings)
    check_cancelling(journal, stored, losses, findings)
    check_audit(shipments, losses, system, findings)
    check_reads(journal, losses, findings)
    check_queues(journal, losses, setbacks, system, findings)
    check_history(journal, stored, losses, system, findings)
    check_webhooks(journal, losses, system, findings)
    check_revocations(journal, losses, findings)
    findings.checked["every request has an answer of the API"] = sum(journal.outcomes.values()) - 1
    findings.fail("every request has an answer of the API", journal.faults)
    return findings
