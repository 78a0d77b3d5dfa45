"""The feed: the history of an order, and the events of all orders in the order in which they became visible."""

import datetime

import psycopg
import pytest
from harness import System, assert_problem, basket, eventually

pytestmark = pytest.mark.usefixtures("new_feed")
NONE = "0" * 32


def events(api, path="/events", **query):
    answer = api.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()["events"], answer.json()["next"]


def follow(api, after=None, **query):
    """Reads pages until one is empty."""
    found = []
    while True:
        page, after = events(api, **query, **({"after": after} if after else {}))
        found += page
        if not page:
            return found, after


@pytest.fixture
def moved(by_hand):
    """An order that was delivered."""
    api, deliveries = by_hand.client(), by_hand.deliveries()
    _, start = events(api, after="now")
    order_id = api.created()
    shipment = eventually(lambda: deliveries.shipment(order_id))
    for status in ("SHIPPED", "DELIVERED"):
        deliveries.move(shipment["id"], status)
    eventually(lambda: api.order(order_id)["status"] == "DELIVERED")
    return api, order_id, start


def test_history_of_an_order_tells_who_changed_it_when(moved):
    api, order_id, _ = moved
    history, _ = events(api, f"/orders/{order_id}/events")
    view = api.order(order_id)
    assert [(e["type"], e["previous_status"], e["status"], e["actor"]) for e in history] == [
        ("order.created", None, "PENDING_SHIPMENT", "client:demo-client"),
        ("order.shipped", "PENDING_SHIPMENT", "SHIPPED", "delivery-service"),
        ("order.delivered", "SHIPPED", "DELIVERED", "delivery-service")]
    assert [e["order_id"] for e in history] == [order_id] * 3
    assert (history[0]["occurred_at"], history[-1]["occurred_at"]) == (view["created_at"], view["updated_at"])
    assert history[0]["data"] == {"total_amount": view["total_amount"], "currency": "USD"}
    assert history[1]["data"] == {"tracking_number": view.get("tracking_number"), "carrier": view.get("carrier")}
    assert all(len(e["trace_id"]) == 32 and e["request_id"] for e in history)
    ids = [e["id"] for e in history]
    assert ids == sorted(ids)
    assert events(api, f"/orders/{order_id}/events", after=ids[0])[0] == history[1:]


def test_feed_has_the_same_events_and_goes_on_where_it_ended(moved):
    api, order_id, start = moved
    history, _ = events(api, f"/orders/{order_id}/events")
    eventually(lambda: follow(api, start, order_id=order_id)[0] == history, what="the end of older transactions")
    found, end = follow(api, start)
    assert [e for e in found if e["order_id"] == order_id] == history
    one, then = events(api, after=start, limit=1)
    assert one == found[:1] and one[0]["id"] == then
    again = api.created()
    assert [e["order_id"] for e in eventually(lambda: events(api, after=end)[0])] == [again]


def test_filters(moved):
    api, order_id, start = moved
    eventually(lambda: len(follow(api, start, order_id=order_id)[0]) == 3)
    assert [e["type"] for e in follow(api, start, types="order.shipped,order.delivered", order_id=order_id)[0]] == [
        "order.shipped", "order.delivered"]
    assert follow(api, start, types="order.tracking_changed")[0] == []
    customer = events(api, after=start, order_id=order_id)[0][0]["customer_id"]
    assert {e["customer_id"] for e in follow(api, start, customer_id=customer)[0]} == {customer}
    assert follow(api, start, customer_id="nobody")[0] == []


def test_rare_customer_is_found_behind_many_others(by_hand):
    api = by_hand.client("many")
    _, start = events(api, after="now")
    other = api.created()
    by_hand.query("""INSERT INTO order_events (epoch, xid, n, occurred_at, order_id, client_id, type, status, request_id)
                     SELECT order_event_epoch(), pg_current_xact_id()::text::bigint, g, now(), %s, 'many', 'order.created',
                            'PENDING_SHIPMENT', 'r' FROM generate_series(1, 1000) g""", other)
    rare = api.created(basket("rare"))
    eventually(lambda: [e["order_id"] for e in events(api, after=start, customer_id="rare")[0]] == [rare],
               what="the only event of a customer on the first page")


