"""Restarts containers of docker-compose behind its HAProxy under load, one after the other, starts more and stops them. Checks
that no client noticed.

Usage: containers.py COMPOSE CONTAINER...     COMPOSE: the words of docker-compose with its files
Where things are is in DB_*, REDIS_*, SQS_ENDPOINT, and in BALANCER_ORDER_PORT, BALANCER_DELIVERY_PORT and BALANCER_WATCH_PORT.
"""

import csv
import io
import os
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))

import harness  # noqa: E402 (finds the next ones through the line above)
import requests  # noqa: E402
import truth  # noqa: E402
from load import Load  # noqa: E402

os.environ["PGCLIENTENCODING"] = "UTF8"  # text is text, also where the image made a database without an encoding
CLIENTS = 8
FEW = 200  # requests before the first restart, and after the last


class Composition(harness.System):
    """What runs already, with the default names. Nothing of it is made or removed here."""

    def __init__(self, parts):  # not that of the parent, which makes a database
        self.parts, self.name, self.sqs = parts, "orderprocessing", parts.sqs
        self.settings = {"ORDERS_QUEUE": "orders-queue.fifo", "DELIVERY_STATUS_QUEUE": "delivery-status-queue.fifo",
                         "ORDERS_DLQ": "orders-dlq.fifo", "DELIVERY_STATUS_DLQ": "delivery-status-dlq.fifo"}


def servers_up():
    """The names of the servers that HAProxy gives requests to."""
    text = requests.get(f"http://127.0.0.1:{os.environ['BALANCER_WATCH_PORT']}/;csv", timeout=5).text
    rows = csv.DictReader(io.StringIO(text.removeprefix("# ")))
    return [row["svname"] for row in rows if row["svname"].startswith(("order-", "delivery-")) and row["status"] == "UP"
            and row["svname"] != row["pxname"]]


def scale(compose, number, others):
    """So many replicas of order-svc. Those that are too many are stopped."""
    began = time.monotonic()
    subprocess.run([*compose, "up", "-d", "--no-recreate", "--scale", f"order-svc={number}", "--scale", f"delivery-svc={others}"],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    harness.eventually(lambda: len(servers_up()) == number + others, what=f"requests for {number} replicas of order-svc")
    print(f"  {number} replicas of order-svc after {time.monotonic() - began:.0f} s", flush=True)


def warm_up(load):
    """Until all goes well for a while: what starts on a busy disk is late at first. Returns how many requests failed before."""
    failed, since = 0, 0

    def warm():
        nonlocal failed, since
        if len(load.journal.failures) > failed:
            failed, since = len(load.journal.failures), load.count()
        return load.count() > since + FEW

    harness.eventually(warm, timeout=300, what="a time without failures")
    return failed


def main(compose, *containers):
    system = Composition(harness.Parts(os.environ))
    token = system.mint("demo-client", "order:create order:read delivery:read")
    harness.eventually(lambda: len(servers_up()) == len(containers), what=f"all of {servers_up()}")
    load = Load({"order-svc": int(os.environ["BALANCER_ORDER_PORT"]), "delivery-svc": int(os.environ["BALANCER_DELIVERY_PORT"])},
                token, clients=CLIENTS)
    try:
        cold = warm_up(load)
        for container in containers:
            began = time.monotonic()
            subprocess.run(["docker", "restart", "-t", "30", container], check=True, stdout=subprocess.DEVNULL)
            harness.eventually(lambda: len(servers_up()) == len(containers), what="requests for the restarted replica")
            print(f"  {container} was away for {time.monotonic() - began:.0f} s", flush=True)
        half = len(containers) // 2
        for number in (half + 2, half):
            scale(compose.split(), number, half)
        goal = load.count() + FEW
        harness.eventually(lambda: load.count() > goal)
    finally:
        journal = load.stop()
    truth.rest(system)
    faults = truth.faults(system, journal)
    failures = journal.failures[cold:]
    for line in (failures + faults)[:20]:
        print(f"  {line}")
    print(f"{len(containers)} restarts, {load.count()} requests, {len(failures)} failed, {cold} before the first restart, "
          f"{len(journal.orders)} orders, {len(faults)} faults in the databases")
    return 1 if failures or faults else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
