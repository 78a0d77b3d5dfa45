"""What the integration tests stand on: the parts, both daemons with a database and queues of their own, clients."""

import base64
import contextlib
import fcntl
import functools
import json
import os
import pathlib
import random
import re
import shlex
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.parse
import uuid

import boto3
import certificates
import jwt
import psycopg
import redis
import requests

ROOT = pathlib.Path(__file__).resolve().parents[2]
ORDER_SVC = os.environ.get("ORDER_SVC", str(ROOT / "build/asan/order-svc"))
DELIVERY_SVC = os.environ.get("DELIVERY_SVC", str(ROOT / "build/asan/delivery-svc"))
SECRET = "dev-secret-key-change-in-production"
PATIENCE = 60  # seconds until a condition that ought to come true is given up: never a measure of speed

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
SANITIZER_REPORT = re.compile(
    r"^.*(ERROR: AddressSanitizer|LeakSanitizer|WARNING: ThreadSanitizer|runtime error:).*$", re.MULTILINE
)

SECRETS = set()  # used, or handed out, by this run: no log may hold one
SECRET_SETTING = re.compile(r"(SECRET|PASSWORD|TOKEN|SECRET_ACCESS_KEY|SECRETS_KEY)$")
SECRET_FIELD = re.compile(r'(?:token|secret)(?:"\s*:\s*"|=)([^"&\s]+)')  # of JSON, or of a form
ANY_TOKEN = re.compile(r"eyJ[\w-]{6,}")  # the beginning of a JWT, also of one that was cut
# Somebody in this database waits for a lock; the tests of other modules may, too.
WAITING = """SELECT 1 FROM pg_locks JOIN pg_stat_activity USING (pid)
              WHERE NOT granted AND datname = current_database()"""


def remember(*secrets):
    """What no log may hold, unless it is as short as a word."""
    SECRETS.update(text for text in secrets if len(text) >= 8)


def remember_secrets(response):
    """Those of an HTTP request and of its answer."""
    scheme, _, credentials = response.request.headers.get("Authorization", "").partition(" ")
    remember(credentials)
    if scheme == "Basic":
        with contextlib.suppress(ValueError):
            remember(base64.b64decode(credentials).decode().partition(":")[2])
    for text in (response.request.body, response.content):
        text = text.decode(errors="replace") if isinstance(text, bytes) else text
        if isinstance(text, str):
            remember(*SECRET_FIELD.findall(text))


def eventually(condition, timeout=PATIENCE, what="the condition"):
    """Polls until condition() is true and returns its value. What takes long is asked for less often: it costs others their time."""
    start = time.monotonic()
    while not (value := condition()):
        waited = time.monotonic() - start
        assert waited < timeout, f"{what} did not come true within {timeout} s"
        time.sleep(0.02 if waited < 0.5 else 0.1)
    return value


def until_none_is_left(look, what):
    """Polls until look() counts nothing. A slow machine may take its time, as long as something moves."""
    while any(left := look()):
        eventually(lambda seen=left: look() != seen, what=f"less than {left} {what}")


RESERVED = []  # files that are locked for as long as this process lives


def reserved(port):
    """Whether the port is ours alone among all tests that run now, also while nobody listens on it."""
    folder = pathlib.Path(tempfile.gettempdir()) / f"order-processing-ports-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    file = (folder / str(port)).open("w")  # noqa: SIM115 (closed with the process)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return False
    RESERVED.append(file)
    return True