def test_each_client_sees_its_own_events_and_a_scope_shows_all(moved, by_hand):
    _, order_id, start = moved
    stranger = by_hand.client("other-client")
    assert_problem(stranger.get(f"/orders/{order_id}/events"), 404, "ORDER_NOT_FOUND")
    assert follow(stranger, start)[0] == []
    auditor = by_hand.client("other-client", scope="order:read order:read:all")
    assert len(events(auditor, f"/orders/{order_id}/events")[0]) == 3
    assert {e["order_id"] for e in eventually(lambda: follow(auditor, start)[0])} == {order_id}


@pytest.mark.parametrize("query", ["after=x", f"after={NONE[1:]}", f"after={NONE}0", f"after={'F' * 32}", "limit=0", "limit=101",
                                   "types=order.none", "types=order.created,", "types=", "order_id=1", "wait=21", "what=1",
                                   f"after=00000000{'f' * 24}"])
def test_bad_arguments_are_refused(by_hand, query):
    assert_problem(by_hand.client().get(f"/events?{query}"), 400, "VALIDATION_ERROR")


def test_history_of_no_order(by_hand):
    api = by_hand.client()
    for name in "x", "01890000-0000-7000-8000-000000000000":
        assert_problem(api.get(f"/orders/{name}/events"), 404, "ORDER_NOT_FOUND")


def test_history_cannot_be_changed(by_hand):
    order_id = by_hand.client().created()
    for change in ("UPDATE {} SET status = 'X'", "DELETE FROM {}", "TRUNCATE {}"):
        for table in "order_events", by_hand.query("SELECT tableoid::regclass::text FROM order_events LIMIT 1")[0][0]:
            with pytest.raises(psycopg.errors.RaiseException):
                by_hand.query(change.format(table))
    assert len(events(by_hand.client(), f"/orders/{order_id}/events")[0]) == 1


def test_event_of_an_older_transaction_appears_before_those_that_committed_first(by_hand):
    """The reader waits for transactions that began to write earlier."""
    api = by_hand.client()
    _, start = events(api, after="now")
    old = by_hand.parts.connect(by_hand.name)
    old.execute("BEGIN")
    old.execute("SELECT pg_current_xact_id()")
    first = api.created()
    assert [e["order_id"] for e in events(api, f"/orders/{first}/events")[0]] == [first]
    assert events(api, after=start)[0] == []
    old.execute("""INSERT INTO order_events (epoch, xid, n, occurred_at, order_id, client_id, type, status, request_id)
                   SELECT order_event_epoch(), pg_current_xact_id()::text::bigint, 1, now(), gen_random_uuid(), %s,
                          'order.created', 'PENDING_SHIPMENT', 'late'""", ["demo-client"])
    old.execute("COMMIT")
    eventually(lambda: [e["request_id"] == "late" for e in events(api, after=start)[0]] == [True, False])


def test_position_whose_partition_is_gone_has_expired(parts):
    with System(parts) as system:
        order = system.order_svc()
        assert order.command("--migrate").returncode == 0
        today = datetime.datetime.now(datetime.timezone.utc).date()
        for days in 40, 20:
            day = today - datetime.timedelta(days=days)
            system.query(f"CREATE TABLE order_events_{day:%Y%m%d} PARTITION OF order_events FOR VALUES FROM ('{day}') TO"
                         f" ('{day + datetime.timedelta(days=1)}')")
            system.query("""INSERT INTO order_events (epoch, xid, n, recorded_at, occurred_at, order_id, client_id, type,
                                                      status, actor, request_id)
                            VALUES (%s, 9, 1, %s, now(), gen_random_uuid(), 'demo-client', 'order.created',
                                    'SHIPPED', 'test', 'r')""", 100 - days, day)
        order.start()
        api = system.client(daemon=order)
        kept, _ = follow(api)
        assert len(kept) == 1
        assert_problem(api.get(f"/events?after={60:08x}{8:016x}{1:08x}"), 410, "CURSOR_EXPIRED")
        assert follow(api, f"{60:08x}{9:016x}{1:08x}")[0] == kept
        names = {name for name, in system.query("SELECT inhrelid::regclass::text FROM pg_inherits")}
        assert f"order_events_{today - datetime.timedelta(days=40):%Y%m%d}" not in names
        assert f"order_events_{today + datetime.timedelta(days=7):%Y%m%d}" in names


