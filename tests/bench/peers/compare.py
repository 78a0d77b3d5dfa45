"""Measures order-svc against the same order path in Go and Rust. In each round all of them take turns, so that other work on the
machine affects all."""

import collections
import contextlib
import dataclasses
import re
import statistics
import sys
import traceback

import lab as tools
from peers import contenders, picture, suite, toolchains
from table import short

ORDERS = 10_000  # to read
POOLS = (4, 8, 16, 32)  # connections to PostgreSQL that are tried for a peer
HEAD = ["load", "", "rate", "order-svc has", "p50", "p99", "CPU of server", "of PostgreSQL", "of Redis", "memory", "pool"]

Figures = collections.namedtuple("Figures", "rate median_ms p99_ms server postgres redis")


@dataclasses.dataclass
class Load:
    """What is sent, on how many connections. Orders of this status are read; None: orders are posted."""

    title: str
    connections: int
    status: str = None

    @property
    def unit(self):
        return "reads/s" if self.status else "orders/s"


LOADS = {
    "post-1": Load("POST /orders, 1 connection", 1),
    "post-64": Load("POST /orders, 64 connections", 64),
    "post-256": Load("POST /orders, 256 connections", 256),
    "get-pending": Load("GET /orders/:id, on its way", 64, "PENDING_SHIPMENT"),
    "get-delivered": Load("GET /orders/:id, delivered", 64, "DELIVERED"),
}


@dataclasses.dataclass
class Result:
    """What one contender did in all rounds of a load."""

    contender: str
    pool: int
    rounds: list
    memory_mb: float

    def median(self, figure):
        return statistics.median(getattr(each, figure) for each in self.rounds)

    def factors(self, ours):
        """How many times our rate is this one, round by round."""
        return [a.rate / b.rate for a, b in zip(ours.rounds, self.rounds, strict=True)]


def prepare(lab, contender, load):
    """Empties the tables. Stores the orders that are to be read."""
    lab.clear(contender.name)
    contender.redis.flushdb()
    if load.status:
        lab.fill(contender.name, ORDERS)
        contender.query("UPDATE orders SET status = %s", load.status)
        contender.query("VACUUM ANALYZE orders")
        lab.execute(contender.name, "CHECKPOINT")


def send(lab, contender, load, seconds):
    """Sends the load once. All answers must be good, and each answered order must have its rows."""
    if load.status:
        request = tools.get_request(contender)
        values = [str(row[0]) for row in contender.query("SELECT id FROM orders ORDER BY random()")]
    else:
        lab.clear(contender.name)
        request, values = tools.order_request(contender), None
    rows, before = contender.counts(), contenders.Usage.now(contender)
    done = lab.wrk(contender.order.url, request, load.connections, seconds, values)
    spent = contenders.Usage.now(contender).since(before, done.requests)
    orders, items, keys, outbox, events = (after - start for after, start in zip(contender.counts(), rows, strict=True))
    least, most = (0, 0) if load.status else (done.requests, done.requests + load.connections)
    tools.check(least <= orders <= most, f"{contender.title}: {done.requests} answers, {orders} orders")
    tools.check((items, keys, outbox, events) == (2 * orders, orders, orders, orders),
                f"{contender.title}: {orders} orders, {items} items, {keys} keys, {outbox} in the outbox, {events} events")
    return Figures(done.rate, done.median_us / 1000, done.p99_us / 1000, *spent)


def best_pool(lab, contender, load):
    """The number of connections with which a peer does this load fastest, in the better of two tries of each. order-svc runs with
    its default."""
    if not contender.program:
        return None
    rates = dict.fromkeys(POOLS, 0)
    for pool in [*POOLS, *POOLS]:
        with contender.running(pool):
            send(lab, contender, load, 1)
            rates[pool] = max(rates[pool], send(lab, contender, load, max(1, lab.seconds - 1)).rate)
    print(f"{load.title}: {contender.title} with pools of " + ", ".join(f"{pool}: {short(rate)}" for pool, rate in rates.items()),
          file=sys.stderr, flush=True)
    return max(rates, key=rates.get)


def measure(lab, everybody, load):
    """All rounds of a load. All contenders run, and take turns."""
    for contender in everybody:
        prepare(lab, contender, load)
        contender.pool = best_pool(lab, contender, load)
    rounds = {contender.title: [] for contender in everybody}
    with contextlib.ExitStack() as stack:
        for contender in everybody:
            stack.enter_context(contender.running())
            send(lab, contender, load, 2)
        for i in range(lab.rounds):
            for contender in everybody[i % len(everybody):] + everybody[:i % len(everybody)]:
                rounds[contender.title].append(send(lab, contender, load, lab.seconds))
        memory = {contender.title: tools.memory_mb(contender.order.process) for contender in everybody}
    return [Result(contender.title, contender.pool, rounds[contender.title], memory[contender.title]) for contender in everybody]


def cells(load, results):
    """The lines of a load."""
    for result in results:
        factors = result.factors(results[0])
        times = "-" if result is results[0] else f"{short(statistics.median(factors))} x ({short(min(factors))} .. {short(max(factors))})"
        yield [load.title if result is results[0] else "", result.contender, f"{short(result.median('rate'))} {load.unit}", times,
               f"{short(result.median('median_ms'))} ms", f"{short(result.median('p99_ms'))} ms",
               *(f"{short(result.median(part))} us" for part in ("server", "postgres", "redis")), f"{short(result.memory_mb)} MB",
               str(result.pool or "default")]


def render(measured):
    lines = [HEAD, *(line for load, results in measured for line in cells(load, results))]
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEAD))]
    text = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines]
    text.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(text)


def passes(contender):
    """Whether a contender passes the suite. Says what it does not pass."""
    faults = suite.run(contender)
    print(f"{contender.title}: {len(suite.TESTS) - len(faults)} of {len(suite.TESTS)} tests of the suite passed", file=sys.stderr, flush=True)
    for name, fault in faults.items():
        print(f"  {name}: {fault}", file=sys.stderr, flush=True)
    return not faults


def run(lab, only):
    """Returns lines that tell the versions, the table, the texts of files, and whether all was good. Who fails the suite is left out."""
    programs, lines, measured = {contenders.OURS: None}, [], []
    for name in toolchains.TOOLCHAINS:
        program, line = toolchains.build(name)
        lines.append(line)
        print(line, flush=True)
        if program:
            programs[name] = program
    with contextlib.ExitStack() as stack:
        everybody = [stack.enter_context(contenders.Contender(lab, name, program)) for name, program in programs.items()]
        good = {contender.title: passes(contender) for contender in everybody}
        sound = all(good.values())
        everybody = [contender for contender in everybody if good[contender.title]]
        tools.check(good[contenders.OURS], "order-svc does not pass the suite")
        for name, load in LOADS.items():
            if not re.search(only, name):
                continue
            print(f"measuring: {name}", file=sys.stderr, flush=True)
            try:
                measured.append((load, measure(lab, everybody, load)))
            except Exception:  # a failed measurement does not spoil the others
                traceback.print_exc()
                sound = False
                continue
            print(render(measured[-1:]), file=sys.stderr, flush=True)
    texts = {"docs/pictures/peers.svg": picture.draw(measured)} if measured else {}
    return lines, render(measured) if measured else "", texts, sound
