"""More requests than can be served: the excess is answered 503 at once, what is answered 201 is stored, memory has a bound,
and all is as before when the rush is over."""

import contextlib
import json
import re
import select
import socket
import time
from concurrent.futures import ThreadPoolExecutor

from harness import System, assert_problem, basket, eventually

RUSH = 200  # requests
LANE = 20  # of them may wait
WORKERS = 2
# However long requests wait here, it is not for time that they are refused.
PATIENT = {"HTTP_QUEUE_TIMEOUT": "5m", "DB_LOCK_TIMEOUT": "4m", "DB_STATEMENT_TIMEOUT": "4m"}


@contextlib.contextmanager
def stuck_database(system):
    """While it lasts no order can be stored."""
    with system.parts.connect(system.name) as connection, connection.transaction():
        connection.execute("LOCK TABLE orders IN EXCLUSIVE MODE")
        yield


def stored(system):
    return {str(row[0]) for row in system.query("SELECT id FROM orders")}


def memory(daemon, what):
    """KiB as /proc says: VmRSS, or VmHWM, the most there ever was."""
    with open(f"/proc/{daemon.process.pid}/status") as status:
        return int(re.search(rf"{what}:\s*(\d+) kB", status.read())[1])


def test_excess_is_refused_and_what_is_accepted_is_stored(parts):
    with System(parts, HTTP_QUEUE_LIMIT=str(LANE), DB_POOL_SIZE=str(WORKERS), BATCH_SIZE="1", **PATIENT) as system:
        daemon, api = system.order_svc().start(), system.client()
        for _ in range(3):  # a rush leaves nothing behind for the next
            before = stored(system)
            with ThreadPoolExecutor(RUSH) as clients:
                with stuck_database(system):
                    rush = [clients.submit(api.create) for _ in range(RUSH)]
                    eventually(lambda: sum(one.done() for one in rush) >= RUSH - LANE - WORKERS)
                    assert daemon.is_live()
                answers = [one.result() for one in rush]
            accepted = [answer.json()["order_id"] for answer in answers if answer.status_code == 201]
            assert LANE <= len(accepted) <= LANE + WORKERS
            for answer in answers:
                if answer.status_code != 201:
                    assert_problem(answer, 503, "OVERLOADED")
                    assert int(answer.headers["Retry-After"]) >= 1
            assert stored(system) - before == set(accepted)
            assert api.create().status_code == 201


def test_what_waited_too_long_is_refused_undone(parts):
    with System(parts, **PATIENT | {"HTTP_QUEUE_TIMEOUT": "2s", "DB_POOL_SIZE": "1", "BATCH_SIZE": "1"}) as system:
        system.order_svc().start()
        api = system.client()
        with ThreadPoolExecutor(5) as clients:
            with stuck_database(system):
                rush = [clients.submit(api.create) for _ in range(5)]
                time.sleep(4)
            answers = [one.result() for one in rush]
        refused = [answer for answer in answers if answer.status_code != 201]
        assert len(refused) == 4 and len(stored(system)) == 1
        assert "The request waited too long" in {assert_problem(one, 503, "OVERLOADED")["detail"] for one in refused}


def large_order():
    """As large as one may be, and most of it is kept until it is answered."""
    items = [{"product_id": f"{i:03}" + "x" * 252, "quantity": 1, "unit_price": 0.01} for i in range(100)]
    return json.dumps(basket(items=items)).ljust(65536).encode()


def answer(client):
    """The status of an answer after which the connection is closed."""
    received = b""
    while more := client.recv(65536):
        received += more
    return int(received.split()[1])


def test_memory_stays_under_its_bound(parts):
    connections, lane, batches = 600, 300, 2 * 32
    settings = {"HTTP_MAX_CONNECTIONS": str(connections), "HTTP_QUEUE_LIMIT": str(lane), "DB_POOL_SIZE": "2",
                "BATCH_SIZE": "32", "HTTP_MEMORY": "256", **PATIENT}
    with System(parts, **settings) as system:
        daemon = system.order_svc()
        daemon.environment["ASAN_OPTIONS"] = "quarantine_size_mb=1"  # what is freed is to be free
        daemon.start()
        head = (f"POST /orders HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {system.mint()}\r\n"
                "Content-Type: application/json\r\nContent-Length: 65536\r\nConnection: close\r\n\r\n").encode()
        for _ in range(2):
            before = stored(system)
            with contextlib.ExitStack() as rush:
                with stuck_database(system):
                    clients = [rush.enter_context(socket.create_connection(("127.0.0.1", daemon.port), timeout=60))
                               for _ in range(connections)]
                    for client in clients:
                        client.sendall(head + large_order())
                    eventually(lambda: len(select.select(clients, [], [], 0)[0]) >= connections - lane - batches)
                statuses = [answer(client) for client in clients]
            assert set(statuses) == {201, 503}
            assert lane <= statuses.count(201) == len(stored(system) - before)
            assert memory(daemon, "VmHWM") <= 65536 + 256 * connections
        assert system.client().create().status_code == 201
