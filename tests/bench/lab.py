"""The tools of the measures: parts, daemons, databases, and load generators."""

import collections
import contextlib
import dataclasses
import http.client
import json
import os
import pathlib
import re
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
import uuid

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parents[1]
BUILD = ROOT / "build/release"
os.environ.setdefault("ORDER_SVC", str(BUILD / "order-svc"))
os.environ.setdefault("DELIVERY_SVC", str(BUILD / "delivery-svc"))
sys.path.insert(0, str(ROOT / "tests/integration"))

import harness  # noqa: E402 (found through the line above)

# The defaults, except that the carrier is off, and that views stay in Redis while they are measured.
SETTINGS = {"SQS_WAIT_TIME": "20s", "SQS_VISIBILITY_TIMEOUT": "30s", "CARRIER_SIMULATION": "false",
            "ORDER_VIEW_TTL": "1h"}
AWAY = {"SQS_ENDPOINT": "http://127.0.0.1:9"}  # nobody listens on the port "discard"
SEES_ALL = "order:read order:read:all"
TABLES = "orders, order_items, idempotency_keys, order_outbox"
NEWER = """
    SELECT (SELECT count(*) FROM orders WHERE id > %s), (SELECT count(*) FROM idempotency_keys WHERE order_id > %s),
           (SELECT count(*) FROM order_items WHERE order_id > %s)"""
HTTP_THREADS, CONSUMER_THREADS = 2, 4  # the daemons' defaults, for the bare programs too
TICK = os.sysconf("SC_CLK_TCK")

Load = collections.namedtuple("Load", "requests rate median_us p99_us")


class Failed(Exception):
    """A measurement is invalid, because an answer was wrong or a row is missing."""


def check(condition, what):
    if not condition:
        raise Failed(what)


