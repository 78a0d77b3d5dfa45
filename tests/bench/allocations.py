"""How often order-svc asks for memory, and which of its libraries do."""

import collections
import struct

import lab as tools
from table import Row

ORDERS = 10_000
LIBRARY = struct.Struct("56sQ")  # of count_allocations.c


def counted(path):
    return collections.Counter({name.rstrip(b"\0").decode() or "order-svc": number for name, number in LIBRARY.iter_unpack(path.read_bytes())})


def each(lab, path, load):
    """Allocations for each request of the load, by library."""
    before = counted(path)
    requests = load().requests
    return {name: number / requests for name, number in (counted(path) - before).most_common()}


def allocations(lab):
    """With the metrics on and without traces, as in the other measurements."""
    path = lab.folder / "allocations"
    preloaded = {"LD_PRELOAD": str(tools.BUILD / "tests/bench/libcount_allocations.so"), "COUNT_ALLOCATIONS": str(path)}
    rows = []
    with lab.orders(**tools.AWAY, **preloaded) as system:
        lab.post(system, 64, 2)
        ids = [str(row[0]) for row in system.query("SELECT id FROM orders LIMIT %s", ORDERS)]
        read = tools.get_request(system)
        loads = {"POST /orders, 256 connections": lambda: lab.post(system, 256),
                 "GET /orders/:id, on its way": lambda: lab.wrk(system.order.url, read, values=ids)}
        found = {name: each(lab, path, load) for name, load in loads.items()}
        system.query("UPDATE orders SET status = 'DELIVERED'")
        lab.wrk(system.order.url, read, seconds=2, values=ids)
        found["GET /orders/:id, delivered"] = each(lab, path, lambda: lab.wrk(system.order.url, read, values=ids))
    for name, numbers in found.items():
        print(f"    {name}: " + ", ".join(f"{library} {number:.1f}" for library, number in numbers.items() if number >= 0.05))
        rows.append(Row(f"allocations of order-svc, {name}", "", "a request", [sum(numbers.values())], None, None, 15, less=True))
    return rows
