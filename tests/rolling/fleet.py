"""Replicas of both daemons behind a balancer, and what is done to them under load."""

import contextlib
import os

import harness
from balancer import Balancer
from load import Load

SERVICES = ("order-svc", "delivery-svc")
SECRET = "a-secret-of-production-that-is-long-enough"
SETTINGS = {  # what docs/SCALING.md says, and a quick carrier; in production nobody migrates but --migrate
    "APP_ENV": "production", "DEMO_CLIENTS": "false", "DELIVERY_ANONYMOUS": "false", "JWT_SECRET": SECRET,
    "SHUTDOWN_DELAY": "3s", "TRUSTED_PROXIES": "127.0.0.1", "SQS_VISIBILITY_TIMEOUT": "20s",
    "CARRIER_ASSIGN_DELAY": "300ms", "CARRIER_SHIP_DELAY": "700ms", "CARRIER_DELIVER_DELAY": "1s",
}


def programs(folder):
    """The daemons of a build, by their service."""
    return {service: os.path.join(folder, service) for service in SERVICES}


class Fleet:
    """Replicas that run the given programs (by default those of the environment). Nobody has asked them for anything yet."""

    def __init__(self, parts, replicas=3, use=None, **settings):
        self.use = use or {"order-svc": harness.ORDER_SVC, "delivery-svc": harness.DELIVERY_SVC}
        with contextlib.ExitStack() as stack:
            self.system = stack.enter_context(harness.System(parts, **SETTINGS | settings))
            self.daemons = {service: [self.system._daemon(self.use[service], {}) for _ in range(replicas)] for service in SERVICES}
            self.migrate(self.use)
            for daemon in self.all():
                daemon.launch()
            for daemon in self.all():
                harness.eventually(daemon.is_ready, what=f"readiness of {daemon.program}")
            self.balancer = Balancer(self.system.folder, self.daemons)
            stack.callback(self.balancer.stop)
            self.balancer.start()
            self.stack = stack.pop_all()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return self.stack.__exit__(*error)

    def all(self):
        return [daemon for service in SERVICES for daemon in self.daemons[service]]

    def migrate(self, use):
        """Applies the migrations of these programs."""
        for service in SERVICES:
            daemon = self.daemons[service][0]
            before, daemon.program = daemon.program, use[service]
            done = daemon.command("--migrate")
            daemon.program = before
            assert done.returncode == 0, done.stderr

    def load(self, **options):
        token = self.system.mint("shop", "order:create order:read delivery:read", secret=SECRET)
        return Load({service: self.balancer.ports[service] for service in SERVICES}, token, **options)

    # What is done to replicas

    def restart(self, daemon, program=None, kill=False):
        """Stops it, starts it, and waits until it gets requests again."""
        if kill:
            daemon.kill()
        else:
            daemon.terminate()
            daemon.finish()
        daemon.program = program or daemon.program
        daemon.start()
        harness.eventually(lambda: self.balancer.is_up(daemon), what=f"requests for {daemon.program}")

    def roll(self, services=SERVICES, use=None, kill=False):
        """Restarts all replicas of these services, one after the other."""
        for service in services:
            for daemon in self.daemons[service]:
                self.restart(daemon, use and use[service], kill)
