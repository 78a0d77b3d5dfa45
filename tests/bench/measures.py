"""The measures. Each returns its rows of the table. In each round, ours and the reference take turns, so that other work on
the machine affects both."""

import contextlib
import functools
import os
import random
import socket
import statistics
import time

import allocations
import lab as tools
import growth
import plans
import schema
import soak
import sustained
from lab import harness
from table import Row

ORDERS = 10_000  # to read
BACKLOG = 20_000  # to publish
PACED = 400  # sent one by one
HUGE, PLANNED = 50_000_000, 500_000
PAGES, PAGE = 10_000, 20


def post(lab):
    """Durable orders. No queue runs, because orders do not wait for it and pgbench publishes nothing either."""
    ours, against = {64: [], 256: []}, []
    with lab.orders(**tools.AWAY) as system, lab.reference() as reference:
        lab.post(system, 64, 2)
        lab.pgbench(reference, 16, 2)
        for _ in range(lab.rounds):
            rates = {clients: 0 for clients in (8, 16, 32)}
            for clients in rates:
                lab.clear(reference)
                rates[clients] = lab.pgbench(reference, clients).rate
            against.append(max(rates.values()))
            for connections, figures in ours.items():
                lab.clear(system.name)
                figures.append(lab.post(system, connections).rate)
    return [Row(f"POST /orders, {connections} connections", "pgbench, best of 8, 16, 32 clients", "orders/s", figures,
                against, 3, 4) for connections, figures in ours.items()]


def single(lab):
    """One client that waits for each answer."""
    ours, against = [], []
    with lab.orders(**tools.AWAY) as system, lab.reference() as reference:
        for _ in range(lab.rounds):
            lab.clear(reference)
            against.append(lab.pgbench(reference, 1).median_us / 1000)
            lab.clear(system.name)
            ours.append(lab.post(system, 1).median_us / 1000)
    return [Row("POST /orders, 1 connection, p50", "pgbench, 1 client, p50", "ms", ours, against, 1.2, 1, less=True)]


def against_bare(lab, system, request, values=None, status=200):
    """Rates of the daemon and of a bare program that gives the same answer, round by round."""
    ours, bare_rates = [], []
    first = request.replace(b"@", values[0].encode()) if values else request
    connection = tools.Connection(system.order.url)
    answer = connection.exchange(first, status)
    connection.close()
    with lab.bare(answer) as bare:
        lab.wrk(system.order.url, request, seconds=2, values=values)  # afterwards Redis has all that it may keep
        for _ in range(lab.rounds):
            bare_rates.append(lab.wrk(bare, request, values=values).rate)
            ours.append(lab.wrk(system.order.url, request, values=values).rate)
    return ours, bare_rates


def stored_ids(system, count=ORDERS):
    """Ids of stored orders, chosen at random, in random order."""
    return [str(row[0]) for row in system.query("SELECT id FROM orders ORDER BY random() LIMIT %s", count)]


def get(lab):
    """Random reads of delivered orders, which Redis may keep, and of orders on their way."""
    rows = []
    with lab.orders(**tools.AWAY) as system:
        lab.fill(system.name, ORDERS)
        for status, floor, aim in [("PENDING_SHIPMENT", None, None), ("DELIVERED", 0.5, 0.75)]:
            system.query("UPDATE orders SET status = %s", status)
            system.redis.flushdb()
            ours, bare = against_bare(lab, system, tools.get_request(system), stored_ids(system))
            rows.append(Row(f"GET /orders/:id, {status}", "bare libmicrohttpd", "reads/s", ours, bare, floor, aim))
    return rows


def replay(lab):
    """Replays of known Idempotency-Keys, compared with reads of delivered orders."""
    ours, reads = [], []
    with lab.orders(**tools.AWAY) as system:
        lab.fill(system.name, ORDERS)
        request, ids = tools.get_request(system), stored_ids(system)
        again = tools.order_request(system)
        keys = [f"{n:036}" for n in range(1000)]
        connection = tools.Connection(system.order.url)
        for key in keys:
            connection.exchange(again.replace(b"@", key.encode()), 201)
        answer = connection.exchange(again.replace(b"@", key.encode()), 201)
        connection.close()
        tools.check(b"Idempotent-Replayed: true" in answer, "no replay")
        before = lab.count(system.name)
        lab.wrk(system.order.url, request, seconds=2, values=ids)
        for _ in range(lab.rounds):
            reads.append(lab.wrk(system.order.url, request, values=ids).rate)
            ours.append(lab.wrk(system.order.url, again, values=keys).rate)
        tools.check(lab.count(system.name) == before, "a replay made an order")
    return [Row("replay of an Idempotency-Key", "GET of a delivered order", "requests/s", ours, reads, 0.8, 1)]


