"""What an asynchronous standby had not got when it became the primary, and whether anybody tells lies about it."""

import shutil
import subprocess
import time

import harness
import psycopg
import stage as stages
from clusters import AS_POSTGRES, BIN
from patroni_cluster import LOCAL, PASSWORD, USER

MOST = 20  # orders of a loss that are asked for again


def ids(connection):
    return {str(row[0]) for row in connection.execute("SELECT id FROM orders")}


def read_dead(node, database):
    """The orders that a dead primary had: a copy of its data is started by itself."""
    copy, port = node.folder / "copy", harness.free_port()
    subprocess.run(["cp", "-a", node.data, copy], check=True)
    (copy / "postmaster.pid").unlink(missing_ok=True)
    with (node.folder / "log-of-copy").open("ab") as log:
        server = subprocess.Popen([*AS_POSTGRES, f"{BIN}/postgres", "-D", copy, "-p", str(port), "-h", LOCAL, "-k", "",
                                   "-c", "synchronous_standby_names="], cwd=copy, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        def read():
            try:
                with psycopg.connect(host=LOCAL, port=port, user=USER, password=PASSWORD, dbname=database) as connection:
                    return ids(connection)
            except psycopg.OperationalError:
                return None
        return harness.eventually(read, what="the copy of the dead primary")
    finally:
        server.kill()
        server.wait()
        harness.eventually(lambda: copy not in node.all().values(), what="the end of the copy")
        shutil.rmtree(copy)


class Loss:
    """The orders that one failover lost."""

    def __init__(self, stage, dead, began, journal):
        self.stage, self.system, self.dead, self.began, self.journal = stage, stage.system, dead, began, journal
        self.lies, self.asked = [], 0

    def examine(self):
        """Compares both databases, and asks the daemons for what is lost."""
        had = read_dead(self.dead, self.system.name)
        with self.stage.parts.connect(self.system.name) as connection:
            self.ids = had - ids(connection)
        self.ended = time.monotonic() + stages.RELIEF
        told = [order for order in self.journal.orders if order.order_id in self.ids]
        for order in told[:MOST]:
            self.ask(order)

    def ask(self, order):
        self.asked += 1
        token = self.system.mint(order.client_id, "order:create order:read", secret=stages.SECRET)
        apis = [harness.Api(replica.daemon.url, token) for replica in self.stage.replicas_of("order")]

        def answer(call):  # the daemons may still be finding the new primary
            found = []  # a response with an error is false
            try:
                harness.eventually(lambda: found.append(call()) or found[-1].status_code != 503, what="an answer")
            except AssertionError as error:
                raise AssertionError(f"{error}: {found[-1].text}") from error
            return found[-1]

        for api in apis:
            read = answer(lambda api=api: api.get(f"/orders/{order.order_id}"))
            if read.status_code != 404:
                self.lies.append(f"GET of the lost {order.order_id}: {read.status_code} {read.text}")
        firsts = [answer(lambda api=api: api.create(order.body, order.key)) for api in apis]
        made = {(a.status_code, a.json().get("order_id")) for a in firsts}
        if len(made) != 1 or firsts[0].status_code != 201 or firsts[0].json()["order_id"] in self.ids:
            self.lies.append(f"{order.customer} lost {order.order_id}, and was told {made}")

    def unexplained(self, stored):
        """Answers of this time that are missing although PostgreSQL has not lost them."""
        return [f"{order.order_id} of {order.customer} is missing, but was not lost by the database"
                for order in self.journal.orders for answer in order.answers
                if self.began - 1 <= answer.came <= self.ended and answer.json()["order_id"] not in stored | self.ids]


def check(all_losses, system, findings):
    stored = {str(row[0]) for row in system.query("SELECT id FROM orders")}
    for loss in all_losses:
        findings.fail("what is missing is what PostgreSQL lost", loss.unexplained(stored))
        findings.checked["nobody tells lies of a lost order"] += loss.asked
        findings.violations["nobody tells lies of a lost order"] += loss.lies


def describe(all_losses, system):
    lost = set().union(*(loss.ids for loss in all_losses))
    shipped = {str(row[0]) for row in system.query("SELECT order_id FROM shipments")}
    answered = {order_id for loss in all_losses for order in loss.journal.orders for answer in order.answers
                if (order_id := answer.json()["order_id"]) in loss.ids}
    return f"{len(lost)} orders were lost with {len(all_losses)} primaries: {len(answered)} had been answered 201, " \
           f"{len(lost & shipped)} have a shipment all the same"
