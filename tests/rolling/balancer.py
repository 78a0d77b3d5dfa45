"""A private HAProxy with the configuration that is delivered, before daemons on this machine."""

import csv
import io
import os
import pathlib
import re
import subprocess

import harness
import requests

CONFIGURATION = harness.ROOT / "deploy/haproxy/haproxy.cfg"
FAILED = re.compile(r" -?\d+(/-?\d+){4} (-1|5\d\d) ")  # its five times, then the status of the answer
PROGRAM = "/usr/sbin/haproxy"  # not in the path of every user


def replaced(text, old, new):
    assert text.count(old) == 1, f"{CONFIGURATION} has {text.count(old)} times: {old}"
    return text.replace(old, new)


class Balancer:
    def __init__(self, folder, services):
        """services: for each of order-svc and delivery-svc its daemons, which are called order-1, order-2, ..."""
        self.folder, self.process = pathlib.Path(folder), None
        self.ports = {name: harness.free_port() for name in ("order-svc", "delivery-svc", "watch")}
        self.names = {}  # of the daemons
        text = CONFIGURATION.read_text()
        for (service, port), public in zip(self.ports.items(), (3001, 3002, 8404), strict=True):
            text = replaced(text, f"bind :{public}\n", f"bind 127.0.0.1:{port}\n")
            if service in services:
                name = service.removesuffix("-svc")
                lines = []
                for number, daemon in enumerate(services[service], 1):
                    self.names[daemon] = f"{name}-{number}"
                    lines.append(f"server {name}-{number} 127.0.0.1:{daemon.port}")
                text = replaced(text, f"server-template {name}- 10 {service}:{public} resolvers docker init-addr none",
                                "\n    ".join(lines))
        self.file, self.log = self.folder / "haproxy.cfg", self.folder / "haproxy.log"
        self.file.write_text(text)

    def url(self, service):
        return f"http://127.0.0.1:{self.ports[service]}"

    def start(self):
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([PROGRAM, "-db", "-f", self.file], stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, env={"PATH": os.environ["PATH"]})
        harness.eventually(self.all_up, what=f"HAProxy, whose log is {self.log_text()}")
        return self

    def rows(self):
        """What it counts of each server, by name. Empty before it listens."""
        assert self.process.poll() is None, self.log_text()
        try:
            text = requests.get(f"{self.url('watch')}/;csv", timeout=5).text
        except requests.ConnectionError:
            return {}
        known = self.names.values()
        return {row["svname"]: row for row in csv.DictReader(io.StringIO(text.removeprefix("# "))) if row["svname"] in known}

    def up(self):
        """The names of the servers that get requests."""
        return {name for name, row in self.rows().items() if row["status"].startswith("UP")}

    def all_up(self):
        return self.up() == set(self.names.values())

    def is_up(self, daemon):
        return self.rows()[self.names[daemon]]["status"] == "UP"

    def count(self, column):
        """The sum over all servers: wretr are requests that were sent again, wredis those that went to another server."""
        return sum(int(row[column] or 0) for row in self.rows().values())

    def failures(self):
        """What it logged of requests that failed. It also logs those that it had to send again, with their success."""
        return [line for line in self.log_text().splitlines() if FAILED.search(line)]

    def log_text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()
