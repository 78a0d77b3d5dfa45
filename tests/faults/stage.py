"""The system under test: parts, two replicas of each daemon, and the links between all of them."""

import json
import pathlib
import subprocess
import sys
import time

import harness

SECRET = "a-secret-of-production-that-is-long-enough"
SETTINGS = {
    # Daemons of production, which also start while their database is unavailable.
    "APP_ENV": "production", "DEMO_CLIENTS": "false", "DELIVERY_ANONYMOUS": "false", "JWT_SECRET": SECRET,
    # Shipments that take a few seconds, and deadlines shorter than the faults.
    "CARRIER_ASSIGN_DELAY": "300ms", "CARRIER_SHIP_DELAY": "700ms", "CARRIER_DELIVER_DELAY": "1s",
    "DB_CONNECT_TIMEOUT": "1s", "DB_STATEMENT_TIMEOUT": "2s", "DB_LOCK_TIMEOUT": "1s", "HTTP_QUEUE_TIMEOUT": "3s",
    "SHUTDOWN_TIMEOUT": "10s", "RECONCILE_AFTER": "10s",
    # Here many consumers die while they process a message. So three receives do not mean that a message is poison.
    "SQS_MAX_RECEIVE_COUNT": "50",
}
RELIEF = 2  # seconds after a disturbance until clients have noticed that their connections are gone


class Proxy:
    """The process that all links go through."""

    def __init__(self):
        script = pathlib.Path(__file__).with_name("proxy.py")
        self.process = subprocess.Popen([sys.executable, "-B", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)

    def call(self, **command):
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def add(self, link, host, port):
        return self.call(do="add", link=link, host=host, port=int(port))["port"]

    def fault(self, link, kind, direction, value=0):
        self.call(do="fault", link=link, kind=kind, direction=direction, value=value)

    def heal(self, link):
        self.call(do="heal", link=link)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Replica:
    """A daemon, how clients reach it, and when it was disturbed."""

    def __init__(self, name, daemon):
        self.name, self.daemon, self.disturbed = name, daemon, []

    def disturb(self):
        """From now on, requests to it may fail."""
        self.disturbed.append([time.monotonic(), float("inf")])

    def settle(self):
        self.disturbed[-1][1] = time.monotonic() + RELIEF

    @property
    def in_trouble(self):
        return bool(self.disturbed) and self.disturbed[-1][1] == float("inf")

    def was_disturbed(self, since, until):
        return any(start <= until and end >= since for start, end in self.disturbed)

    def launch(self):
        self.daemon.launch()
        harness.eventually(self.daemon.is_live, what=f"life of {self.name}")


class Stage:
    """Starts the whole system. close() stops it."""

    def __init__(self):
        self.keep_logs = False
        self.parts = harness.PrivateParts()
        self.proxy, self.links, self.replicas = Proxy(), [], {}
        self.system = harness.System(self.parts, **SETTINGS)
        for number in (1, 2):
            self.add_replica(f"order-{number}", self.system.order_svc)
            self.add_replica(f"delivery-{number}", self.system.delivery_svc)
        for replica in self.replicas.values():
            subprocess.run([replica.daemon.program, "--migrate"], env=replica.daemon.environment, check=True,
                           capture_output=True)
            replica.daemon.launch()
        for replica in self.replicas.values():
            harness.eventually(replica.daemon.is_ready, what=f"readiness of {replica.name}")

    def add_replica(self, name, make):
        s = self.parts.settings
        sqs_host, sqs_port = s["SQS_ENDPOINT"].removeprefix("http://").split(":")
        ports = {part: self.add_link(f"{name}:{part}", host, port)
                 for part, host, port in [("postgres", s["DB_HOST"], s["DB_PORT"]), ("sqs", sqs_host, sqs_port),
                                          ("redis", s["REDIS_HOST"], s["REDIS_PORT"])]
                 if part != "redis" or name.startswith("order")}
        daemon = make(DB_PORT=str(ports["postgres"]), SQS_ENDPOINT=f"http://127.0.0.1:{ports['sqs']}",
                      REDIS_PORT=str(ports.get("redis", 1)))
        replica = self.replicas[name] = Replica(name, daemon)
        replica.port = daemon.port
        replica.link_port = self.add_link(f"client:{name}", "127.0.0.1", daemon.port)

    def add_link(self, name, host, port):
        self.links.append(name)
        return self.proxy.add(name, host, port)

    def replicas_of(self, service):
        return [replica for name, replica in self.replicas.items() if name.startswith(service)]

    def postmaster(self):
        """Returns the pid of the PostgreSQL server. The start time is checked, because pids are reused."""
        pid, started = pathlib.Path(self.parts.folder, "postgres.pid").read_text().split()
        now = pathlib.Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()[19]
        assert now == started, "PostgreSQL is not running"
        return int(pid)

    def heal(self):
        """Ends all faults that may be left."""
        for link in self.links:
            self.proxy.heal(link)
        self.parts.thaw()
        self.parts.start()

    def close(self):
        self.proxy.close()
        for replica in self.replicas.values():
            if replica.daemon.process is not None:
                replica.daemon.kill()
        if not self.keep_logs:
            subprocess.run(["rm", "-rf", self.system.folder], check=True)
        self.parts.close()
