"""What must be true when all orders have come to their end, and what clients were told is compared with the databases."""

import time

DEAD_LETTERS = ("ORDERS_DLQ", "DELIVERY_STATUS_DLQ")
QUEUES = ("ORDERS_QUEUE", "DELIVERY_STATUS_QUEUE", *DEAD_LETTERS)
ORDERS_AT_REST = """
    SELECT count(*) FROM orders o LEFT JOIN shipments s ON s.order_id = o.id
     WHERE o.status NOT IN ('DELIVERED', 'CANCELLED') OR s.status IS DISTINCT FROM o.status"""
# Each statement finds what must not be.
FAULTS = {
    "customers with two orders": "SELECT customer_id FROM orders GROUP BY 1 HAVING count(*) > 1",
    "orders without a shipment": "SELECT id FROM orders WHERE id NOT IN (SELECT order_id FROM shipments)",
    "shipments without an order": "SELECT order_id FROM shipments WHERE order_id NOT IN (SELECT id FROM orders)",
    "orders with two shipments": "SELECT order_id FROM shipments GROUP BY 1 HAVING count(*) > 1",
    "orders that do not agree with their shipment": """
        SELECT o.id FROM orders o JOIN shipments s ON s.order_id = o.id
         WHERE (o.status, o.tracking_number, o.carrier) IS DISTINCT FROM (s.status, s.tracking_number, s.carrier)""",
    "changes that are in the audit trail twice": """
        SELECT order_id FROM delivery_events WHERE previous_status IS DISTINCT FROM status GROUP BY order_id, status HAVING count(*) > 1""",
    "changes that are in the history of an order twice": """
        SELECT order_id FROM order_events GROUP BY order_id, type HAVING count(*) > 1 AND type <> 'order.tracking_changed'""",
    "orders without a history": "SELECT id FROM orders WHERE id NOT IN (SELECT order_id FROM order_events WHERE type = 'order.created')",
}



def rest(system, limit=300):
    """Waits until no order is on its way. Returns the seconds."""
    began = time.monotonic()
    while not (system.query(ORDERS_AT_REST) == [(0,)] and system.is_drained()):
        if time.monotonic() > began + limit:
            left = system.query("SELECT status, count(*) FROM orders GROUP BY 1")
            queues = {name: system.messages_in(name) for name in QUEUES if system.has_queue(name)}
            raise AssertionError(f"orders are on their way after {limit} s: {left}, messages {queues}")
        time.sleep(1)  # to look costs the others their time
    return time.monotonic() - began


def faults(system, journal, dead_letters=False):
    """What is not as it must be. The system must be at rest. dead_letters: there may be some."""
    found = []
    for what, statement in FAULTS.items():
        if rows := system.query(statement):
            found.append(f"{len(rows)} {what}, such as {rows[0][0]}")
    stored = {str(row[0]): row[1:] for row in system.query("SELECT id, customer_id, status FROM orders")}
    for order in journal.orders:
        customer, status = stored.get(order.order_id, (None, None))
        if customer != order.customer:
            found.append(f"{order} was answered 201 and is not stored")
        if status == "CANCELLED" and order.order_id not in journal.cancelled:
            found.append(f"{order} is cancelled, and nobody wished it")
    found += [f"{customer} has an order and asked for none" for customer, _ in stored.values() if customer not in journal.asked]
    for queue in () if dead_letters else DEAD_LETTERS:
        if system.has_queue(queue) and (dead := system.messages_in(queue)):
            found.append(f"{dead} dead letters in {queue}")
    return found
