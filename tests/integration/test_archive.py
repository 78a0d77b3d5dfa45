"""archive and ORDERS_RETENTION: what ended long ago is written to a file, and only then leaves the database."""

import fcntl
import json
import re
import signal
import subprocess

import pytest
from harness import System, eventually

BATCH = 200
# Everything has happened in the second in which the order was made, days ago.
OLD = """
    WITH made AS (
        SELECT n, now() - make_interval(days => %(days)s) + n * interval '1 ms' AS at FROM generate_series(1, %(count)s) n
    ), old AS (
        SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '-7' || substr(gen_random_uuid()::text, 16))::uuid
               AS id, n, at FROM made
    ), orders AS (
        INSERT INTO orders (id, client_id, customer_id, status, total_amount, currency, metadata, tracking_number, carrier, version,
                            created_at, updated_at, quiet_since)
        SELECT id, 'shop', %(customer)s, %(status)s, 30, 'EUR', '{"k":"v"}', 'TRK' || n, 'Carrier', 3, at, at,
               CASE %(status)s WHEN 'CANCELLED' THEN 'infinity' ELSE at END FROM old -- it was published again long ago
    ), items AS (
        INSERT INTO order_items SELECT id, position, 'p\u00e4ck "' || position, 1, 10 * position FROM old, (VALUES (1), (2)) p(position)
    ), shipments AS (
        INSERT INTO shipments (id, order_id, client_id, customer_id, status, tracking_number, carrier, correlation_id, traceparent,
                               created_at, updated_at, delivered_at)
        SELECT id, id, 'shop', %(customer)s, %(shipment)s, 'TRK' || n, 'Carrier', '', '', at, at,
               CASE WHEN %(shipment)s = 'DELIVERED' THEN at END FROM old
    ), trail AS (
        INSERT INTO delivery_events (shipment_id, order_id, status, description, actor, request_id, occurred_at)
        SELECT id, id, 'PROCESSING', 'Shipment created', 'order-events', '', at FROM old
    )
    SELECT id::text FROM old ORDER BY id"""


def old_orders(system, count, status="DELIVERED", days=401, customer="somebody"):
    shipment = "PROCESSING" if status == "PENDING_SHIPMENT" else status
    values = {"count": count, "status": status, "shipment": shipment, "days": days, "customer": customer}
    with system.parts.connect(system.name) as connection:
        return [row[0] for row in connection.execute(OLD, values)]


def archived(daemon, path, age="9600h"):
    done = daemon.command("archive", "--older-than", age, str(path))
    assert done.returncode == 0, done.stderr
    return int(re.search(r"^(\d+) (order|shipment)\(s\) archived", done.stderr, re.MULTILINE)[1])


def lines_of(path):
    text = path.read_text()
    assert not text or text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def stored(system, table, column="id"):
    return {str(row[0]) for row in system.query(f"SELECT DISTINCT {column} FROM {table}")}


@pytest.fixture
def idle(parts):
    """A database of its own. Nobody works on it."""
    with System(parts, CARRIER_SIMULATION="false", ORDERS_RETENTION="9600h") as system:
        for daemon in (system.order_svc(), system.delivery_svc()):
            assert daemon.command("--migrate").returncode == 0
        yield system


def started(system):
    for daemon in system.daemons:
        daemon.start()
    return system


def test_what_ended_long_ago_is_written_and_then_gone(idle, tmp_path):
    gone = old_orders(idle, 2 * BATCH + 50) + old_orders(idle, 3, "CANCELLED")
    kept = old_orders(idle, 3, "PENDING_SHIPMENT") + old_orders(idle, 3, "SHIPPED") + old_orders(idle, 2, days=399)
    told = old_orders(idle, 1, customer="erased-00000000000000000000000000000000")
    idle.query("INSERT INTO erasures (replacement, client_id, actor, orders) VALUES ('erased-00000000000000000000000000000000', 'shop', 'a', 1)")
    changed = old_orders(idle, 2)
    idle.query("UPDATE orders SET updated_at = now() WHERE id = ANY (%s::uuid[])", changed)
    idle.query("UPDATE shipments SET updated_at = now() WHERE order_id = ANY (%s::uuid[])", changed)
    idle.query("UPDATE shipments SET client_id = NULL WHERE order_id = %s::uuid", gone[1])
    for daemon in idle.daemons:
        daemon.environment["ORDERS_RETENTION"] = "0"
    shop = started(idle).client("shop")
    order = shop.get(f"/orders/{gone[0]}").json()
    shipment = idle.deliveries().get(f"/delivery/shipment/{gone[0]}").json()
    trail = idle.deliveries().get(f"/delivery/shipment/{gone[0]}/events").json()
    orders, shipments = tmp_path / "orders.jsonl", tmp_path / "shipments.jsonl"

    assert archived(idle.order, orders) == len(gone)
    lines = lines_of(orders)
    assert [line["order"]["id"] for line in lines] == sorted(gone)
    assert lines[0] == {"client_id": "shop", "order": order}
    assert stored(idle, "orders") == stored(idle, "order_items", "order_id") == {*kept, *told, *changed}

    assert archived(idle.delivery, shipments) == len(gone) + len(told)
    lines = lines_of(shipments)
    assert [line["shipment"]["order_id"] for line in lines] == sorted(gone + told)
    assert lines[0] == {"client_id": "shop", "shipment": shipment, "events": trail}
    assert lines[1]["client_id"] is None
    assert stored(idle, "shipments", "order_id") == stored(idle, "delivery_events", "order_id") == {*kept, *changed}

    assert archived(idle.order, orders) == archived(idle.delivery, shipments) == 0
    assert len(lines_of(orders)) == len(gone)
    assert orders.stat().st_mode & 0o777 == 0o600
    assert shop.get(f"/orders/{gone[5]}").status_code == 404


