"""order-svc erase: a customer is in no table, no cache and no message any more, and everything else goes on."""

import contextlib
import json
import re
import signal
import subprocess
import threading
import uuid

import psycopg
import pytest
from harness import Load, System, basket, eventually, free_port, order_created
from receiver import Receiver

SCOPE = "webhook:manage order:create order:read"
REPLACEMENT = re.compile(r"erased-[0-9a-f]{32}")


def somebody():
    return f"Ada Löwe \"{uuid.uuid4()}\""


def erase(system, customer, *words, **options):
    return system.order.command("erase", "--customer", customer, *words, **options)


def erased(system, customer, *words):
    """Erases, and returns how many orders there were."""
    done = erase(system, customer, *words)
    assert done.returncode == 0, done.stderr
    assert customer not in done.stdout + done.stderr
    return sum(map(int, re.findall(r"of (\d+) order", done.stdout)))


def written(text):
    """As it is, and as JSON has it."""
    return {text, json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}


def places(connection, text):
    """The tables with a row that has this text in any of its columns; the columns."""
    tables = connection.execute("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
                                ).fetchall()
    assert {"orders", "order_outbox", "shipments", "delivery_outbox", "webhook_deliveries", "idempotency_keys", "erasures"} <= \
        {name for (name,) in tables}
    forms = [*written(text), text.encode().hex()]
    columns = connection.execute("SELECT table_name, column_name FROM information_schema.columns"
                                 " WHERE table_schema = 'public'").fetchall()
    ordinary = {name for (name,) in tables}
    return {(table, column) for table, column in columns if table in ordinary and connection.execute(
        psycopg.sql.SQL("SELECT EXISTS (SELECT FROM {} WHERE EXISTS (SELECT FROM unnest(%s::text[]) f WHERE position(f IN {}::text) > 0))")
        .format(psycopg.sql.Identifier(table), psycopg.sql.Identifier(column)), [forms]).fetchone()[0]}


def in_database(system, text, name=None):
    with system.parts.connect(name or system.name) as connection:
        return places(connection, text)


def in_redis(system, text):
    forms = [form.encode() for form in written(text)]
    return {key for key in system.redis.keys() for value in [system.redis.get(key) or b""] if any(form in value + key for form in forms)}


def customers(system, table="orders", column="id"):
    return dict(system.query(f"SELECT {column}::text, customer_id FROM {table}"))


def shipped(system, order_id, *statuses, **fields):
    deliveries = system.deliveries()
    shipment = eventually(lambda: deliveries.shipment(order_id))
    for status in statuses:
        assert deliveries.move(shipment["id"], status, **fields).status_code == 200


def has_status(api, order_id, status):
    return eventually(lambda: (o := api.order(order_id))["status"] == status and o, what=f"{order_id} {status}")


@contextlib.contextmanager
def crowd(parts, **settings):
    with Receiver() as receiver, System(parts, CARRIER_SIMULATION="false", WEBHOOK_ALLOW_NETWORKS="127.0.0.0/8", ORDER_VIEW_TTL="15s",
                                        WEBHOOK_SCHEDULE="1h", LOG_LEVEL="debug", ACCESS_LOG="true", **settings) as system:
        system.start()
        yield system, system.client(scope=SCOPE), receiver


