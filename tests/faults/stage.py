"""The system under test: parts, two replicas of each daemon, and the links between all of them."""

import contextlib
import fcntl
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

import certificates
import harness
import psycopg

LEAVER = "leaver"  # the client that revokes its tokens
SECRET = "a-secret-of-production-that-is-long-enough"
SETTINGS = {
    # Daemons of production, which also start while their database is unavailable.
    "APP_ENV": "production", "RELAY_CALLS": "4", "DEMO_CLIENTS": "false", "DELIVERY_ANONYMOUS": "false", "JWT_SECRET": SECRET,
    # A receiver on this machine, with pauses that are shorter than the run.
    "WEBHOOK_ALLOW_NETWORKS": "127.0.0.0/8", "WEBHOOK_CA_FILE": certificates.authority().path, "WEBHOOK_TIMEOUT": "2s",
    "WEBHOOK_SCHEDULE": "100ms,200ms,500ms,1s,1s,1s,1s,1s,1s,1s,1s,1s",
    # Shipments that take a few seconds, and deadlines shorter than the faults.
    "CARRIER_ASSIGN_DELAY": "300ms", "CARRIER_SHIP_DELAY": "700ms", "CARRIER_DELIVER_DELAY": "1s",
    "DB_CONNECT_TIMEOUT": "1s", "DB_STATEMENT_TIMEOUT": "2s", "DB_LOCK_TIMEOUT": "1s", "HTTP_QUEUE_TIMEOUT": "3s",
    "SHUTDOWN_TIMEOUT": "10s", "RECONCILE_AFTER": "10s",
}
PIPE = 4096  # bytes that a daemon's log may wait for its reader
PROMOTION = 120  # maximum seconds until a stopped database takes writes again
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
        log, daemon.output = os.pipe()
        fcntl.fcntl(log, fcntl.F_SETPIPE_SZ, PIPE)
        with daemon.log.open("ab") as file:
            self.log_reader = subprocess.Popen(["cat"], stdin=log, stdout=file)
        os.close(log)

    def end_log(self):
        """Waits until the log is complete. The daemon must not run."""
        if self.daemon.output is not None:
            os.close(self.daemon.output)
            self.daemon.output = None
            self.log_reader.send_signal(signal.SIGCONT)
            self.log_reader.wait()

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

    def __init__(self, make_parts=None, **settings):
        """make_parts: makes other parts than those of scripts/parts.sh. It gets add_link."""
        self.keep_logs = False
        self.losses = []  # (monotonic start and end, start and end by the clock) of times that the database forgot
        self.troubles = []  # (kind, start, end) of all faults, by the clock
        self.setbacks = []  # (end by the clock, target) of faults that may cost a message one of its receives
        self.proxy, self.links, self.replicas = Proxy(), [], {}
        self.overdue = []
        self.parts = make_parts(self.add_link) if make_parts else harness.PrivateParts()
        self.system = harness.System(self.parts, **SETTINGS | settings)
        for number in (1, 2):
            self.add_replica(f"order-{number}", self.system.order_svc)
            self.add_replica(f"delivery-{number}", self.system.delivery_svc)
        for name in ("order-1", "delivery-1"):
            assert self.replicas[name].daemon.command("--migrate").returncode == 0
        added = self.replicas["order-1"].daemon.command("client", "add", LEAVER, "order:read", "delivery:read").stdout
        self.leaver_secret = re.search(r"client_secret: (\S+)", added)[1]
        for replica in self.replicas.values():
            replica.daemon.launch()
        for replica in self.replicas.values():
            harness.eventually(replica.daemon.is_ready, what=f"readiness of {replica.name}")

    def add_replica(self, name, make):
        s = self.parts.settings
        sqs_host, sqs_port = s["SQS_ENDPOINT"].removeprefix("http://").split(":")
        databases = self.add_database_links(f"{name}:postgres", "DB") | self.add_database_links(f"{name}:direct", "DB_DIRECT")
        ports = {part: self.add_link(f"{name}:{part}", host, port)
                 for part, host, port in [("sqs", sqs_host, sqs_port), ("redis", s["REDIS_HOST"], s["REDIS_PORT"])]
                 if part != "redis" or name.startswith("order")}
        daemon = make(**databases, SQS_ENDPOINT=f"http://127.0.0.1:{ports['sqs']}", REDIS_PORT=str(ports.get("redis", 1)))
        replica = self.replicas[name] = Replica(name, daemon)
        replica.port = daemon.port
        replica.link_port = self.add_link(f"client:{name}", "127.0.0.1", daemon.port)

    def add_database_links(self, name, which):
        """Returns the settings of a replica that lead through them."""
        hosts, ports = (self.parts.settings.get(f"{which}_{part}", "") for part in ("HOST", "PORT"))
        if not hosts:
            return {}
        servers = zip(hosts.split(","), ports.split(","), strict=True)
        links = [self.add_link(f"{name}{i or ''}", *server) for i, server in enumerate(servers)]
        return {f"{which}_HOST": ",".join(["127.0.0.1"] * len(links)), f"{which}_PORT": ",".join(map(str, links))}

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

    @property
    def database_folder(self):
        return pathlib.Path(self.parts.folder, "postgres").resolve()

    def promote(self):
        """Starts the stopped database so that it replays its log to the end and begins a new timeline, as a standby
        that is promoted does. It needs nobody to connect before that: a standby may refuse connections for long."""
        folder = self.database_folder
        settings = folder / "postgresql.auto.conf"
        line = "restore_command = 'false'\n"  # there is no archive
        if line not in settings.read_text():
            settings.write_text(settings.read_text() + line)
        (folder / "recovery.signal").touch()
        self.parts.start("postgres")
        harness.eventually(self.takes_writes, timeout=PROMOTION, what="the end of the recovery of PostgreSQL")

    def takes_writes(self):
        with contextlib.suppress(psycopg.Error), self.parts.connect("postgres") as admin:
            return admin.execute("SELECT NOT pg_is_in_recovery()").fetchone()[0]
        return False

    def copy_database(self):
        """Copies the database as it is at one moment."""
        self.parts.freeze("postgres")
        try:
            subprocess.run(["cp", "-a", self.database_folder, f"{self.database_folder}-copy"], check=True)
        finally:
            self.parts.thaw("postgres")

    def return_to_copy(self):
        """Ends the database, and promotes its copy in its place."""
        self.parts.kill("postgres")
        folder = self.database_folder
        shutil.rmtree(folder)
        os.rename(f"{folder}-copy", folder)
        (folder / "postmaster.pid").unlink()
        self.promote()

    def heal(self):
        """Ends all faults that may be left. Then it cuts one replica of each daemon off from SQS: the system must
        come to rest without it."""
        for link in self.links:
            self.proxy.heal(link)
        self.parts.thaw()
        self.parts.start()
        harness.eventually(self.end_intervals, timeout=PROMOTION, what="a database that takes writes")
        for link in ("order-1:sqs", "delivery-1:sqs"):
            self.proxy.fault(link, "blackhole", "both")
            self.setbacks.append((time.time(), link))

    def end_intervals(self):
        """Lets the time pass until all silent orders are due. An order is repeated after as long as it has been silent, which
        would be up to half an hour here. Notes those that were due later than that. True when it is done."""
        with contextlib.suppress(psycopg.Error):
            self.overdue = [f"{order_id} is due in {wait}" for order_id, wait in self.system.query(
                "SELECT id, quiet_since - now() FROM orders WHERE quiet_since < 'infinity'"
                " AND quiet_since > now() + least(now() - updated_at, interval '1 day') + interval '1 s'")]
            self.system.query(
                "UPDATE orders SET quiet_since = now() WHERE id IN (SELECT id FROM orders"
                " WHERE quiet_since > now() AND quiet_since < 'infinity' ORDER BY id FOR UPDATE SKIP LOCKED)")
            return True
        return False

    def reunite(self):
        """Ends what heal() left cut off."""
        for link in ("order-1:sqs", "delivery-1:sqs"):
            self.proxy.heal(link)

    def close(self):
        self.proxy.close()
        for replica in self.replicas.values():
            if replica.daemon.process is not None:
                replica.daemon.kill()
            replica.end_log()
        if not self.keep_logs:
            subprocess.run(["rm", "-rf", self.system.folder], check=True)
        self.parts.close()