def token(lab):
    with lab.orders(**tools.AWAY) as system:
        ours, bare = against_bare(lab, system, tools.token_request())
    return [Row("POST /auth/token", "bare libmicrohttpd", "tokens/s", ours, bare, 0.3, 0.5)]


def cpu(lab):
    """User and system time of order-svc: per order until its event is published, and per read that Redis answers."""
    per_order, per_read = [], []
    for _ in range(lab.few):
        with lab.orders() as system:
            process = system.order.process
            before = tools.cpu_seconds(process)
            lab.backlog(system, BACKLOG)
            harness.eventually(lambda: not lab.count(system.name, "order_outbox"), timeout=300, what="publishing")
            per_order.append((tools.cpu_seconds(process) - before) / lab.count(system.name) * 1e6)
            system.query("UPDATE orders SET status = 'DELIVERED'")
            request, ids = tools.get_request(system), stored_ids(system)
            lab.wrk(system.order.url, request, seconds=2, values=ids)
            before = tools.cpu_seconds(process)
            load = lab.wrk(system.order.url, request, values=ids)
            per_read.append((tools.cpu_seconds(process) - before) / load.requests * 1e6)
    return [Row("CPU time of order-svc per order, relay included", "", "us", per_order, None, 60, 35, less=True),
            Row("CPU time of order-svc per read", "", "us", per_read, None, 15, 8, less=True)]


def observed(lab):
    """What it costs to be seen: metrics that are read each second, and traces of 1 % and of all requests, against neither.
    The collector answers at once, on the same processors. Many short rounds, as the differences are small."""
    kinds = {"metrics": {}, "metrics, 1 % of traces": {"OTEL_TRACES_SAMPLER_ARG": "0.01"}, "metrics, all traces": {}}
    rows, loads = [], {}
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n"
    with contextlib.ExitStack() as stack:
        collector = {"OTEL_EXPORTER_OTLP_ENDPOINT": stack.enter_context(lab.bare(answer))}
        unseen = stack.enter_context(lab.orders(METRICS_PORT="0", **tools.AWAY))
        systems = {kind: stack.enter_context(lab.orders(**settings, **(collector if "traces" in kind else {}), **tools.AWAY))
                   for kind, settings in kinds.items()}
        for _ in range(4 * lab.rounds):
            for kind, system in [("", unseen), *systems.items()]:
                lab.clear(system.name)
                with lab.scraped(system.order if kind else None):
                    for what, load in (("POST /orders", lambda s=system: lab.post(s, 64, 1)),
                                       ("GET", lambda s=system: lab.wrk(s.order.url, tools.get_request(s), seconds=1,
                                                                        values=stored_ids(s)))):
                        before = tools.cpu_seconds(system.order.process)
                        done = load()
                        spent = (tools.cpu_seconds(system.order.process) - before) / done.requests * 1e6
                        loads.setdefault((kind, what), []).append((done.rate, spent, done.p99_us / 1000))
    for kind in kinds:
        for what in ("POST /orders", "GET"):
            floors = (0.98, 1.02, None) if kind == "metrics" else (None, None, None)
            for i, (figure, unit) in enumerate([("", "requests/s"), (", CPU time", "us"), (", p99", "ms")]):
                rows.append(Row(f"{what} with {kind}{figure}", "with neither", unit, [load[i] for load in loads[kind, what]],
                                [load[i] for load in loads["", what]], floors[i], None, less=i > 0))
    return rows