def free_port():
    """A free port, between those that scripts take and those that the kernel gives to outgoing connections."""
    for _ in range(1000):
        port = random.randrange(15000, 32000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            if reserved(port):
                return port
    raise RuntimeError("no free port")


def at_once(calls):
    """Runs the calls in one thread each, released together; their results in order."""
    results, barrier = [None] * len(calls), threading.Barrier(len(calls))

    def run(i, call):
        barrier.wait()
        results[i] = call()

    threads = [threading.Thread(target=run, args=(i, call)) for i, call in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


class Parts:
    """Where PostgreSQL, Redis and SQS are: settings as the daemons take them."""

    NAMES = ("DB_HOST", "DB_PORT", "DB_USER", "DB_PASSWORD", "REDIS_HOST", "REDIS_PORT", "SQS_ENDPOINT")

    def __init__(self, settings):
        self.settings = {name: settings[name] for name in self.NAMES}

    def with_settings(self, **changes):
        return Parts({**self.settings, **changes})

    def pooler(self, settings):
        """What leads a daemon with these settings through the PgBouncer of scripts/test-pooler.sh, if that runs."""
        known = all(settings[name] == os.environ.get(name) for name in ("DB_HOST", "DB_PORT", "DB_USER", "DB_PASSWORD"))
        if "POOLER_PORT" not in os.environ or not known:
            return {}
        return {"DB_POOLER": "transaction", "DB_PORT": os.environ["POOLER_PORT"],
                "DB_DIRECT_HOST": self.settings["DB_HOST"], "DB_DIRECT_PORT": self.settings["DB_PORT"]}

    def connect(self, database, **options):
        s = self.settings
        return psycopg.connect(host=s["DB_HOST"], port=s["DB_PORT"], user=s["DB_USER"], password=s["DB_PASSWORD"],
                               dbname=database, autocommit=True, **options)

    def redis(self, database=0):
        return redis.Redis(self.settings["REDIS_HOST"], int(self.settings["REDIS_PORT"]), db=database)

    @functools.cached_property
    def sqs(self):
        return boto3.client("sqs", endpoint_url=self.settings["SQS_ENDPOINT"], region_name="us-east-1",
                            aws_access_key_id="test", aws_secret_access_key="test")


class PrivateParts(Parts):
    """Parts of one's own, made by scripts/parts.sh, that a test may stop, freeze and bring back."""

    elsewhere = {}  # settings of parts that are not made by the script

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="parts-")
        self.environment = dict(os.environ)  # of the parts that start from now on
        try:
            self.start()
            lines = pathlib.Path(self.folder, "env").read_text().splitlines()
            words = [word for line in lines for word in shlex.split(line, comments=True) if "=" in word]
            super().__init__(dict(word.split("=", 1) for word in words) | self.elsewhere)
            self.settings |= self.elsewhere
        except BaseException:
            self.close()
            raise

    def _script(self, command, *names):
        subprocess.run([ROOT / "scripts/parts.sh", command, self.folder, *names], check=True,
                       env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    def start(self, *names):
        self._script("start", *names)

    def stop(self, *names):
        self._script("stop", *names)

    def kill(self, *names):
        self._script("kill", *names)

    def freeze(self, *names):
        self._script("pause", *names)

    def thaw(self, *names):
        self._script("resume", *names)

    def close(self):
        self.thaw()
        self._script("remove")


class Daemon:
    """One process of a daemon: keeps its port and its log over restarts."""

    def __init__(self, program, settings, log):
        self.program, self.log, self.process = program, pathlib.Path(log), None
        self.wrapper = []  # a command that becomes the daemon
        self.output = None  # a file descriptor that gets the log instead of the file
        self.port = free_port()
        self.url = f"{'https' if settings.get('TLS_CERT_FILE') else 'http'}://127.0.0.1:{self.port}"
        inherited = ("PATH", "HOME", "ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LSAN_OPTIONS")
        self.environment = {name: os.environ[name] for name in inherited if name in os.environ} | settings
        self.environment |= {"ORDER_SERVICE_PORT": str(self.port), "DELIVERY_SERVICE_PORT": str(self.port)}
        self.environment.setdefault("METRICS_PORT", str(free_port()))
        self.metrics_url = f"http://127.0.0.1:{self.environment['METRICS_PORT']}/metrics"
        remember(*(value for name, value in self.environment.items() if SECRET_SETTING.search(name)))

    def launch(self):
        """Starts the process without waiting for anything."""
        assert self.process is None, "is running"
        with contextlib.nullcontext(self.output) if self.output else self.log.open("ab") as log:
            self.process = subprocess.Popen([*self.wrapper, self.program], env=self.environment, stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log)
        return self

    def command(self, *words):
        """Runs the program with arguments, until it ends; what it says of errors goes to the log, too."""
        patient = {"DB_CONNECT_TIMEOUT": "30s"}  # it tries once
        done = subprocess.run([self.program, *words], env=patient | self.environment, capture_output=True, text=True,
                              timeout=PATIENCE, stdin=subprocess.DEVNULL)
        remember(*re.findall(r"client_secret: (\S+)", done.stdout))
        with self.log.open("a") as log:
            log.write(done.stderr)
        return done

    def start(self):
        self.launch()
        eventually(self.is_ready, what=f"readiness of {self.program}")
        return self

    def is_ready(self):
        return self.health("/health/ready") == 200

    def is_live(self):
        return self.health("/health/live") == 200

    def health(self, path="/health"):
        """The status of a health route, or None when nobody answers."""
        assert self.process.poll() is None, f"{self.program} ended by itself:\n{self.log_tail()}"
        with contextlib.suppress(requests.RequestException):
            return http("GET", self.url + path, timeout=5).status_code
        return None

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def finish(self):
        """Waits for the end that terminate() asked for; it must be a clean one."""
        code, self.process = self.process.wait(timeout=PATIENCE), None
        assert code == 0, f"{self.program} exited with {code}:\n{self.log_tail()}"

    def stop(self):
        if self.process is not None:
            self.terminate()
            self.finish()

    def kill(self):
        """The end that no process can prepare for."""
        self.process.kill()
        self.process.wait()
        self.process = None

    def log_tail(self):
        return self.log_text()[-3000:]

    def log_text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def log_lines(self):
        """What it logged, as objects. A thread writes them: a line may come later than the answer that it is about."""
        return [json.loads(line) for line in self.log_text().split("\n")[:-1] if line.startswith("{")]

    def complaints(self, *expected):
        """The bodies of its warnings and errors, without those of the expected texts, and those that a busy machine causes."""
        busy = re.compile(r" [1-4]\d\d in \d{4,} ms from ")  # a request that took more than a second
        return [line["body"] for line in self.log_lines() if line["severity_text"] in ("WARN", "ERROR")
                and not busy.search(line["body"]) and not any(text in line["body"] for text in expected)]

    def assert_no_sanitizer_report(self):
        report = SANITIZER_REPORT.search(self.log_text())
        assert report is None, f"{report.group()} in {self.program}:\n{self.log_text()[report.start():][:8000]}"

    def assert_no_secret_logged(self):
        log = self.log_text()
        told = [text for text in SECRETS if text in log] + ANY_TOKEN.findall(log)
        assert not told, f"{self.program} logged {told[:5]}"


class System:
    """Both daemons in any number of replicas, with a database, queues and Redis keys that nobody else uses."""

    CARRIER = {"CARRIER_SIMULATION": "true", "CARRIER_ASSIGN_DELAY": "20ms", "CARRIER_SHIP_DELAY": "20ms",
               "CARRIER_DELIVER_DELAY": "20ms"}

    def __init__(self, parts, **settings):
        self.parts, self.daemons = parts, []
        self.name = "test_" + uuid.uuid4().hex[:12]
        self.folder = tempfile.mkdtemp(prefix=self.name + "_")
        with parts.connect("postgres") as admin:
            admin.execute(f"CREATE DATABASE {self.name}")
        redis_db = parts.redis().incr("test-databases") % 1023 + 1
        self.redis = parts.redis(redis_db)
        self.redis.flushdb()
        self.sqs = parts.sqs
        self.settings = {
            "APP_ENV": "development", "LOG_FORMAT": "json", "LOG_LEVEL": "info", "BIND_ADDRESS": "127.0.0.1",
            "DEMO_CLIENTS": "true", "DELIVERY_ANONYMOUS": "true", "JWT_SECRET": SECRET,
            "WEBHOOK_SECRETS_KEY": "a-key-of-webhooks-that-is-long-enough",
            # Tests send what no client may: those of the limits set them.
            "RATE_LIMIT": "0", "RATE_LIMIT_ADDRESS": "0", "ORDER_RATE_LIMIT": "0", "AUTH_FAILURE_LIMIT": "0",
            "DB_NAME": self.name, "REDIS_DB": str(redis_db), "SQS_VISIBILITY_TIMEOUT": "5s",
            # ElasticMQ hands a message to a long poll whose client is gone: after a restart it is late by the
            # visibility timeout. Short polls make that rare.
            "SQS_WAIT_TIME": "1s",
            "ORDERS_QUEUE": f"{self.name}-orders.fifo", "ORDERS_DLQ": f"{self.name}-orders-dlq.fifo",
            "DELIVERY_STATUS_QUEUE": f"{self.name}-status.fifo",
            "DELIVERY_STATUS_DLQ": f"{self.name}-status-dlq.fifo",
            "REVOCATIONS_QUEUE": f"{self.name}-revocations.fifo",
            "REVOCATIONS_DLQ": f"{self.name}-revocations-dlq.fifo",
            **parts.settings, **self.CARRIER, **settings,
        }

    # Daemons

    def _daemon(self, program, settings):
        log = f"{self.folder}/{pathlib.Path(program).name}-{len(self.daemons)}.log"
        settings = self.settings | settings
        self.daemons.append(Daemon(program, settings | self.parts.pooler(settings), log))
        return self.daemons[-1]

    def order_svc(self, **settings):
        """A replica of order-svc, not started; the first is the one that clients talk to."""
        return self._daemon(ORDER_SVC, settings)

    def delivery_svc(self, **settings):
        return self._daemon(DELIVERY_SVC, settings)

    def start(self):
        for daemon in [self.order_svc(), self.delivery_svc()]:
            daemon.launch()
        for daemon in self.daemons:
            eventually(daemon.is_ready, what=f"readiness of {daemon.program}")
        return self

    def _first(self, program):
        return next(daemon for daemon in self.daemons if daemon.program == program)

    @property
    def order(self):
        return self._first(ORDER_SVC)

    @property
    def delivery(self):
        return self._first(DELIVERY_SVC)

    # Clients

    def mint(self, client_id="demo-client", scope="order:create order:read", secret=SECRET, **claims):
        """A token as order-svc would issue it, for any client."""
        now = int(time.time())
        issuer = self.settings.get("JWT_ISSUER", "order-processing-system")
        payload = {"iss": issuer, "aud": "order-api", "sub": client_id, "client_id": client_id,
                   "iat": now, "exp": now + 3600, "jti": str(uuid.uuid4()), "scope": scope} | claims
        payload = {name: value for name, value in payload.items() if value is not None}
        token = jwt.encode(payload, secret, algorithm="HS256", headers={"typ": "at+jwt"})
        remember(token)
        return token

    def client(self, client_id="demo-client", scope="order:create order:read", daemon=None):
        return Api((daemon or self.order).url, self.mint(client_id, scope))

    def deliveries(self, daemon=None):
        return Api((daemon or self.delivery).url)

    # What is stored and queued

    def query(self, sql, *arguments):
        with self.parts.connect(self.name) as connection:
            cursor = connection.execute(sql, arguments)
            return cursor.fetchall() if cursor.description else []

    def queue_url(self, knob):
        return self.sqs.get_queue_url(QueueName=self.settings[knob])["QueueUrl"]

    def shard_urls(self, knob):
        """Of those queues that exist."""
        name = self.settings[knob].removesuffix(".fifo")
        found = self.sqs.list_queues(QueueNamePrefix=name).get("QueueUrls", [])
        return sorted(url for url in found if re.fullmatch(rf"{name}(-\d+)?\.fifo", url.rsplit("/", 1)[1]))

    def has_queue(self, knob):
        try:
            return bool(self.queue_url(knob))
        except self.sqs.exceptions.QueueDoesNotExist:
            return False

    def await_queue(self, knob):
        """A daemon may be ready a moment before it has made its queues."""
        eventually(lambda: self.has_queue(knob), what=f"the queue of {knob}")

    def send(self, knob, body, group=None, **attributes):
        """Puts a message into the queue that the knob names."""
        text = body if isinstance(body, str) else json.dumps(body)
        self.await_queue(knob)
        self.sqs.send_message(
            QueueUrl=self.queue_url(knob), MessageBody=text, MessageGroupId=group or str(uuid.uuid4()),
            MessageDeduplicationId=str(uuid.uuid4()),
            MessageAttributes={k: {"DataType": "String", "StringValue": v} for k, v in attributes.items()})

    def take(self, knob, enough):
        """Takes messages from the queue, and deletes them, until enough(messages). One that came again is not a further one: a
        receive and ten deletes may take longer than the visibility timeout."""
        self.await_queue(knob)
        url, messages = self.queue_url(knob), {}

        def look():
            answer = self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1,
                                              MessageAttributeNames=["All"], MessageSystemAttributeNames=["All"])
            for message in answer.get("Messages", []):
                self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                messages[message["MessageId"]] = message
            return enough(list(messages.values()))

        eventually(look, what=f"enough messages in {knob}")
        return list(messages.values())

    def receive(self, knob, count):
        """Exactly count messages."""
        messages = self.take(knob, lambda got: len(got) >= count)
        assert len(messages) == count
        return messages

    def messages_in(self, knob):
        """How many messages the queue holds, visible and in flight."""
        return sum(map(self.messages_at, self.shard_urls(knob)))

    def messages_at(self, url):
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        answer = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)
        return sum(int(value) for value in answer["Attributes"].values())

    def waiting(self):
        """How many events are at each place of their way. Asked in that order: none passes by unseen."""
        return (self.query("SELECT count(*) FROM order_outbox")[0][0], self.messages_in("ORDERS_QUEUE"),
                self.query("SELECT count(*) FROM delivery_outbox")[0][0], self.messages_in("DELIVERY_STATUS_QUEUE"))

    def is_drained(self):
        return not any(self.waiting())

    def drain(self):
        """Waits until nothing waits in an outbox or a queue."""
        until_none_is_left(self.waiting, "events in the outboxes and the queues")

    def all_delivered(self):
        """Waits until every order is DELIVERED."""
        until_none_is_left(lambda: self.query("SELECT count(*) FILTER (WHERE status <> 'SHIPPED'), count(*) FILTER (WHERE status = 'SHIPPED')"
                                              "  FROM orders WHERE status <> 'DELIVERED'")[0], "orders before and after their leaving")

    def feed_is_current(self):
        """What happened is before the feed's position "now". Transactions of other databases hold it back too."""
        return self.query("""SELECT NOT EXISTS (SELECT FROM order_events WHERE (epoch, xid) >=
                             (order_event_epoch(), pg_snapshot_xmin(pg_current_snapshot())::text::bigint))""") == [(True,)]

    def close(self):
        """Stops every daemon, asserts that each ended well, and removes what was made."""
        try:
            for daemon in self.daemons:
                if daemon.process is not None:
                    daemon.terminate()
            for daemon in self.daemons:
                if daemon.process is not None:
                    daemon.finish()
        finally:
            for daemon in self.daemons:
                if daemon.process is not None:
                    daemon.kill()
        for daemon in self.daemons:
            daemon.assert_no_sanitizer_report()
            daemon.assert_no_secret_logged()
        for knob in ("ORDERS_QUEUE", "ORDERS_DLQ", "DELIVERY_STATUS_QUEUE", "DELIVERY_STATUS_DLQ", "REVOCATIONS_QUEUE",
                     "REVOCATIONS_DLQ"):
            for url in self.shard_urls(knob):
                self.sqs.delete_queue(QueueUrl=url)
        with self.parts.connect("postgres") as admin:
            admin.execute(f"DROP DATABASE {self.name} WITH (FORCE)")
        self.redis.flushdb()
        subprocess.run(["rm", "-rf", self.folder], check=True)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            for name, tail in self.log_tails():
                print(f"--- {name}\n{tail}")
        self.close()

    def log_tails(self):
        """The last words of each daemon, for the report of a failed test."""
        return [(daemon.log.name, daemon.log_tail()) for daemon in self.daemons]


