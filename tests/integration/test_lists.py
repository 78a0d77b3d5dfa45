"""However many orders others have, a list reads about as many as it shows."""

import pytest
from harness import System, eventually

OTHERS = 20000
# The oldest orders are those of a client that has ordered nothing since. All clients have a customer of one name.
FILL = f"""
    INSERT INTO orders (id, client_id, customer_id, status, total_amount, version, created_at, updated_at)
    SELECT ('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid,
           CASE WHEN n <= 40 THEN 'old' ELSE 'shop-' || n %% 50 END,
           CASE WHEN n %% 2 = 0 THEN 'guest' ELSE 'customer-' || n END,
           CASE WHEN n <= 40 AND n %% 4 < 2 OR n %% 1000 = 0 THEN 'SHIPPED'
                WHEN n > 40 AND n / 50 %% 5 = 0 THEN 'CANCELLED' ELSE 'DELIVERED' END, 1, 3, now(), now()
      FROM generate_series(1, {OTHERS}) n;
    INSERT INTO order_items SELECT id, 1, 'p', 1, 1 FROM orders;
    UPDATE orders SET quiet_since = now() + interval '1 day';
    ANALYZE"""


@pytest.fixture(scope="module")
def filled(parts):
    with System(parts) as system:
        order = system.order_svc()
        assert order.command("--migrate").returncode == 0
        for statement in FILL.split(";"):
            system.query(statement)
        yield system


def rows_read(system):
    return system.query("SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_user_tables WHERE relname = 'orders'")[0][0]


def is_alone(system):
    return system.query("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")[0][0] == 1


@pytest.mark.parametrize("scope", ["order:read", "order:read order:read:all"])
@pytest.mark.parametrize("query, shown", [("", 20), ("customer_id=guest", 20), ("customer_id=none", 0),
                                          ("status=SHIPPED", 20), ("status=CANCELLED", 0), ("customer_id=guest&status=SHIPPED", 10),
                                          ("status=DELIVERED", 20), ("customer_id=guest&status=DELIVERED", 10),
                                          ("reference=none", 0), ("updated_since=2020-01-01T00:00:00Z", 20),
                                          ("updated_since=2999-01-01T00:00:00Z", 0),
                                          ("created_after=2020-01-01T00:00:00Z", 0)])
def test_list_reads_what_it_shows(filled, scope, query, shown):
    order = filled.order_svc(RECONCILE_AFTER="24h").start()
    try:
        before = rows_read(filled)
        page = filled.client("old", scope, daemon=order).get(f"/orders?limit=20&{query}")
        assert page.status_code == 200, page.text
        if scope == "order:read":
            assert len(page.json()["orders"]) == shown
    finally:
        order.stop()
    eventually(lambda: is_alone(filled), what="the end of all sessions, which write their statistics then")
    assert rows_read(filled) - before < OTHERS / 10


@pytest.mark.parametrize("query, where", [("customer_id=guest", "customer_id = 'guest'"),
                                          ("customer_id=guest&status=SHIPPED", "customer_id = 'guest' AND status = 'SHIPPED'"),
                                          ("customer_id=customer-77", "customer_id = 'customer-77'")])
def test_pages_of_a_customer_of_many_clients(filled, query, where):
    """The newest first, whoever's client they are."""
    order = filled.order_svc(RECONCILE_AFTER="24h").start()
    try:
        reader, ids, cursor = filled.client("admin", "order:read order:read:all", daemon=order), [], ""
        while cursor is not None:
            page = reader.get(f"/orders?limit=100&{query}{cursor and '&cursor='}{cursor}").json()
            ids += [shown["id"] for shown in page["orders"]]
            cursor = page["next_cursor"]
    finally:
        order.stop()
    assert ids == [str(row[0]) for row in filled.query(f"SELECT id FROM orders WHERE {where} ORDER BY id DESC")]


def blocks_of_pages(system, count=20):
    """How many blocks the server looks at for some pages, also to plan them."""
    blocks = "SELECT sum(heap_blks_hit + heap_blks_read + idx_blks_hit + idx_blks_read) FROM pg_statio_user_tables WHERE relname LIKE 'order%%'"
    order = system.order_svc(RECONCILE_AFTER="24h").start()
    try:
        before = system.query(blocks)[0][0]
        for _ in range(count):
            assert len(system.client("shop-1", daemon=order).get("/orders?limit=20").json()["orders"]) == 20
    finally:
        order.stop()
    eventually(lambda: is_alone(system), what="the end of all sessions, which write their statistics then")
    return int(system.query(blocks)[0][0] - before)


def test_pages_cost_no_more_when_the_oldest_orders_have_left(filled):
    """And vacuum has not come yet."""
    for table in "orders", "order_items":
        filled.query(f"ALTER TABLE {table} SET (autovacuum_enabled = off)")
    before = blocks_of_pages(filled)
    gone = f"(SELECT id FROM orders ORDER BY id LIMIT {OTHERS // 2})"
    filled.query(f"DELETE FROM order_items WHERE order_id IN {gone}")
    filled.query(f"DELETE FROM orders WHERE id IN {gone}")
    # Who comes by marks what is gone, as soon as no snapshot of before is open, such as that of an analysis.
    eventually(lambda: blocks_of_pages(filled) < 1.5 * before, what="pages that cost no more")