def history(lab):
    """What the history costs a new order: against a database that does not keep the rows (a trigger drops them)."""
    loads = {64: ([], []), 256: ([], [])}
    with lab.orders(**tools.AWAY) as ours, lab.orders(**tools.AWAY) as without:
        without.query("CREATE FUNCTION drop_row() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'")
        without.query("CREATE TRIGGER drop_row BEFORE INSERT ON order_events FOR EACH ROW EXECUTE FUNCTION drop_row()")
        for _ in range(4 * lab.rounds):
            for connections, figures in loads.items():
                for system, rates in zip((ours, without), figures, strict=True):
                    lab.clear(system.name)
                    rates.append(lab.post(system, connections, 1).rate)
    return [Row(f"POST /orders, {connections} connections", "without a history", "orders/s", *figures, 0.92, None)
            for connections, figures in loads.items()]


def streams(lab):
    """Streams that are open: their memory, the time until a change has reached them, and what they cost others."""
    rows = []
    for count in (1_000, 10_000):
        settings = {"STREAM_LIMIT": "20000", "HTTP_MAX_CONNECTIONS": "14000", "IDEMPOTENCY_FINGERPRINT_TTL": "0"}
        memory, beyond, reached, busy, rates = [], [], [], [], ([], [])
        for _ in range(lab.few):
            with lab.orders(**settings, **tools.AWAY) as system:
                lab.post(system, 64, 1)
                before = tools.memory_mb(system.order.process)
                with lab.connections(system, count):
                    connection = (tools.memory_mb(system.order.process) - before) * 1e3 / count
            with lab.orders(**settings, **tools.AWAY) as system:
                lab.post(system, 64, 1)
                before = tools.memory_mb(system.order.process)
                with lab.followers(system, count) as change:
                    memory.append((tools.memory_mb(system.order.process) - before) * 1e3 / count)
                    beyond.append(memory[-1] - connection)
                    reached.append(statistics.median(change()[1] for _ in range(20)))
                    spent = tools.cpu_seconds(system.order.process)
                    time.sleep(10)
                    busy.append((tools.cpu_seconds(system.order.process) - spent) * 10)
                for _ in range(4):
                    rates[1].append(lab.post(system, 64, 1).rate)
                    harness.eventually(lambda: tools.open_files(system.order.process) < 1_000,
                                       what="the others have hung up, and it was seen")
                    with lab.followers(system, count, "order:read"):  # of events that do not come
                        rates[0].append(lab.post(system, 64, 1).rate)
        rows += [Row(f"memory of each of {count:,} streams", "", "KB", memory, None, 20, None, less=True),
                 Row(f"of that beyond the connection, {count:,} streams", "", "KB", beyond, None, None, 8, less=True),
                 Row(f"a change reaches 99 % of {count:,} streams", "", "ms", reached, None,
                     100 if count == 1_000 else None, None, less=True),
                 Row(f"CPU of {count:,} quiet streams", "", "% of a core", busy, None, None, None, less=True),
                 Row(f"POST /orders beside {count:,} quiet streams", "none", "orders/s", *rates, None, None)]
    return rows


def memory(lab):
    """Resident memory of the daemons: some time after their start, and the peak under load."""
    idle, loaded = {"order-svc": [], "delivery-svc": []}, {"order-svc": [], "delivery-svc": []}
    for _ in range(lab.few):
        with lab.both() as system:
            daemons = {"order-svc": system.order, "delivery-svc": system.delivery}
            time.sleep(2)
            for name, daemon in daemons.items():
                idle[name].append(tools.memory_mb(daemon.process))
            lab.post(system, 1000)
            harness.eventually(lambda: lab.count(system.name, "shipments") >= 1000, what="1,000 shipments")
            ids = [str(row[0]) for row in system.query("SELECT order_id FROM shipments")]
            lab.wrk(system.order.url, tools.get_request(system), 1000, values=ids)
            shipments = tools.get_request(system, "/delivery/shipment/@", "delivery:read")
            lab.wrk(system.delivery.url, shipments, 1000, values=ids)
            for name, daemon in daemons.items():
                loaded[name].append(tools.memory_mb(daemon.process, "VmHWM"))
    return [Row(f"memory of {name}, idle", "", "MB", figures, None, 15, 10, less=True)
            for name, figures in idle.items()] + \
           [Row(f"memory of {name}, 1,000 connections under load", "", "MB", figures, None, 40, 25, less=True)
            for name, figures in loaded.items()]