def test_a_run_that_is_killed_loses_nothing(idle, tmp_path):
    gone, path = old_orders(idle, 40 * BATCH), tmp_path / "orders.jsonl"
    with idle.parts.connect(idle.name) as holder, holder.transaction():
        holder.execute("SELECT FROM orders WHERE id = %s FOR UPDATE", [max(gone)])  # so it cannot end before it is killed
        run = subprocess.Popen([idle.order.program, "archive", "--older-than", "9600h", str(path)], env=idle.order.environment,
                               stderr=subprocess.DEVNULL)
        eventually(lambda: path.exists() and path.read_bytes().count(b"\n") >= 2 * BATCH)
        run.send_signal(signal.SIGKILL)
        run.wait()
    at_work = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'order-svc archive' AND state <> 'idle'"  # a pooler keeps its session
    eventually(lambda: not idle.query(at_work))
    left = stored(idle, "orders")
    written = {line["order"]["id"] for line in map(json.loads, path.read_text().rpartition("\n")[0].splitlines())}
    assert left and written | left == set(gone)
    with path.open("a") as file:
        file.write('{"client_id":"shop","or')  # as a crash leaves it

    assert archived(idle.order, path) == len(left)
    seen = {}
    for line in lines_of(path):
        assert seen.setdefault(line["order"]["id"], line) == line
    assert set(seen) == set(gone) and not stored(idle, "orders")


def test_what_cannot_be_written_stays(idle, tmp_path):
    old_orders(idle, 3)
    for daemon, table in ((idle.order, "orders"), (idle.delivery, "shipments")):
        for path, fault in (("/dev/full", "No space left"), (tmp_path, "Is a directory"), (tmp_path / "a/b", "No such file")):
            done = daemon.command("archive", "--older-than", "9600h", str(path))
            assert done.returncode == 1 and fault in done.stderr
        assert len(stored(idle, table)) == 3


def test_two_at_once_share_the_work(idle, tmp_path):
    gone = old_orders(idle, 5 * BATCH)
    paths = [tmp_path / "a", tmp_path / "b"]
    runs = [subprocess.Popen([idle.order.program, "archive", "--older-than", "9600h", str(path)], env=idle.order.environment,
                             stderr=subprocess.DEVNULL) for path in paths]
    assert [run.wait() for run in runs] == [0, 0]
    assert sorted(line["order"]["id"] for path in paths for line in lines_of(path)) == sorted(gone)


def test_two_at_once_do_not_write_to_one_file(idle, tmp_path):
    old_orders(idle, 3)
    path = tmp_path / "archive.jsonl"
    with path.open("a") as other:  # as a run does that is about to write the rest of a line
        fcntl.flock(other, fcntl.LOCK_EX)
        other.write('{"half')
        other.flush()
        for daemon, table in ((idle.order, "orders"), (idle.delivery, "shipments")):
            done = daemon.command("archive", "--older-than", "9600h", str(path))
            assert (done.returncode, done.stderr) == (1, f"Another run writes to {path}\n")
            assert path.read_text() == '{"half' and len(stored(idle, table)) == 3
    assert archived(idle.order, path) == 3 and len(lines_of(path)) == 3


def test_an_order_that_is_held_is_waited_for(idle, tmp_path):
    gone, path = old_orders(idle, 3), tmp_path / "orders.jsonl"
    with idle.parts.connect(idle.name) as other, other.transaction():
        other.execute("SELECT FROM orders WHERE id = %s::uuid FOR UPDATE", [gone[1]])
        run = subprocess.Popen([idle.order.program, "archive", "--older-than", "9600h", str(path)], env=idle.order.environment,
                               stderr=subprocess.DEVNULL)
        eventually(lambda: idle.query("SELECT 1 FROM pg_stat_activity WHERE application_name = 'order-svc archive' AND wait_event_type = 'Lock'"))
        other.execute("UPDATE orders SET updated_at = now() WHERE id = %s::uuid", [gone[1]])
    assert run.wait() == 0
    assert [line["order"]["id"] for line in lines_of(path)] == [gone[0], gone[2]]
    assert stored(idle, "orders") == {gone[1]}


def test_standard_output_is_a_file_too(idle):
    gone = old_orders(idle, 3)
    done = idle.order.command("archive", "--older-than", "9600h", "-")
    assert [json.loads(line)["order"]["id"] for line in done.stdout.splitlines()] == gone


def test_retention_does_it_alone(idle):
    gone, kept = old_orders(idle, 3 * BATCH), old_orders(idle, 3, days=399)
    unfinished = old_orders(idle, 3, "SHIPPED")
    started(idle)
    eventually(lambda: stored(idle, "orders") == stored(idle, "shipments", "order_id") == {*kept, *unfinished})
    eventually(lambda: f"{len(gone)} order(s) older than ORDERS_RETENTION removed" in idle.order.log_text())
    eventually(lambda: f"{len(gone)} shipment(s) older than ORDERS_RETENTION removed" in idle.delivery.log_text())


def test_wrong_words(idle):
    old_orders(idle, 1)
    for words in ([], ["--older-than"], ["--older-than", "9600h"], ["file", "--older-than", "9600h"],
                  ["--older-than", "719h", "file"], ["--older-than", "soon", "file"], ["--older-than", "-9600h", "file"],
                  ["--older-than", "9600h", "file", "more"], ["--newer-than", "9600h", "file"],
                  ["--older-than", "99999999h", "file"]):
        for daemon in idle.daemons:
            done = daemon.command("archive", *words)
            assert done.returncode == 2 and f"usage: {daemon.program.rsplit('/', 1)[-1]} archive" in done.stderr
    assert stored(idle, "orders") and stored(idle, "shipments")
