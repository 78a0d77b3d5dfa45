"""Another database in the place of the old one, which lacks what came last: after a failover to an asynchronous standby,
and after a restore. Nothing that is kept in Redis or in memory may tell of orders that do not exist any more."""

import contextlib
import pathlib
import shutil
import subprocess

import pytest
from harness import Api, PrivateParts, System, basket, eventually, http, status_update
from test_metrics import value


class Failover:
    """A standby that has got nothing since save(), and is promoted: another timeline of the cluster."""

    def __init__(self, system):
        self.system, self.parts = system, system.parts
        self.data = pathlib.Path(self.parts.folder, "postgres").resolve()
        self.copy = self.data.with_name(self.data.name + "-copy")

    def save(self):
        self.parts.stop("postgres")
        subprocess.run(["cp", "-a", self.data, self.copy], check=True)
        self.parts.start("postgres")

    def refused(self):
        return value(self.system.order, "orders_db_connects_total", outcome="failed")

    def replace(self):
        self.parts.kill("postgres")
        shutil.rmtree(self.data)
        self.copy.rename(self.data)
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        (self.data / "standby.signal").touch()
        self.parts.start("postgres")
        refused = self.refused()
        eventually(lambda: self.refused() > refused + 1, what="a look at the standby")
        assert "database was replaced" not in self.system.order.log_text(), "a standby has no timeline of its own"
        self.system.query("SELECT pg_promote()")


class Restore:
    """A copy of the database under its name: another oid."""

    def __init__(self, system):
        self.system, self.name = system, system.name

    def alone(self, admin):
        admin.execute(f"ALTER DATABASE {self.name} ALLOW_CONNECTIONS false")
        admin.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", (self.name,))

    def save(self):
        with self.system.parts.connect("postgres") as admin:
            self.alone(admin)
            admin.execute(f"CREATE DATABASE {self.name}_copy TEMPLATE {self.name}")
            admin.execute(f"ALTER DATABASE {self.name} ALLOW_CONNECTIONS true")

    def replace(self):
        with self.system.parts.connect("postgres") as admin:
            self.alone(admin)
            admin.execute(f"DROP DATABASE {self.name} WITH (FORCE)")
            admin.execute(f"ALTER DATABASE {self.name}_copy RENAME TO {self.name}")


@contextlib.contextmanager
def stage(kind, parts):
    private = PrivateParts() if kind is Failover else None
    try:
        with System(private or parts, CARRIER_SIMULATION="false", ORDER_VIEW_TTL="1h") as system:
            system.start()
            yield system
    finally:
        if private:
            private.close()


def deliver(system, order_id):
    shipment = eventually(lambda: system.deliveries().shipment(order_id))
    for status in ("SHIPPED", "DELIVERED"):
        assert system.deliveries().move(shipment["id"], status).status_code == 200
    eventually(lambda: system.client().order(order_id)["status"] == "DELIVERED")


def revoke(token, daemon):
    response = http("POST", f"{daemon.url}/auth/revoke", auth=("demo-client", "demo-secret"), data={"token": token})
    assert response.status_code == 200, response.text


def is_refused(token, daemon):
    return Api(daemon.url, token).get("/orders").status_code == 401


@pytest.mark.parametrize("stopped", [False, True])
def test_order_does_not_keep_a_correction_that_is_lost(parts, stopped):
    """Also when delivery-svc does not run while its database is replaced, as after a restore."""
    with System(parts, CARRIER_SIMULATION="false", RECONCILE_AFTER="10s") as system:
        system.start()
        api, change = system.client(), Restore(system)
        order_id = api.created()
        shipment = eventually(lambda: system.deliveries().shipment(order_id))
        system.deliveries().move(shipment["id"], "SHIPPED", tracking_number="T-1", carrier="C")
        system.deliveries().move(shipment["id"], "DELIVERED")
        eventually(lambda: api.order(order_id)["status"] == "DELIVERED")
        change.save()
        eventually(lambda: all(daemon.is_ready() for daemon in system.daemons))
        if stopped:
            system.delivery.stop()
        change.replace()
        if stopped:
            system.delivery.start()
        eventually(lambda: all(daemon.is_ready() for daemon in system.daemons))
        # What was sent of the old database arrives in the new one.
        system.send("DELIVERY_STATUS_QUEUE", status_update(order_id, "DELIVERED", "DELIVERED", trackingNumber="T-2"), order_id)
        eventually(lambda: system.query("SELECT tracking_number FROM orders") == [("T-2",)])
        eventually(lambda: api.order(order_id)["tracking_number"] == "T-1", timeout=90, what="the shipment's own number")


@pytest.mark.parametrize("kind", [Restore, Failover])
def test_nothing_is_told_of_orders_that_are_lost(parts, kind):
    with stage(kind, parts) as system:
        api, change = system.client(), kind(system)
        replica = system.order_svc().start()
        kept_body, kept_key = basket(), "kept"
        kept = api.create(kept_body, kept_key)
        deliver(system, kept.json()["order_id"])
        system.drain()
        change.save()
        eventually(lambda: all(daemon.is_ready() for daemon in system.daemons))

        keyed, bare = basket(), basket()
        lost = [api.create(keyed, "lost"), api.create(bare)]
        for _ in range(2):  # the receipts are in Redis, and that of the key in memory
            assert api.create(keyed, "lost").headers["Idempotent-Replayed"] == "true"
            assert api.create(bare).headers["Idempotent-Replayed"] == "true"
        ids = [answer.json()["order_id"] for answer in lost]
        deliver(system, ids[0])
        assert api.order(ids[0])["status"] == "DELIVERED"
        system.drain()
        revoked_before, revoked_after = system.mint(), system.mint()
        revoke(revoked_before, replica)
        eventually(lambda: is_refused(revoked_before, system.order))
        with system.parts.connect(system.name) as connection:  # the old cluster is ahead in transactions
            connection.execute("SET synchronous_commit = off")
            connection.execute("DO $$BEGIN FOR i IN 1..3000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END$$")

        change.replace()
        eventually(lambda: all(daemon.is_ready() for daemon in system.daemons))
        view = f"/orders/{ids[0]}"
        eventually(lambda: api.get(view).status_code == 404, what="the end of a view, long before its time")
        # A pooler may refuse sessions for a moment longer than the daemon's own connections wait.
        for again, first in zip([api.accepted(keyed, "lost"), api.accepted(bare)], lost, strict=True):
            assert "Idempotent-Replayed" not in again.headers
            assert again.json()["order_id"] != first.json()["order_id"]
            assert api.order(again.json()["order_id"])["status"] == "PENDING_SHIPMENT"
        replay = api.create(kept_body, kept_key)
        assert (replay.status_code, replay.content, replay.headers["Idempotent-Replayed"]) == (201, kept.content, "true")
        assert api.order(kept.json()["order_id"])["status"] == "DELIVERED"
        assert is_refused(revoked_before, system.order), "who was refused is still refused"
        revoke(revoked_after, replica)
        eventually(lambda: is_refused(revoked_after, system.order), what="the revocation by another replica")
        eventually(lambda: is_refused(revoked_after, replica))
