"""What grows: taking old orders out, and what partitions of orders by time would cost."""

import functools
import itertools
import subprocess
import threading
import time
import uuid

import lab as tools
from lab import harness
from table import Row

OLD = 100_000
YEAR = 365 * 86400  # seconds
MANY = 5_000_000
SINCE = {"order": "010", "delivery": "008"}  # earlier ones made the tables, or are documented to lock them
WRITES = [
    """INSERT INTO orders (id, client_id, customer_id, status, total_amount, version, created_at, updated_at, quiet_since)
       VALUES (%(new)s, 'c', 'c', 'PENDING_SHIPMENT', 1, 1, now(), now(), now())""",
    "INSERT INTO order_items (order_id, position, product_id, quantity, unit_price) VALUES (%(new)s, 1, 'p', 1, 1)",
    "INSERT INTO idempotency_keys (client_id, key, fingerprint, order_id, expires_at) VALUES ('c', %(new)s, '\\x00', %(new)s, now())",
    "UPDATE orders SET version = version + 1, updated_at = now() WHERE id = %(id)s",
    """INSERT INTO delivery_events (shipment_id, order_id, status, description, actor, request_id, occurred_at)
       SELECT id, order_id, status, '', '', '', now() FROM shipments WHERE order_id = %(id)s""",
    "UPDATE shipments SET updated_at = now() WHERE order_id = %(id)s",
]
MONTHS = 24
SPREAD = 240_000  # orders over the months


def run_archive(system, path, older_than):
    """Takes out all that is older. Returns how many per second."""
    daemon = next(d for d in system.daemons if d.program == harness.ORDER_SVC)
    began = time.monotonic()
    done = subprocess.run([daemon.program, "archive", "--older-than", older_than, path], env=daemon.environment, check=True,
                          capture_output=True, text=True)
    return int(done.stderr.split()[0]) / (time.monotonic() - began)


def load_while_archiving(lab, system, older_than):
    """The rate of new orders, and the one of old orders that leave meanwhile."""
    rates = []
    gone = threading.Thread(target=lambda: rates.append(run_archive(system, lab.folder / "archive", older_than)))
    gone.start()
    load = lab.wrk(system.order.url, tools.order_request(system), 64)
    gone.join()
    tools.check(len(rates) == 1, "nothing was archived")
    return load.rate, rates[0]


def archive_rows(beside, alone, rates, where=""):
    return [Row(f"POST /orders, 64 connections, while old orders are archived{where}", "none are", "orders/s", beside, alone, 0.8, 0.95),
            Row(f"orders archived, beside that load{where}", "", "orders/s", rates, None, 1000, 3000)]


def archive(lab):
    """Old orders are taken out of a database that takes new ones at the same time."""
    rates, alone, beside = [], [], []
    for _ in range(lab.few):
        with lab.orders(**tools.AWAY) as system:
            lab.fill(system.name, OLD, age="40 days")
            lab.post(system, 64, 2)
            alone.append(lab.post(system, 64).rate)
            rate, archived = load_while_archiving(lab, system, "720h")
            beside.append(rate)
            rates.append(archived)
            tools.check(lab.execute(system.name, "SELECT count(*) FROM orders WHERE created_at < now() - interval '30 days'")[0] == 0,
                        "old orders are left")
    return archive_rows(beside, alone, rates)


def oldest_leave(lab, system, count):
    """The oldest day of the orders of a year is taken out of the count orders of a system that runs, once."""
    alone = lab.post(system, 64).rate
    rate, archived = load_while_archiving(lab, system, f"{YEAR // 3600 - 24}h")
    return archive_rows([rate], [alone], [archived], f", of {count:,}")


def before_migrations(lab, system):
    """The tables as they were before the first migration of SINCE, with MANY orders and shipments."""
    daemons = [system.order_svc(), system.delivery_svc()]
    with lab.parts.connect(system.name) as connection:
        for kind, since in SINCE.items():
            connection.execute(f"CREATE TABLE {kind}_migrations (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())")
            for file in sorted((tools.ROOT / "sql" / kind).glob("*.sql")):
                if file.name < since:
                    for statement in file.read_text().split(";\n") if "CONCURRENTLY" in file.read_text() else [file.read_text()]:
                        connection.execute(statement)
                    connection.execute(f"INSERT INTO {kind}_migrations (name) VALUES (%s)", [file.stem])
    lab.fill(system.name, MANY)
    lab.fill(system.name, MANY, "fill_shipments.sql")
    return daemons