# HTTP

SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


# The page's own, which takes the place of the API's (src/order/page.c).
PAGE_POLICY = ("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; "
               "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'")


def is_page(response):
    """Whether this is the page, or a file of it: all these have a tag."""
    path = urllib.parse.urlsplit(response.request.url).path
    return (path == "/" or path.startswith("/app/")) and "ETag" in response.headers


def http(method, url, **options):
    """One request on a connection of its own; what every response must have is asserted here, once for all."""
    options.setdefault("timeout", PATIENCE)
    if url.startswith("https:"):
        options.setdefault("verify", certificates.authority().path)
    with requests.Session() as session:
        session.trust_env = False
        response = session.request(method, url, **options)
    remember_secrets(response)
    assert_common(response)
    return response


def assert_common(response):
    request_id = response.headers.get("X-Request-Id", "")
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,128}", request_id)
    page = is_page(response)
    for name, value in (SECURITY_HEADERS | ({"Content-Security-Policy": PAGE_POLICY} if page else {})).items():
        assert response.headers.get(name) == value, name
    assert response.headers["Cache-Control"] in (["no-cache"] if page else ["no-store", "private, no-cache", "public, max-age=300"])
    assert not re.search(r"\d", response.headers.get("Server", "")), "tells its version"
    if response.headers.get("Content-Type") == "application/problem+json" and response.request.method != "HEAD":
        problem = json.loads(response.content)
        assert {"type", "title", "status", "detail", "error", "message", "request_id"} <= problem.keys()
        assert (problem["status"], problem["request_id"]) == (response.status_code, request_id)