@pytest.mark.parametrize("who", [somebody(), f"customer-{uuid.uuid4()}"])
def test_nothing_is_left_of_a_customer(parts, who):
    """Orders in every state, with all that may name the customer; a load of others goes on."""
    other, plain = somebody(), who if who.isascii() else "no name"
    with crowd(parts) as (system, api, receiver):
        receiver.answer = lambda request: (200 if request.event["status"] != "CANCELLED" else 500, {}, request.event["customer_id"].encode())
        hook = api.post("/webhooks", {"url": receiver.url}).json()
        ids = {name: api.created(basket(who, reference=f"{name} of {who}", metadata={"to": who}), key=f"{name}-{plain}".replace(" ", "-"))
               for name in ("pending", "shipped", "delivered", "cancelled")}
        ids["keyless"] = api.created(basket(who))
        neighbour = api.created(basket(other, reference="of another"), key="of-another")
        shipped(system, ids["shipped"], "SHIPPED", tracking_number="T-1", carrier="DHL")
        shipped(system, ids["delivered"], "SHIPPED", "DELIVERED")
        assert api.post(f"/orders/{ids['cancelled']}/cancel", {"reason": f"{who} moved"}).status_code == 202
        before = {name: has_status(api, ids[name], name.upper()) for name in ("shipped", "delivered", "cancelled")}
        eventually(lambda: in_redis(system, who), what="a view in Redis")
        waits = "SELECT last_answer FROM webhook_deliveries WHERE next_at IS NOT NULL AND attempts = 1"
        eventually(lambda: any(who[-30:-5] in answer for (answer,) in system.query(waits) if answer), what="a delivery that failed")
        assert api.get("/orders", params={"customer_id": who}).status_code == 200
        before_places = {table for table, _ in in_database(system, who)}
        assert before_places == {"orders", "shipments", "webhook_deliveries"} | ({"idempotency_keys"} if plain == who else set())

        load = Load(system, clients=2)
        load.more(20)
        assert erased(system, who, "--actor", "data-protection") == len(ids)
        load.more(20)
        load.end()
        system.drain()

        assert in_database(system, who) == set()
        assert in_redis(system, who) == set()
        now = customers(system)
        assert len({now[id] for id in ids.values()}) == 1 and REPLACEMENT.fullmatch(now[ids["pending"]])
        assert customers(system, "shipments", "order_id") == now
        assert now[neighbour] == other
        # The memory of a process knows orders that are over for as long as ORDER_VIEW_TTL.
        after = {name: eventually(lambda id=id: (o := api.order(id))["customer_id"] == now[id] and o) for name, id in ids.items()}
        for order in after.values():
            assert order["items"] and "reference" not in order and "metadata" not in order
        shown = {"customer_id", "cancellation_reason", "reference", "metadata", "updated_at"}
        for name, order in before.items():
            old, new = ({key: value for key, value in o.items() if key not in shown} for o in (order, after[name]))
            assert old == new, "nothing else has changed"
        assert after["shipped"]["tracking_number"] == "T-1", "the parcel is on its way"
        events = api.get(f"/orders/{ids['cancelled']}/events").json()["events"]
        assert {event["customer_id"] for event in events} == {now[ids["pending"]]}
        assert [event["type"] for event in events] == ["order.created", "order.cancel_requested", "order.cancelled"], \
            "an erasure is no event"

        # What waits for a receiver goes on, without the name.
        receiver.answer = lambda request: 204
        failed = system.query("SELECT id::text FROM webhook_deliveries WHERE order_id = %s AND next_at IS NOT NULL", ids["cancelled"])
        assert len(failed) == 1
        seen = len(receiver.of(ids["cancelled"]))
        assert api.post(f"/webhooks/{hook['id']}/deliveries/{failed[0][0]}/retry").status_code == 202
        receiver.await_of(ids["cancelled"], seen + 1)
        last = receiver.of(ids["cancelled"])[-1].event
        assert (last["customer_id"], last["data"]) == (now[ids["pending"]], {"reason": None})

        # All goes on: what was pending is delivered.
        for name in "pending", "keyless", "shipped":
            steps = ["DELIVERED"] if name == "shipped" else ["SHIPPED", "DELIVERED"]
            shipped(system, ids[name], *steps)
            assert has_status(api, ids[name], "DELIVERED")["customer_id"] == now[ids["pending"]]
        system.drain()
        assert in_database(system, who) == set() and in_redis(system, who) == set()
        assert erased(system, who) == 0
        rows = system.query("SELECT replacement, client_id, actor, orders, finished_at IS NOT NULL FROM erasures")
        assert rows == [(now[ids["pending"]], "demo-client", "data-protection", len(ids), True)]
        for daemon in system.daemons:
            assert who not in daemon.log_text() and who[-30:-5] not in daemon.log_text()
        for knob in "ORDERS_DLQ", "DELIVERY_STATUS_DLQ":
            assert not system.has_queue(knob) or system.messages_in(knob) == 0


