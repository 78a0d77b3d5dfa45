"""Those that are compared: order-svc and its peers, each with a database and Redis keys of its own on the same servers."""

import contextlib
import dataclasses

import lab as tools
import requests
import sustained
from lab import harness

OURS = "order-svc"
# Every table that an order is written to. One statement, so one snapshot.
COUNTS = """SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM order_items), (SELECT count(*) FROM idempotency_keys),
                   (SELECT count(*) FROM order_outbox), (SELECT count(*) FROM order_events)"""


class Peer(harness.Daemon):
    """A process of a peer. It takes the settings of order-svc that it knows."""

    def health(self, path="/health/ready"):
        assert self.process.poll() is None, f"{self.program} ended by itself:\n{self.log_tail()}"
        with contextlib.suppress(requests.RequestException):
            return requests.get(self.url + path, timeout=5).status_code
        return None


class Contender(harness.System):
    """One of those that are compared. A peer has the tables of order-svc, made by order-svc."""

    def __init__(self, lab, name, program=None):
        super().__init__(lab.parts, **tools.SETTINGS | tools.AWAY)
        self.lab, self.title, self.program = lab, name, program
        self.pool = None  # connections to PostgreSQL; None: what order-svc has by default
        self.process = None
        tools.migrate(self.order_svc())
        self.daemons.clear()

    @property
    def order(self):
        return self.process

    @contextlib.contextmanager
    def running(self, pool=None):
        """The process runs within the block, with so many connections to PostgreSQL. Go has as many to Redis: Rust needs one."""
        if self.program:
            size = str(pool or self.pool or 16)
            settings = self.settings | {"DB_POOL_SIZE": size, "REDIS_POOL_SIZE": size}
            self.process = Peer(self.program, settings, f"{self.folder}/peer.log")
            self.daemons.append(self.process)
        else:
            self.process = self.order_svc()
        self.process.start()
        try:
            yield self
        finally:
            self.process.stop()
            self.daemons.clear()
            self.process = None

    def counts(self):
        return self.query(COUNTS)[0]


def postgres_seconds(pid):
    """CPU seconds of the server with all its processes."""
    while True:
        with contextlib.suppress(OSError):  # one has just ended: now the server has its time
            return sustained.used(pid) + sum(map(sustained.used, sustained.children(pid)))


@dataclasses.dataclass
class Usage:
    """CPU seconds until now."""

    server: float
    postgres: float
    redis: float

    @classmethod
    def now(cls, contender):
        folder = contender.lab.folder
        pid = {name: int((folder / f"{name}.pid").read_text().split()[0]) for name in ("postgres", "redis")}
        return cls(sustained.used(contender.process.process.pid), postgres_seconds(pid["postgres"]), sustained.used(pid["redis"]))

    def since(self, before, requests_done):
        """Microseconds for each request."""
        return [1e6 * (getattr(self, part) - getattr(before, part)) / requests_done for part in ("server", "postgres", "redis")]
