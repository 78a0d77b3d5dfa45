"""Replicas of both daemons behind a balancer, what may be done to them under load, and what must be true afterwards."""

import contextlib
import os
import time

import harness
from balancer import Balancer
from load import Load

SERVICES = ("order-svc", "delivery-svc")
SECRET = "a-secret-of-production-that-is-long-enough"
SETTINGS = {  # what docs/SCALING.md says, and a quick carrier; in production nobody migrates but --migrate
    "APP_ENV": "production", "DEMO_CLIENTS": "false", "DELIVERY_ANONYMOUS": "false", "JWT_SECRET": SECRET,
    "SHUTDOWN_DELAY": "3s", "TRUSTED_PROXIES": "127.0.0.1",
    "CARRIER_ASSIGN_DELAY": "300ms", "CARRIER_SHIP_DELAY": "700ms", "CARRIER_DELIVER_DELAY": "1s",
}
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


def programs(folder):
    """The daemons of a build, by their service."""
    return {service: os.path.join(folder, service) for service in SERVICES}


class Fleet:
    """Replicas that run the given programs (by default those of the environment). Nobody has asked them for anything yet."""

    def __init__(self, parts, replicas=3, use=None, **settings):
        self.use = use or {"order-svc": harness.ORDER_SVC, "delivery-svc": harness.DELIVERY_SVC}
        with contextlib.ExitStack() as stack:
            self.system = stack.enter_context(harness.System(parts, **SETTINGS | settings))
            self.daemons = {service: [self.system._daemon(self.use[service], {}) for _ in range(replicas)] for service in SERVICES}
            self.migrate(self.use)
            for daemon in self.all():
                daemon.launch()
            for daemon in self.all():
                harness.eventually(daemon.is_ready, what=f"readiness of {daemon.program}")
            self.balancer = Balancer(self.system.folder, self.daemons)
            stack.callback(self.balancer.stop)
            self.balancer.start()
            self.stack = stack.pop_all()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return self.stack.__exit__(*error)

    def all(self):
        return [daemon for service in SERVICES for daemon in self.daemons[service]]

    def migrate(self, use):
        """Applies the migrations of these programs."""
        for service in SERVICES:
            daemon = self.daemons[service][0]
            before, daemon.program = daemon.program, use[service]
            done = daemon.command("--migrate")
            daemon.program = before
            assert done.returncode == 0, done.stderr

    def load(self, **options):
        token = self.system.mint("shop", "order:create order:read delivery:read", secret=SECRET)
        return Load({service: self.balancer.ports[service] for service in SERVICES}, token, **options)

    # What is done to replicas

    def restart(self, daemon, program=None, kill=False):
        """Stops it, starts it, and waits until it gets requests again."""
        if kill:
            daemon.kill()
        else:
            daemon.terminate()
            daemon.finish()
        daemon.program = program or daemon.program
        daemon.start()
        harness.eventually(lambda: self.balancer.is_up(daemon), what=f"requests for {daemon.program}")

    def roll(self, services=SERVICES, use=None, kill=False):
        """Restarts all replicas of these services, one after the other."""
        for service in services:
            for daemon in self.daemons[service]:
                self.restart(daemon, use and use[service], kill)

    # What must be true in the end

    def rest(self):
        """Waits until no order is on its way. Returns the seconds."""
        began = time.monotonic()
        harness.eventually(lambda: self.system.query(ORDERS_AT_REST) == [(0,)] and self.system.is_drained(), timeout=180,
                           what="the end of all orders")
        return time.monotonic() - began

    def faults(self, journal):
        """What is not as the clients were told. The system must be at rest."""
        faults = []
        for what, statement in FAULTS.items():
            if rows := self.system.query(statement):
                faults.append(f"{len(rows)} {what}, such as {rows[0][0]}")
        stored = {str(row[0]): row[1:] for row in self.system.query("SELECT id, customer_id, status FROM orders")}
        for order in journal.orders:
            customer, status = stored.get(order.order_id, (None, None))
            if customer != order.customer:
                faults.append(f"{order} was answered 201 and is not stored")
            if status == "CANCELLED" and order.order_id not in journal.cancelled:
                faults.append(f"{order} is cancelled, and nobody wished it")
        faults += [f"{customer} has an order and asked for none" for customer, _ in stored.values()
                   if customer not in journal.asked]
        for queue in ("ORDERS_DLQ", "DELIVERY_STATUS_DLQ"):
            if self.system.has_queue(queue) and (dead := self.system.messages_in(queue)):
                faults.append(f"{dead} dead letters in {queue}")
        return faults