def until_ready(daemon):
    """Milliseconds from the start of the process to the first 200 of /health/ready."""
    request = tools.raw_request("GET", "/health/ready")
    start = time.perf_counter()
    daemon.launch()
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", daemon.port), timeout=5) as client:
            client.sendall(request)
            if client.recv(4096).startswith(b"HTTP/1.1 200"):
                return 1000 * (time.perf_counter() - start)
        tools.check(time.perf_counter() < start + harness.PATIENCE, "never became ready")
        time.sleep(0.001)


def start(lab):
    times = {}
    with lab.both() as system:
        for name, daemon in [("order-svc", system.order), ("delivery-svc", system.delivery)]:
            times[name] = []
            for _ in range(4 * lab.rounds):
                daemon.stop()
                times[name].append(until_ready(daemon))
    return [Row(f"start of {name} until it is ready", "", "ms", figures, None, 100, 30, less=True)
            for name, figures in times.items()]


# The commit times of orders and their shipments. Neither row changes later, because the carrier is off.
COMMITS = """SELECT pg_xact_commit_timestamp(o.xmin), pg_xact_commit_timestamp(s.xmin)
               FROM orders o JOIN shipments s ON s.order_id = o.id"""


def order_now_and_then(system, count, rate=50):
    """Sends orders at random moments, as many clients do."""
    request, connection = tools.order_request(system), tools.Connection(system.order.url)
    due = time.perf_counter()
    for n in range(count):
        due += random.expovariate(rate)
        time.sleep(max(0, due - time.perf_counter()))
        connection.exchange(request.replace(b"@", f"{n:036}".encode()), 201)
    connection.close()
    system.drain()


def latency(lab):
    """From the commit of an order to that of its shipment, at 50 orders per second."""
    middle, slow = [], []
    with lab.commit_times():
        lab.bare_sqs(BACKLOG)  # warms up Java
        for _ in range(lab.few):
            with lab.both() as system:
                order_now_and_then(system, PACED)
                times = [1000 * (shipped - ordered).total_seconds() for ordered, shipped in system.query(COMMITS)]
            tools.check(len(times) == PACED, "shipments are missing")
            percentiles = statistics.quantiles(times, n=100)
            middle.append(percentiles[49])
            slow.append(percentiles[98])
    return [Row("order committed to shipment committed, 50 orders/s, p50", "", "ms", middle, None, 20, 10, less=True),
            Row("order committed to shipment committed, 50 orders/s, p99", "", "ms", slow, None, 100, None, less=True)]


def backlog(lab):
    """Orders come faster than shipments are created. Measures until the last has its shipment, compared with a bare client
    of the queue. Each round has queues of its own, because ElasticMQ remembers for minutes what it has seen in one."""
    ours, bare = [], []
    with lab.commit_times():
        lab.bare_sqs(BACKLOG)  # warms up Java
        for _ in range(lab.few):
            bare.append(lab.bare_sqs(BACKLOG))
            with lab.both() as system:
                lab.backlog(system, BACKLOG)
                orders = lab.count(system.name)
                lab.await_count(system.name, "shipments", orders, timeout=300)
                commits = system.query(COMMITS)
                tools.check(len(commits) >= orders, "shipments are missing")  # the last orders were not answered any more
            took = max(shipped for _, shipped in commits) - min(ordered for ordered, _ in commits)
            ours.append(len(commits) / took.total_seconds())
    return [Row(f"backlog of {BACKLOG:,} orders, POST to shipment", "bare libcurl on the same ElasticMQ", "orders/s", ours,
                bare, 0.8, 1)]


def pages(lab):
    """The first page of a client's orders, and the 10,000th."""
    first, last = [], []
    with lab.orders(**tools.AWAY) as system:
        lab.fill(system.name, PAGES * PAGE + 50_000)
        before = system.query("SELECT id FROM orders ORDER BY id DESC OFFSET %s LIMIT 1", (PAGES - 1) * PAGE - 1)
        request = tools.get_request(system, f"/orders?limit={PAGE}")
        deep = tools.get_request(system, f"/orders?limit={PAGE}&cursor={before[0][0]}")
        lab.wrk(system.order.url, request, seconds=2)
        for _ in range(lab.rounds):
            first.append(lab.wrk(system.order.url, request).rate)
            last.append(lab.wrk(system.order.url, deep).rate)
    return [Row(f"GET /orders, page {PAGES:,}", "page 1", "pages/s", last, first, 0.9, 1)]