def test_events_that_were_not_sent_do_not_bring_the_name_back(parts):
    who = somebody()
    with System(parts, CARRIER_SIMULATION="false") as system:
        order, delivery = system.order_svc(SQS_ENDPOINT=f"http://127.0.0.1:{free_port()}").launch(), system.delivery_svc().start()
        eventually(order.is_live)
        api = system.client()
        kept = eventually(lambda: (answer := api.create(basket(who))).status_code == 201 and answer.json()["order_id"])
        gone = api.created(basket(who, currency="JPY", items=[{"product_id": "p", "quantity": 3, "unit_price": 10}]))
        assert api.post(f"/orders/{gone}/cancel", {"reason": who}).status_code == 202
        waiting = system.query("SELECT payload FROM order_outbox ORDER BY id")
        assert len(waiting) == 3 and ("order_outbox", "payload") in in_database(system, who)
        assert erased(system, who) == 2
        assert in_database(system, who) == set()
        sent = [json.loads(payload) for (payload,) in system.query("SELECT payload FROM order_outbox ORDER BY id")]
        replacement = customers(system)[kept]
        assert sent[:3] == [json.loads(payload) | {"customerId": replacement} for (payload,) in waiting]
        assert [event["eventType"] for event in sent[3:]] == ["CUSTOMER_ERASED"] * 2
        order.stop()
        order.environment["SQS_ENDPOINT"] = system.settings["SQS_ENDPOINT"]
        order.start()
        has_status(api, gone, "CANCELLED")
        system.drain()
        assert delivery.is_ready()
        assert customers(system, "shipments", "order_id") == {kept: replacement, gone: replacement}


def test_late_and_repeated_messages_do_not_bring_the_name_back(by_hand):
    who, api = somebody(), by_hand.client()
    order_id = api.created(basket(who))
    shipped(by_hand, order_id)
    assert erased(by_hand, who) == 1
    by_hand.drain()
    replacement = customers(by_hand)[order_id]
    by_hand.send("ORDERS_QUEUE", order_created(order_id, customerId=who, clientId="demo-client"), group=order_id)
    unknown = str(uuid.uuid4())
    by_hand.send("ORDERS_QUEUE", {"eventType": "CUSTOMER_ERASED", "eventId": str(uuid.uuid4()), "orderId": unknown,
                                  "customerId": "erased-x", "timestamp": "2026-01-02T03:04:05.678Z"}, group=unknown)
    by_hand.drain()
    assert customers(by_hand, "shipments", "order_id")[order_id] == replacement
    assert by_hand.deliveries().shipment(unknown) is None, "an erasure makes no shipment"
    # In one batch the message of the erasure comes after the one that makes the shipment.
    late = str(uuid.uuid4())
    by_hand.send("ORDERS_QUEUE", order_created(late, customerId=who), group=late)
    by_hand.send("ORDERS_QUEUE", {"eventType": "CUSTOMER_ERASED", "eventId": str(uuid.uuid4()), "orderId": late,
                                  "customerId": "erased-y", "timestamp": "2026-01-02T03:04:05.678Z"}, group=late)
    eventually(lambda: customers(by_hand, "shipments", "order_id").get(late) == "erased-y")
    assert by_hand.messages_in("ORDERS_DLQ") == 0