class Api:
    """A client of one daemon, with or without a token."""

    def __init__(self, url, token=None):
        self.url, self.token = url, token

    def request(self, method, path, headers=None, **options):
        authorization = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return http(method, self.url + path, headers=authorization | (headers or {}), **options)

    def get(self, path, **options):
        return self.request("GET", path, **options)

    def post(self, path, body=None, **options):
        """body: an object to send as JSON, or bytes to send as they are (Content-Type is JSON unless given)."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"} | options.pop("headers", {})
        return self.request("POST", path, data=data, headers=headers, **options)

    # What both services are for

    def create(self, body=None, key=None, **options):
        headers = ({"Idempotency-Key": key} if key else {}) | options.pop("headers", {})
        return self.post("/orders", basket() if body is None else body, headers=headers, **options)

    def created(self, *arguments, **options):
        """The id of a new order."""
        response = self.create(*arguments, **options)
        assert response.status_code == 201, response.text
        return response.json()["order_id"]

    def accepted(self, *arguments):
        """The answer 201 to an order that was refused with 503 for a while, as after an outage."""
        response = eventually(lambda: (answer := self.create(*arguments)).status_code != 503 and answer)
        assert response.status_code == 201, response.text
        return response

    def order(self, order_id):
        response = self.get(f"/orders/{order_id}")
        assert response.status_code == 200, response.text
        return response.json()

    def shipment(self, order_id):
        """The shipment of an order, None as long as there is none."""
        response = self.get(f"/delivery/shipment/{order_id}")
        if response.status_code == 404:
            return None
        assert response.status_code == 200, response.text
        return response.json()

    def move(self, shipment_id, status, **fields):
        return self.post(f"/delivery/shipment/{shipment_id}/status", {"status": status, **fields})


class Load:
    """Clients that order without a pause until they are told to stop. A test that fails does not wait for them."""

    def __init__(self, system, clients=16):
        self.system, self.answers, self.ids, self.stopping = system, [], [], False
        self.threads = [threading.Thread(target=self._order, daemon=True) for _ in range(clients)]
        for thread in self.threads:
            thread.start()

    def _order(self):
        with requests.Session() as session:
            session.trust_env = False
            session.headers["Authorization"] = f"Bearer {self.system.mint()}"
            while not self.stopping:
                with contextlib.suppress(requests.ConnectionError):  # the daemon is away
                    answer = session.post(f"{self.system.order.url}/orders", json=basket(), timeout=PATIENCE)
                    self.answers.append(answer)
                    if answer.status_code == 201:
                        self.ids.append(answer.json()["order_id"])

    def more(self, count):
        """Waits for so many further orders."""
        goal = len(self.ids) + count
        until_none_is_left(lambda: [max(0, goal - len(self.ids))], "further orders")

    def answered(self):
        """The ids of the orders that were answered 201."""
        return list(self.ids)

    def end(self):
        self.stopping = True
        for thread in self.threads:
            thread.join()
        assert {answer.status_code for answer in self.answers} <= {201, 503}
        return self.answered()


def assert_problem(response, status, code):
    """The response is the problem with this status and code; returns it."""
    assert (response.status_code, response.headers.get("Content-Type")) == (status, "application/problem+json"), \
        response.text
    problem = response.json()
    assert problem["error"] == code
    return problem


def pointers(response):
    """The places that a 400 VALIDATION_ERROR complains of."""
    return {error["pointer"] for error in assert_problem(response, 400, "VALIDATION_ERROR")["errors"]}


def basket(customer=None, **changes):
    """A good order (of a customer of its own, so that it repeats no other)."""
    return {"customer_id": customer or f"customer-{uuid.uuid4()}",
            "items": [{"product_id": "laptop-001", "quantity": 1, "unit_price": 999.99},
                      {"product_id": "mouse-001", "quantity": 2, "unit_price": 29.99}]} | changes


def order_created(order_id=None, **changes):
    """The event by which order-svc tells of a new order."""
    return {"eventType": "ORDER_CREATED", "eventId": str(uuid.uuid4()), "orderId": order_id or str(uuid.uuid4()),
            "customerId": "customer-demo-001", "totalAmount": 10.5, "timestamp": "2026-01-02T03:04:05.678Z",
            "items": [{"product_id": "p", "quantity": 1, "unit_price": 10.5}]} | changes


def status_update(order_id, status="SHIPPED", previous="PENDING_SHIPMENT", **fields):
    """The event by which delivery-svc tells where an order is."""
    return {"eventType": "ORDER_STATUS_UPDATE", "eventId": str(uuid.uuid4()), "orderId": order_id,
            "previousStatus": previous, "currentStatus": status, "timestamp": "2026-01-02T03:04:05.678Z"} | fields
