"""What a new order costs PostgreSQL for one index, check or type. Each is taken away, or put in, and the rest stays as it is."""

import lab as tools
import sustained
from table import Row

CONNECTIONS = 256
CHANGES = {
    "with a foreign key of the items": ["ALTER TABLE order_items ADD FOREIGN KEY (order_id) REFERENCES orders"],
    "without checks of limits": ["""DO $$
        DECLARE
            c record;
        BEGIN
            FOR c IN SELECT conrelid::regclass AS relation, conname FROM pg_constraint
                      WHERE contype = 'c' AND conrelid IN ('orders'::regclass, 'order_items'::regclass) LOOP
                EXECUTE 'ALTER TABLE ' || c.relation || ' DROP CONSTRAINT ' || quote_ident(c.conname);
            END LOOP;
        END $$"""],
    "with an index on customer and id": ["CREATE INDEX ON orders (customer_id, id)"],
    "without the index on quiet orders": ["DROP INDEX orders_quiet_idx"],
    "without the index on the expiry of keys": ["DROP INDEX idempotency_keys_expiry_idx"],
    "with BRIN on the expiry of keys": ["DROP INDEX idempotency_keys_expiry_idx",
                                        "CREATE INDEX ON idempotency_keys USING brin (expires_at)"],
    "without the index on the order of keys": ["DROP INDEX idempotency_keys_order_idx"],
    "without the index on the group in the outbox": ["DROP INDEX order_outbox_group_idx"],
    "without the index on the order in the history": ["DROP INDEX order_events_order_idx"],
    "with integers for money": ["ALTER TABLE orders ALTER total_amount TYPE bigint", "ALTER TABLE order_items ALTER unit_price TYPE bigint"],
}


def rate_and_cpu(lab, system):
    """The rate, and the CPU time that PostgreSQL's processes need for an order, in us."""
    server = sustained.pid_of(lab.parts, "postgres")
    lab.clear(system.name)
    before = sustained.family(server)
    load = lab.post(system, CONNECTIONS, lab.seconds)
    return load.rate, (sustained.family(server) - before) / load.requests * 1e6


def schema(lab):
    """As pairs of loads in turns: the tables as they are, and with the change."""
    rows = []
    with lab.orders(**tools.AWAY) as whole:
        for what, statements in CHANGES.items():
            with lab.orders(**tools.AWAY) as changed:
                for statement in statements:
                    changed.query(statement)
                pairs = [(rate_and_cpu(lab, changed), rate_and_cpu(lab, whole)) for _ in range(2 * lab.rounds)]
            for figure, (name, unit) in enumerate(((f"POST /orders, {CONNECTIONS} connections", "orders/s"), ("CPU time of PostgreSQL per order", "us"))):
                ours, against = zip(*((a[figure], b[figure]) for a, b in pairs), strict=True)
                rows.append(Row(f"{name}, {what}", "as it is", unit, list(ours), list(against)))
    return rows