def test_keys_confirm_no_guess_and_make_no_second_order(by_hand):
    who, api = somebody(), by_hand.client()
    body = basket(who)
    first = api.create(body, key="a-key")
    keyless = basket(who, items=[{"product_id": "p", "quantity": 1, "unit_price": 1}])
    api.created(keyless)
    stored = by_hand.query("SELECT key, fingerprint FROM idempotency_keys")
    receipts = [key for key in by_hand.redis.keys() if key.startswith(b"order:create:")]
    fingerprints = {bytes(fingerprint) for _, fingerprint in stored}
    assert fingerprints & {by_hand.redis.get(key)[:32] for key in eventually(lambda: receipts or by_hand.redis.keys("order:create:*"))}
    assert erased(by_hand, who) == 2
    left = by_hand.query("SELECT key, fingerprint FROM idempotency_keys")
    assert "k:a-key" in {key for key, _ in left} and not fingerprints & {bytes(fingerprint) for _, fingerprint in left}
    assert not {key for key, _ in left} & {key for key, _ in stored if key.startswith("f:")}
    values = [by_hand.redis.get(key) or b"" for key in by_hand.redis.keys("order:create:*")]
    assert not fingerprints & {value[:32] for value in values}
    again = api.create(body, key="a-key")
    assert again.status_code == 422, f"it was {first.json()}, and is {again.text}"
    assert erased(by_hand, who) == 0, "the repeated request made no order"


def test_clients_are_told_apart(by_hand):
    who = somebody()
    shops = {name: by_hand.client(name) for name in ("shop-a", "shop-b", "shop-c")}
    ids = {name: [api.created(basket(who), key=f"{name}-{i}") for i in range(2)] for name, api in shops.items()}
    assert erased(by_hand, who, "--client", "shop-b") == 2
    now = customers(by_hand)
    assert now[ids["shop-a"][0]] == now[ids["shop-c"][1]] == who
    assert erased(by_hand, who) == 4
    now = customers(by_hand)
    replacements = [{now[id] for id in ids[name]} for name in shops]
    assert [len(one) for one in replacements] == [1, 1, 1] and len(set.union(*replacements)) == 3