def test_partition_leaves_the_feed_an_hour_before_it_goes(parts):
    """So nobody is between two pages of it when it goes."""
    with System(parts, CARRIER_SIMULATION="false") as system:
        order = system.order_svc().start()
        api = system.client(daemon=order)
        now = datetime.datetime.now(datetime.timezone.utc)
        day = now.date() - datetime.timedelta(days=20)
        name, age = f"order_events_{day:%Y%m%d}", now - datetime.datetime.combine(day, datetime.time(), datetime.timezone.utc)
        system.query(f"CREATE TABLE {name} PARTITION OF order_events FOR VALUES FROM ('{day}') TO ('{day + datetime.timedelta(days=1)}')")
        system.query("""INSERT INTO order_events (epoch, xid, n, recorded_at, occurred_at, order_id, client_id, type, status, actor, request_id)
                        SELECT 60, g, 1, %s, now(), gen_random_uuid(), 'demo-client', 'order.created', 'SHIPPED', 'test', 'r'
                          FROM generate_series(8, 9) g""", day)
        new = api.created()

        def look_after(late):
            """Once the last event of the day is out of the feed for so long."""
            system.query("SELECT order_events_partitions(%s - interval '1 day' - %s)", age, late)
            return system.query("SELECT to_regclass(%s)::text", name)[0][0]

        assert look_after(-datetime.timedelta(minutes=10)) == name
        eventually(lambda: len(events(api)[0]) == 3, what="the end of older transactions")
        for late in 10, 50:
            assert look_after(datetime.timedelta(minutes=late)) == name
            found, after = events(api, limit=1)
            assert [event["order_id"] for event in found] == [new], "it begins behind what leaves"
            assert events(api, after=after)[0] == []
            assert_problem(api.get(f"/events?after={60:08x}{8:016x}{1:08x}"), 410, "CURSOR_EXPIRED")
        eventually(lambda: look_after(datetime.timedelta(minutes=70)) is None)


def test_partition_that_somebody_reads_stays_and_stops_nobody(parts):
    with System(parts) as system:
        order = system.order_svc().start()
        day = datetime.datetime.now(datetime.timezone.utc).date() - datetime.timedelta(days=40)
        name = f"order_events_{day:%Y%m%d}"
        system.query(f"CREATE TABLE {name} PARTITION OF order_events FOR VALUES FROM ('{day}') TO ('{day + datetime.timedelta(days=1)}')")

        def look_after():
            with parts.connect(system.name) as caller:
                caller.execute("SET statement_timeout = '30s'")  # nothing but the function's own limit ends its wait for a lock
                caller.execute("SELECT order_events_partitions(interval '30 days')")
            return system.query("SELECT to_regclass(%s)::text", name)[0][0]

        with parts.connect(system.name) as backup:
            backup.execute("BEGIN")
            backup.execute(f"SELECT count(*) FROM {name}")
            assert look_after() == name
            system.client(daemon=order).created()
            backup.execute("ROLLBACK")
        eventually(lambda: look_after() is None)


def test_long_poll_of_a_history_never_goes_back(by_hand):
    """The history of one order has what is committed. The feed is behind it, as long as an older transaction runs."""
    api = by_hand.client()
    with by_hand.parts.connect(by_hand.name) as old:
        old.execute("BEGIN")
        old.execute("SELECT pg_current_xact_id()")
        path = f"/orders/{api.created()}/events"
        found, after = events(api, path)
        assert len(found) == 1
        assert events(api, path, after=after, wait=1) == ([], after)
        old.execute("ROLLBACK")


def test_change_that_waits_for_its_turn_has_no_number_yet(by_hand):
    """Else its events would be before those of the change that it waits for."""
    api, deliveries = by_hand.client(), by_hand.deliveries()
    order_id = api.created()
    shipment = eventually(lambda: deliveries.shipment(order_id))
    with by_hand.parts.connect(by_hand.name) as other:
        other.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", [order_id])
        deliveries.move(shipment["id"], "SHIPPED")
        waiting = eventually(lambda: by_hand.query("SELECT backend_xid FROM pg_stat_activity WHERE datname = current_database()"
                                                   " AND application_name = 'order-service' AND wait_event = 'advisory'"))
        assert waiting == [(None,)]
    eventually(lambda: api.order(order_id)["status"] == "SHIPPED")
