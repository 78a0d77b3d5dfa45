"""A backlog: who has to wait behind it, and who has not. And a database that fills faster than the server analyzes it."""

import json
import uuid

from harness import System, eventually, order_created, until_none_is_left

MANY = 1500
NEW_ID = """(lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0')
             || '-7' || substr(gen_random_uuid()::text, 16))::uuid"""
STORE = f"""
    INSERT INTO orders (id, client_id, customer_id, total_amount, created_at, updated_at, currency)
    SELECT {NEW_ID}, 'demo-client', 'customer-' || n, 9.99, now(), now(), 'USD' FROM generate_series(1, {MANY}) n"""
STORE_ITEMS = """
    INSERT INTO order_items (order_id, position, product_id, quantity, unit_price)
    SELECT id, 1, 'laptop-001', 1, 9.99 FROM orders ON CONFLICT DO NOTHING"""
STORE_SHIPMENTS = f"""
    INSERT INTO shipments (id, order_id, customer_id, client_id, correlation_id, traceparent, created_at, updated_at, next_transition_at)
    SELECT {NEW_ID}, id, customer_id, client_id, 'backlog', '', now(), now(), now() FROM orders"""


def stopped(system):
    """The system with its tables. Nothing runs yet."""
    for daemon in (system.order_svc(), system.delivery_svc()):
        assert daemon.command("--migrate").returncode == 0
    return system


def started(system):
    for daemon in system.daemons:
        daemon.start()


def test_new_order_does_not_wait_behind_statuses(parts):
    """The carrier moves many shipments, and a new order gets its own long before all of their orders know."""
    with System(parts) as system:
        stopped(system)
        for statement in (STORE, STORE_ITEMS, STORE_SHIPMENTS):
            system.query(statement)
        started(system)
        eventually(lambda: system.query("SELECT count(*) > 100 FROM orders WHERE status <> 'PENDING_SHIPMENT'") == [(True,)],
                   what="the first statuses")
        new = system.client().created()
        eventually(lambda: system.deliveries().get(f"/delivery/shipment/{new}").status_code == 200, what="the shipment")
        system.all_delivered()
        assert system.query("SELECT count(*) > 0 FROM orders WHERE id <> %s"
                            "   AND updated_at > (SELECT created_at FROM shipments WHERE order_id = %s)", new, new) == [(True,)]


def test_status_does_not_wait_behind_new_orders(parts):
    """Many orders wait for their shipments, and one that has left is seen to have left long before they have theirs."""
    with System(parts, CARRIER_SIMULATION="false") as system:
        stopped(system)
        started(system)
        old = system.client().created()
        shipment = eventually(lambda: system.deliveries().shipment(old))
        system.delivery.stop()
        system.query(STORE)
        system.query(STORE_ITEMS)
        ids = [str(row[0]) for row in system.query("SELECT id FROM orders WHERE id <> %s", old)]
        events = [str(uuid.uuid4()) for _ in ids]
        bodies = [json.dumps(order_created(order_id, eventId=event_id)) for order_id, event_id in zip(ids, events, strict=True)]
        system.query("""INSERT INTO order_outbox (event_id, group_id, payload, correlation_id, traceparent)
                        SELECT e, g, p, 'backlog', '' FROM unnest(%s::uuid[], %s::uuid[], %s::text[]) AS b(e, g, p)""",
                     events, ids, bodies)
        system.delivery.start()
        eventually(lambda: system.query("SELECT count(*) > 100 FROM shipments") == [(True,)], what="the first shipments")
        system.deliveries().move(shipment["id"], "SHIPPED", tracking_number="T-1", carrier="C")
        eventually(lambda: system.client().order(old)["status"] == "SHIPPED", what="the status")
        until_none_is_left(lambda: [MANY + 1 - system.query("SELECT count(*) FROM shipments")[0][0]], "shipments to make")
        assert system.query("SELECT count(*) > 0 FROM shipments"
                            " WHERE created_at > (SELECT updated_at FROM orders WHERE id = %s)", old) == [(True,)]


def rows_of_scans(system):
    return dict(system.query("SELECT relname, seq_tup_read FROM pg_stat_user_tables"
                             " WHERE relname IN ('orders', 'order_items', 'shipments')"))


def test_tables_are_not_read_as_a_whole_when_they_were_empty_at_first(parts):
    """A plan is kept until the server has analyzed the table. These it never does."""
    with System(parts) as system:
        stopped(system)
        for table in ("orders", "order_items", "shipments"):
            system.query(f"ALTER TABLE {table} SET (autovacuum_enabled = false)")
        started(system)
        api = system.client()
        for _ in range(2):
            for order_id in [api.created() for _ in range(150)]:
                eventually(lambda o=order_id: api.order(o)["status"] == "DELIVERED", what="delivery")
        for daemon in system.daemons:  # what a session has counted is told at its end, at the latest
            daemon.stop()
        read = rows_of_scans(system)
        assert set(read) == {"orders", "order_items", "shipments"}
        assert max(read.values()) < 1000, read