def raw_request(method, path, body=None, **headers):
    """The bytes of a request, to be sent as they are. Each @ in it will be replaced by 36 characters."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body) + 35 * body.count('@')}"]
    return ("\r\n".join(lines) + "\r\n\r\n" + (body or "")).encode()


def order_request(system):
    """POST /orders of two items, with a key and a customer of its own."""
    body = json.dumps(harness.basket("customer-@"), separators=(",", ":"))
    return raw_request("POST", "/orders", body, Authorization=f"Bearer {system.mint()}", Idempotency_Key="@")


def get_request(system, path="/orders/@", scope="order:read"):
    return raw_request("GET", path, Authorization=f"Bearer {system.mint(scope=scope)}")


def token_request():
    body = '{"client_id":"demo-client","client_secret":"demo-secret","grant_type":"client_credentials"}'
    return raw_request("POST", "/auth/token", body)


def message(entry_id):
    """An entry of SendMessageBatch, as order-svc sends it for an order of order_request()."""
    order_id, event_id = str(uuid.uuid4()), str(uuid.uuid4())
    body = harness.order_created(order_id, eventId=event_id, customerId=f"customer-{uuid.uuid4()}",
                                 items=harness.basket()["items"], totalAmount=1059.97)
    attributes = {"correlationId": str(uuid.uuid4()), "traceparent": f"00-{uuid.uuid4().hex}-{uuid.uuid4().hex[:16]}-01"}
    return {"Id": entry_id, "MessageBody": json.dumps(body, separators=(",", ":")), "MessageGroupId": order_id,
            "MessageDeduplicationId": event_id,
            "MessageAttributes": {k: {"DataType": "String", "StringValue": v} for k, v in attributes.items()}}


class Connection:
    """One connection of a client that sends raw requests, one at a time."""

    def __init__(self, url):
        self.connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=harness.PATIENCE)
        self.connection.connect()

    def exchange(self, request, status):
        """Sends a request. Returns head and body of the answer, which must have this status."""
        self.connection.sock.sendall(request)
        response = http.client.HTTPResponse(self.connection.sock)
        response.begin()
        body = response.read()
        check(response.status == status, f"answered {response.status} instead of {status}: {body[:300]}")
        head = f"HTTP/1.1 {response.status} {response.reason}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in response.getheaders())
        return head.encode() + b"\r\n" + body

    def close(self):
        self.connection.close()


def wrk_command(url, connections, seconds, *arguments):
    return ["wrk", "-t", str(min(2, connections)), "-c", str(connections), "-d", str(seconds), "--timeout", "10s",
            "-s", HERE / "load.lua", url, "--", *arguments]


def good_load(output):
    """Reads the output of load.lua. Any wrong answer makes the measurement invalid."""
    load = json.loads(output.splitlines()[-1])
    check(load["requests"] > 0 and not any(load["errors"].values()), f"wrk: {load}")
    return Load(load["requests"], load["requests"] / load["seconds"], load["median_us"], load["p99_us"])


def migrate(daemon):
    subprocess.run([daemon.program, "--migrate"], env=daemon.environment, check=True, capture_output=True)


@dataclasses.dataclass
class Lab:
    """Private parts, and how long to measure."""

    rounds: int
    seconds: int  # of one load

    def __post_init__(self):
        self.texts = {}  # of documents, by their paths
        self.parts = harness.PrivateParts()
        self.folder = pathlib.Path(self.parts.folder)
        with self.parts.connect("postgres") as admin:
            # Checkpoints must happen between the measures, not during them.
            admin.execute("ALTER SYSTEM SET max_wal_size = '16GB'")
            admin.execute("ALTER SYSTEM SET checkpoint_timeout = '1h'")
            admin.execute("SELECT pg_reload_conf()")

    @property
    def few(self):
        """The number of rounds for slow measures."""
        return (self.rounds + 1) // 2

    def close(self):
        self.parts.close()

    # Daemons

    @contextlib.contextmanager
    def orders(self, **settings):
        """order-svc on an empty database."""
        with harness.System(self.parts, **SETTINGS | settings) as system:
            system.order_svc().start()
            yield system

    @contextlib.contextmanager
    def both(self):
        """Both daemons on an empty database."""
        with harness.System(self.parts, **SETTINGS) as system:
            yield system.start()

    @contextlib.contextmanager
    def bare(self, answer):
        """The URL of a bare libmicrohttpd program that gives this answer to every request."""
        path = self.folder / "answer"
        path.write_bytes(answer)
        with subprocess.Popen([BUILD / "tests/bench/bare_http", str(HTTP_THREADS), path], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True) as process:
            port = process.stdout.readline().strip()
            yield f"http://127.0.0.1:{port}"
            process.stdin.close()

    @contextlib.contextmanager
    def connections(self, system, count):
        """That many connections that have had an answer, and are kept open."""
        request = raw_request("GET", "/health/live")
        with contextlib.ExitStack() as stack:
            for _ in range(count):
                one = stack.enter_context(socket.create_connection(("127.0.0.1", system.order.port), timeout=5))
                one.sendall(request)
                check(one.recv(4096).startswith(b"HTTP/1.1 200"), "a connection was refused")
            yield

    @contextlib.contextmanager
    def followers(self, system, count, scope=SEES_ALL):
        """That many streams, of all orders by default. Yields a function that makes an order, and returns the milliseconds until half
        of them, 99 % of them, and all of them have its event."""
        clients = [self.folder / f"stream-{i}" for i in range(2)]  # one may have half of the streams
        for client in clients:
            client.write_bytes(raw_request("GET", "/events", Accept="text/event-stream",
                                           Authorization=f"Bearer {system.mint(client.name, scope)}"))
        (self.folder / "order").write_bytes(raw_request("POST", "/orders", json.dumps(harness.basket()),
                                                        Authorization=f"Bearer {system.mint()}"))
        command = [BUILD / "tests/bench/follow", str(system.order.port), str(count), self.folder / "order", *clients]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            check(process.stdout.readline() == "open\n", "the streams did not begin")

            def change():
                process.stdin.write("\n")
                process.stdin.flush()
                return [int(figure) / 1000 for figure in process.stdout.readline().split()]

            yield change
            process.stdin.close()

    @contextlib.contextmanager
    def scraped(self, daemon):
        """The metrics of the daemon (None: of nobody) are read each second within the block."""
        ended = threading.Event()

        def scrape():
            while not ended.wait(1):
                urllib.request.urlopen(daemon.metrics_url, timeout=10).read()

        thread = threading.Thread(target=scrape if daemon else lambda: None)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    # Databases

    @contextlib.contextmanager
    def reference(self):
        """The name of a database with the tables of order-svc, for pgbench."""
        with harness.System(self.parts) as system:
            migrate(system.order_svc())
            yield system.name

    @contextlib.contextmanager
    def stored(self, count, *scripts, step="1 ms"):
        """A system, not started, with count delivered orders, as the scripts store them."""
        with harness.System(self.parts, **SETTINGS) as system:
            for daemon in (system.order_svc(), system.delivery_svc()):
                migrate(daemon)
            system.daemons.clear()
            for script in scripts:
                self.fill(system.name, count, script, step)
            yield system

    @contextlib.contextmanager
    def running(self, system):
        """order-svc of the system runs within the block."""
        daemon = system.order_svc(**AWAY).start()
        try:
            yield
        finally:
            daemon.stop()
            system.daemons.clear()

    def execute(self, database, sql, *arguments):
        with self.parts.connect(database) as connection:
            cursor = connection.execute(sql, arguments or None)
            return cursor.fetchone() if cursor.description else None

    def clear(self, database):
        """Empties the tables. Makes a checkpoint, so that none comes soon."""
        self.execute(database, f"TRUNCATE {TABLES}")
        self.execute(database, "CHECKPOINT")

    def count(self, database, table="orders"):
        return self.execute(database, f"SELECT count(*) FROM {table}")[0]

    def await_count(self, database, table, count, timeout):
        """Waits until the table has count rows. Polls rarely, so that it hardly disturbs the measurement."""
        end = time.monotonic() + timeout
        with self.parts.connect(database) as connection:
            while connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] < count:
                check(time.monotonic() < end, f"no {count} {table} within {timeout} s")
                time.sleep(0.2)

    def fill(self, database, count, script="fill.sql", step="1 ms", age="0"):
        """Stores count orders, or whatever the script stores. Indexes are created afterwards, which is faster."""
        text = (HERE / script).read_text().replace(":count", str(count)).replace(":step", step).replace(":age", age)
        statements = text.split(";\n")
        with self.parts.connect(database) as connection:
            indexes = connection.execute(
                "SELECT indexrelid::regclass, pg_get_indexdef(indexrelid) FROM pg_index JOIN pg_class ON oid = indrelid"
                " WHERE relnamespace = 'public'::regnamespace AND NOT indisunique AND relkind = 'r' AND NOT relispartition").fetchall()
            for name, _ in indexes:
                connection.execute(f"DROP INDEX {name}")
            for statement in [*statements, *(definition for _, definition in indexes), "VACUUM ANALYZE", "CHECKPOINT"]:
                connection.execute(statement)

    def restart_with(self, setting):
        self.execute("postgres", f"ALTER SYSTEM {setting}")
        self.parts.stop("postgres")
        self.parts.start("postgres")

    @contextlib.contextmanager
    def setting(self, name, value):
        """PostgreSQL runs with another value of a setting, and is started anew for it."""
        self.restart_with(f"SET {name} = '{value}'")
        try:
            yield
        finally:
            self.restart_with(f"RESET {name}")

    def commit_times(self):
        """PostgreSQL records the commit time of each transaction. This has a cost, so it is not always on."""
        return self.setting("track_commit_timestamp", "on")

    # Load

    def wrk(self, url, request, connections=64, seconds=None, values=None):
        """Repeats the request. Every answer must be a good one."""
        path = self.folder / "request"
        path.write_bytes(request)
        arguments = [path]
        if values:
            (self.folder / "values").write_text("\n".join(values))
            arguments.append(self.folder / "values")
        command = wrk_command(url, connections, seconds or self.seconds, *arguments)
        return good_load(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)

    def post(self, system, connections, seconds=None):
        """Sends orders until the time is over. Each answered order must be stored, with its key and items."""
        newest = self.execute(system.name, "SELECT coalesce((SELECT id FROM orders ORDER BY id DESC LIMIT 1), %s)", uuid.UUID(int=0))[0]
        load = self.wrk(system.order.url, order_request(system), connections, seconds)
        stored, keys, items = self.execute(system.name, NEWER, newest, newest, newest)
        check(load.requests <= stored <= load.requests + connections, f"{load.requests} answers, {stored} orders")
        check(keys == stored, "keys are missing")
        check(items == 2 * stored, "items are missing")
        return load

    def backlog(self, system, count):
        """Sends orders until there are count, faster than they can be published."""
        (self.folder / "request").write_bytes(order_request(system))
        with subprocess.Popen(wrk_command(system.order.url, 64, 600, self.folder / "request"), stdout=subprocess.PIPE,
                              text=True) as process:
            try:
                self.await_count(system.name, "orders", count, timeout=120)
            finally:
                process.send_signal(signal.SIGINT)  # as if the time were over
            good_load(process.stdout.read())

    def bare_sqs(self, count):
        """Messages per second that a bare client moves through a queue of its own. They are the events of count orders."""
        sqs, name = self.parts.sqs, f"bare-{uuid.uuid4()}.fifo"
        url = sqs.create_queue(QueueName=name, Attributes={"FifoQueue": "true", "VisibilityTimeout": "30"})["QueueUrl"]
        path = self.folder / "messages"
        with path.open("w") as file:
            for _ in range(count // 10):
                entries = [message(str(i)) for i in range(10)]
                file.write(json.dumps({"QueueUrl": url, "Entries": entries}, separators=(",", ":")) + "\n")
        output = subprocess.run(
            [BUILD / "tests/bench/bare_sqs", self.parts.settings["SQS_ENDPOINT"], url, str(CONSUMER_THREADS), path],
            check=True, stdout=subprocess.PIPE, text=True).stdout
        sqs.delete_queue(QueueUrl=url)
        deleted, seconds = output.split()
        check(int(deleted) == count, f"{count} messages sent, {deleted} deleted")
        return count / float(seconds)

    def pgbench(self, database, clients, seconds=None):
        """Stores the same rows, one order per transaction. The median is only measured with a single client."""
        s = self.parts.settings
        before = self.count(database)
        log = ["-l", "--log-prefix", self.folder / "pgbench"] if clients == 1 else []
        output = subprocess.run(
            ["pgbench", "-h", s["DB_HOST"], "-p", s["DB_PORT"], "-U", s["DB_USER"], "-n", "-M", "prepared", "-c",
             str(clients), "-j", str(min(2, clients)), "-T", str(seconds or self.seconds), "-D", f"start={before}", "-D",
             "counter=0", "-f", HERE / "order.pgbench", *log, database],
            env=os.environ | {"PGPASSWORD": s["DB_PASSWORD"]}, check=True, capture_output=True, text=True).stdout
        done = int(re.search(r"transactions actually processed: (\d+)", output).group(1))
        check("number of failed transactions: 0 " in output, output)
        check(self.count(database) - before == done, f"{done} transactions, other rows")
        times = []
        for path in self.folder.glob("pgbench.*"):
            times += [int(line.split()[2]) for line in path.read_text().splitlines()]
            path.unlink()
        return Load(done, float(re.search(r"tps = ([\d.]+)", output).group(1)), statistics.median(times or [0]), None)


# What a process uses

def cpu_seconds(process):
    """User and system time of all its threads."""
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def open_files(process):
    return len(os.listdir(f"/proc/{process.pid}/fd"))


def memory_mb(process, line="VmRSS"):
    """Resident memory in units of 10^6 bytes. VmHWM is its peak."""
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(rf"{line}:\s+(\d+) kB", status).group(1)) * 1024 / 1e6