def write(lab, database, ended, pids, slowest):
    """Makes and changes orders and shipments, one after the other, and notes the longest time of a statement."""
    with lab.parts.connect(database) as connection:
        pids.append(connection.info.backend_pid)
        ids = [row[0] for row in connection.execute("SELECT id FROM orders ORDER BY id DESC LIMIT 1000")]
        for n in itertools.count():
            if ended.is_set():
                return
            values = {"id": ids[n % len(ids)], "new": uuid.uuid4()}
            for statement in WRITES:
                began = time.monotonic()
                connection.execute(statement, values)
                slowest.append(time.monotonic() - began)


def watch(lab, database, ended, pids, waits):
    """Notes how long the writers have waited for a lock."""
    with lab.parts.connect(database) as connection:
        while not ended.wait(0.005):
            waits += [float(row[0]) * 1000 for row in connection.execute(
                "SELECT extract(epoch FROM clock_timestamp() - waitstart) FROM pg_locks WHERE NOT granted AND pid = ANY (%s)"
                "   AND waitstart IS NOT NULL", [pids])]


def migrations(lab):
    """The migrations of the second year, on large tables, while others write."""
    with harness.System(lab.parts) as system:
        rows = []
        for daemon, kind in zip(before_migrations(lab, system), SINCE, strict=True):
            ended, pids, slowest, waits = threading.Event(), [], [], [0.0]
            threads = [threading.Thread(target=write, args=(lab, system.name, ended, pids, slowest)) for _ in range(2)]
            threads.append(threading.Thread(target=watch, args=(lab, system.name, ended, pids, waits)))
            for thread in threads:
                thread.start()
            began = time.monotonic()
            tools.migrate(daemon)
            took = time.monotonic() - began
            ended.set()
            for thread in threads:
                thread.join()
            tools.check(len(slowest) > 100, "nobody wrote")
            rows += [Row(f"migrations of {kind}-svc on {MANY:,} rows: longest wait for a lock", "", "ms", [max(waits)], None, 100, 20, less=True),
                     Row(f"the same: slowest statement of {len(slowest):,}", "", "ms", [max(slowest) * 1000]),
                     Row("the same: time of all", "", "s", [took])]
        return rows


def divide(lab, database):
    """Makes orders and their items partitions by the month of their ids."""
    text = (tools.HERE / "partitions.sql").read_text().replace(":months", str(MONTHS))
    with lab.parts.connect(database) as connection:
        connection.execute(text)
        connection.execute("VACUUM ANALYZE")


def partitions(lab):
    """The same orders in one table and in partitions of a month."""
    rates = {"POST /orders, 64 connections": ([], []), "GET /orders/:id, PENDING_SHIPMENT": ([], [])}
    times = ([], [])
    with lab.orders(**tools.AWAY) as divided, lab.orders(**tools.AWAY) as whole:
        loads = []
        for column, system in enumerate((divided, whole)):
            lab.fill(system.name, SPREAD, step=f"{MONTHS * 30 * 86400 // SPREAD} s")
            if system is divided:
                divide(lab, system.name)
            ids = [str(row[0]) for row in system.query("SELECT id FROM orders ORDER BY random() LIMIT 10000")]
            system.query("UPDATE orders SET status = 'PENDING_SHIPMENT' WHERE id = ANY(%s::uuid[])", ids)
            lab.execute(system.name, "VACUUM ANALYZE")
            lab.post(system, 64, 2)
            loads += [("POST /orders, 64 connections", column, functools.partial(lab.post, system, 64)),
                      ("GET /orders/:id, PENDING_SHIPMENT", column, functools.partial(
                          lab.wrk, system.order.url, tools.get_request(system), values=ids))]
        for _ in range(lab.rounds):
            for name, column, load in sorted(loads, key=lambda each: each[0]):
                rates[name][column].append(load().rate)
            for column, system in enumerate((divided, whole)):
                page = tools.get_request(system, "/orders?limit=20")
                times[column].append(lab.wrk(system.order.url, page, connections=1).median_us / 1000)
    return [Row(f"{name}, orders in {MONTHS} partitions", "one table", "requests/s", ours, against)
            for name, (ours, against) in rates.items()] + \
           [Row("GET /orders, page 1, p50", "one table", "ms", *times, less=True)]