def test_orders_of_an_interrupted_run_are_done_by_the_next_one(by_hand):
    """It is killed between two batches: the lock of an order that is in the last one keeps it there."""
    who, api = somebody(), by_hand.client()
    ids = sorted(api.created(basket(who), key=str(uuid.uuid4())) for _ in range(250))
    for order_id in ids[:3]:
        shipped(by_hand, order_id, "SHIPPED", "DELIVERED")
        has_status(api, order_id, "DELIVERED")
    with by_hand.parts.connect(by_hand.name) as holder, holder.transaction():
        holder.execute("SELECT FROM orders WHERE id = %s FOR UPDATE", [ids[-1]])
        run = subprocess.Popen([by_hand.order.program, "erase", "--customer", who], env=by_hand.order.environment,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        left = "SELECT count(*) FROM orders WHERE customer_id = %s"
        eventually(lambda: by_hand.query(left, who) == [(50,)])
        run.send_signal(signal.SIGKILL)
        run.wait()
    assert by_hand.query(left, who) == [(50,)]
    assert by_hand.query("SELECT orders FROM erasures WHERE finished_at IS NULL") == [(200,)]
    # As if it had been killed before it came to Redis.
    for key in by_hand.redis.keys("order:view:*"):
        by_hand.redis.set(key, b"1\n9000000000000\ndemo-client\n" + json.dumps({"customer_id": who}).encode())
    assert erased(by_hand, who) == 50
    assert in_database(by_hand, who) - {("shipments", "customer_id")} == set() and in_redis(by_hand, who) == set()
    assert by_hand.query("SELECT count(*) FROM erasures WHERE finished_at IS NULL") == [(0,)]
    by_hand.drain()
    assert in_database(by_hand, who) == set()
    assert erased(by_hand, who) == 0


def test_orders_that_are_made_while_it_runs_are_erased_too(system):
    who, stopping = somebody(), threading.Event()
    api = system.client()

    def order():
        while not stopping.is_set():
            api.created(basket(who), key=str(uuid.uuid4()))

    threads = [threading.Thread(target=order) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        eventually(lambda: system.query("SELECT count(*) > 150 FROM orders WHERE customer_id = %s", who) == [(True,)])
        deleted = erased(system, who)
    finally:
        stopping.set()
        for thread in threads:
            thread.join()
    assert deleted > 100
    erased(system, who)
    system.all_delivered()
    system.drain()
    assert in_database(system, who) == set(), "moving orders and erasing them at once loses neither"
    total = system.query("SELECT count(*), (SELECT count(*) FROM shipments) FROM orders")[0]
    assert total[0] == total[1] == system.query("SELECT sum(orders) FROM erasures")[0][0]


def test_redis_that_is_away_is_told_and_the_next_run_cleans_it(by_hand):
    who, api = str(uuid.uuid4()), by_hand.client()
    order_id = api.created(basket(who))  # without a key: its fingerprint is the key
    others = [api.created(basket(who), key=key) for key in (f"for-{who}", str(uuid.uuid4()))]
    shipped(by_hand, order_id, "SHIPPED", "DELIVERED")
    has_status(api, order_id, "DELIVERED")
    eventually(lambda: in_redis(by_hand, who))

    def keys():
        return by_hand.query("SELECT key, fingerprint FROM idempotency_keys WHERE order_id = ANY (%s::uuid[])", [order_id, *others])

    def receipts():
        """Those in Redis of the three orders. Each begins with a fingerprint."""
        values = [by_hand.redis.get(key) or b"" for key in by_hand.redis.keys("order:create:*")]
        return [value for value in values if value[:32] in fingerprints]

    fingerprints = {bytes(fingerprint) for _, fingerprint in keys()}
    eventually(lambda: len(receipts()) == 3)
    away = by_hand.order_svc(REDIS_PORT=str(free_port()))
    done = away.command("erase", "--customer", who)
    assert done.returncode == 1 and "Redis cannot be cleaned" in done.stderr and who not in done.stderr
    assert customers(by_hand)[order_id] != who and in_redis(by_hand, who) and len(receipts()) == 3
    assert in_database(by_hand, who) - {("shipments", "customer_id")} == set()
    assert not fingerprints & {bytes(fingerprint) for _, fingerprint in keys()}
    assert erased(by_hand, who) == 0
    assert in_redis(by_hand, who) == set() and receipts() == []
    assert [key[:2] for key, _ in keys()] == ["k:"], "a hash that nobody needs any more still confirms a guess"


def test_event_that_the_queue_lost_is_told_again_and_all_of_them_on_demand(parts):
    """delivery-svc has a database of its own here."""
    who = somebody()
    with System(parts, RECONCILE_AFTER="1s") as system:
        own = system.name + "_own"
        with parts.connect("postgres") as admin:
            admin.execute(f"CREATE DATABASE {own}")
        try:
            system.order_svc().start()
            delivery = system.delivery_svc(DB_NAME=own).start()
            api = system.client()
            order_id = api.created(basket(who))
            has_status(api, order_id, "DELIVERED")
            delivery.stop()
            assert erased(system, who) == 1
            lost = system.take("ORDERS_QUEUE", lambda messages: messages)
            assert {json.loads(one["Body"])["eventType"] for one in lost} == {"CUSTOMER_ERASED"}
            delivery.start()
            with parts.connect(own) as theirs:
                read = "SELECT customer_id FROM shipments"
                replacement = customers(system)[order_id]
                eventually(lambda: theirs.execute(read).fetchone() == (replacement,))
                # A backup of delivery-svc was restored, long after. Something else waits of the order: it is no hindrance.
                system.query("UPDATE erasures SET quiet_since = 'infinity', erased_at = now() - interval '2 days'")
                theirs.execute("UPDATE shipments SET customer_id = %s", [who])
                system.order.stop()
                system.query("INSERT INTO order_outbox (event_id, group_id, payload, correlation_id, traceparent)"
                             " VALUES (gen_random_uuid(), %s, %s, '', '')", order_id, json.dumps(order_created(order_id)))
                done = system.order.command("erase", "--repeat")
                assert done.returncode == 0 and "of 1 erasure" in done.stdout
                system.order.start()
                eventually(lambda: theirs.execute(read).fetchone() == (replacement,))
                tables = theirs.execute("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'")
                assert "orders" not in {name for (name,) in tables}
        finally:
            system.delivery.stop()
            with parts.connect("postgres") as admin:
                admin.execute(f"DROP DATABASE {own} WITH (FORCE)")


def test_what_waits_for_the_queue_is_still_what_the_queue_takes(parts):
    """SQS refuses two characters, which are escaped in an event."""
    who, odd = somebody(), "p\ufffe\uffff\\ufffe"
    with System(parts, SQS_ENDPOINT=f"http://127.0.0.1:{free_port()}") as system:
        system.order_svc().start()
        order_id = system.client().created(basket(who, items=[{"product_id": odd, "quantity": 1, "unit_price": 1}]))
        assert erased(system, who) == 1
        payload, = eventually(lambda: system.query("SELECT payload FROM order_outbox WHERE payload LIKE '%%ORDER_CREATED%%'"))[0]
        assert payload.isascii() and json.loads(payload)["items"][0]["product_id"] == odd
        assert json.loads(payload)["customerId"] == customers(system)[order_id]


def test_ids_may_come_from_standard_input(by_hand):
    names = [somebody() for _ in range(3)]
    for name in names:
        by_hand.client().created(basket(name))
    text = "\n".join([names[0], "", "bad\x01", names[1], "x" * 5000, names[2]])
    done = subprocess.run([by_hand.order.program, "erase", "--customer", "-"], env=by_hand.order.environment, input=text,
                          capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert "Line 3 is no customer's id\nLine 5 is no customer's id\n" in done.stderr
    assert not set(names) & set(customers(by_hand).values())
    assert by_hand.query("SELECT count(*) FROM erasures WHERE orders = 1 AND actor <> ''")[0][0] >= 3


@pytest.mark.parametrize("words", [
    [], ["--customer"], ["--customer", ""], ["--customer", "a", "--customer", "b"], ["--who", "a"], ["--repeat", "--customer", "a"],
    ["--customer", "a\tb"], ["--customer", "x" * 256], ["--customer", "a", "--actor", ""], ["--client", "c"]])
def test_wrong_words_are_refused(by_hand, words):
    done = by_hand.order.command("erase", *words)
    assert done.returncode == 2 and "usage: order-svc erase" in done.stderr


def test_database_that_is_away_is_told(by_hand):
    away = by_hand.order_svc(DB_PORT=str(free_port()))
    done = away.command("erase", "--customer", "somebody")
    assert done.returncode == 1 and "Run it again" in done.stderr and "somebody" not in done.stderr


def test_delivery_that_is_under_way_keeps_no_answer_and_is_made_again(parts):
    """Its receiver has the old text, and answers with it after the erasure."""
    who, answered = somebody(), threading.Event()
    with crowd(parts, WEBHOOK_TIMEOUT="30s") as (system, api, receiver):
        hook = api.post("/webhooks", {"url": receiver.url}).json()
        receiver.answer = lambda request: (answered.wait(30), (500, {}, request.event["customer_id"].encode()))[1]
        order_id = api.created(basket(who))
        receiver.await_of(order_id, 1)
        assert erased(system, who) == 1
        answered.set()
        api.created()
        receiver.await_count(2)
        delivered = "SELECT attempts, last_answer FROM webhook_deliveries WHERE webhook_id = %s AND last_status IS NOT NULL"
        eventually(lambda: system.query(delivered, hook["id"]), what="a result that was recorded")
        assert in_database(system, who) == set()
        waiting = system.query("SELECT body::json ->> 'customer_id', next_at IS NOT NULL FROM webhook_deliveries WHERE order_id = %s", order_id)
        assert waiting == [(customers(system)[order_id], True)]