def newest_ids(system):
    newest = "SELECT id FROM orders ORDER BY id DESC LIMIT %s"
    return [str(row[0]) for row in system.query(f"SELECT id FROM ({newest}) o ORDER BY random()", ORDERS)]


def beside_few(lab, many, count, warm=2, where=""):
    """The same loads of a system with count orders, which runs, and of one with few. The large one gets warm for so many seconds: its pages
    come from the disk first. The delivered orders that are read are spread over all orders. Those on their way are the newest."""
    rates = {"POST": ([], []), "GET, DELIVERED": ([], []), "GET, PENDING_SHIPMENT": ([], []), "GET /orders, page 1": ([], [])}
    with lab.orders(**tools.AWAY) as few:
        lab.fill(few.name, 2 * ORDERS)
        loads = []
        for system, column in ((many, 0), (few, 1)):
            newest, request = newest_ids(system), tools.get_request(system)
            delivered = list(set(stored_ids(system, 2 * ORDERS)) - set(newest))[:ORDERS]
            system.query("UPDATE orders SET status = 'PENDING_SHIPMENT' WHERE id = ANY(%s::uuid[])", newest)
            seconds = warm if system is many else 2
            lab.wrk(system.order.url, request, seconds=seconds, values=delivered)
            lab.post(system, 64, seconds)
            read = functools.partial(lab.wrk, system.order.url)
            loads += [("GET, DELIVERED", column, functools.partial(read, request, values=delivered)),
                      ("GET, PENDING_SHIPMENT", column, functools.partial(read, request, values=newest)),
                      ("GET /orders, page 1", column, functools.partial(read, tools.get_request(system, f"/orders?limit={PAGE}"))),
                      ("POST", column, functools.partial(lab.post, system, 64))]
        for _ in range(lab.rounds):
            for name, column, load in sorted(loads, key=lambda each: each[0]):
                rates[name][column].append(load().rate)
    return [Row(f"{name}, {count:,} stored orders{where}", "few stored orders", "requests/s", ours, against, 0.9 if name == "POST" else 0.85, 0.95)
            for name, (ours, against) in rates.items()]


def full(lab):
    """Two daemons, one with five million orders and their shipments, and one with few orders."""
    with lab.stored(growth.MANY, "fill.sql", "fill_shipments.sql") as many, lab.running(many):
        return beside_few(lab, many, growth.MANY)


def huge(lab):
    """Two daemons, one with fifty million orders of a year, and one with few. Then the oldest day of the many is taken out. The
    loads come again when PostgreSQL has a quarter of the memory, as its manual advises. Needs 60 GB of disk and half an hour."""
    with lab.stored(HUGE, "fill.sql", step=f"{growth.YEAR / HUGE} s") as many:
        bytes_each = lab.execute(many.name, "SELECT (pg_total_relation_size('orders') + pg_total_relation_size('order_items')) / %s::float", HUGE)
        rows = [Row(f"orders and items, {HUGE:,} stored orders", "", "bytes for an order", list(bytes_each))]
        with lab.running(many):
            rows += [*beside_few(lab, many, HUGE, warm=30), *growth.oldest_leave(lab, many, HUGE)]
        quarter = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 4 // 2**30
        with lab.setting("shared_buffers", f"{quarter}GB"), lab.running(many):
            return rows + beside_few(lab, many, HUGE, warm=180, where=f", shared_buffers {quarter} GB")


def plans_of_all(lab):
    """The plans of all statements, on orders of many clients. Measures nothing."""
    with lab.stored(PLANNED, "fill_clients.sql", "fill_shipments.sql") as system:
        lab.texts["docs/plans.txt"] = plans.collect(lab, system)
    return []


MEASURES = {"post": post, "single": single, "get": get, "replay": replay, "token": token, "latency": latency,
            "backlog": backlog, "cpu": cpu, "history": history, "streams": streams,
            "observed": observed, "memory": memory, "start": start, "pages": pages,
            "allocations": allocations.allocations}
FULL = {"full": full, "huge": huge, "plans": plans_of_all, "sustained": sustained.sustained, "flow": sustained.flow,
        "archive": growth.archive, "schema": schema.schema, "partitions": growth.partitions,
        "migrations": growth.migrations, "soak": soak.soak}
