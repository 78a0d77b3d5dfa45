"""A disk under PostgreSQL that is full, and later has room again: what cannot be stored is answered 503, nothing that was
answered 201 is lost, no good message becomes a dead letter, and all goes on by itself."""

import contextlib
import os
import pathlib
import shutil
import time
import uuid

import pytest
from harness import ROOT, Load, PrivateParts, System, assert_problem, eventually, order_created

FULL_DISK = os.environ.get("FULL_DISK", str(ROOT / "build/asan/tests/integration/libfull_disk.so"))


@pytest.fixture(scope="module")
def parts():
    """Their PostgreSQL is on a disk that fills up at will; see full_disk.c."""
    private = PrivateParts()
    private.stop("postgres")
    data = pathlib.Path(private.folder, "postgres").resolve()  # its user may not reach any other folder of ours
    shutil.copy(FULL_DISK, data / "full_disk.so")
    private.environment |= {"LD_PRELOAD": str(data / "full_disk.so"), "FULL_DISK_FLAG": str(data / "full")}
    private.start("postgres")
    yield private
    private.close()


@contextlib.contextmanager
def full_disk(parts):
    flag = pathlib.Path(parts.environment["FULL_DISK_FLAG"])
    flag.touch()
    try:
        yield
    finally:
        flag.unlink()


def refused(load):
    return [answer for answer in list(load.answers) if answer.status_code == 503]


def assert_all_arrive(system, answered):
    stored = {str(row[0]) for row in system.query("SELECT id FROM orders")}
    assert set(answered) <= stored
    system.all_delivered()
    assert system.query("SELECT count(*), count(DISTINCT order_id) FROM shipments") == [(len(stored),) * 2]
    assert system.messages_in("ORDERS_DLQ") == system.messages_in("DELIVERY_STATUS_DLQ") == 0


def test_full_disk_is_answered_503_and_what_was_answered_201_stays(parts):
    with System(parts) as system:
        system.start()
        load = Load(system)
        load.more(100)
        with full_disk(parts):
            eventually(lambda: len(refused(load)) >= 100)
            for answer in refused(load):
                assert_problem(answer, 503, "UNAVAILABLE")
                assert int(answer.headers["Retry-After"]) >= 1
            assert system.client().order(load.answered()[0])["status"]
            for daemon in system.daemons:
                eventually(lambda d=daemon: d.health() == d.health("/health/ready") == 200)
        load.more(100)
        assert_all_arrive(system, load.end())
        assert "No space left on device" in system.order.log_text()


def test_messages_that_a_full_disk_keeps_waiting_are_no_dead_letters(parts):
    with System(parts, CARRIER_SIMULATION="false", SQS_VISIBILITY_TIMEOUT="10s", SQS_MAX_RECEIVE_COUNT="2") as system:
        system.delivery_svc().start()
        order_ids = {str(uuid.uuid4()) for _ in range(300)}
        with full_disk(parts):
            for order_id in order_ids:
                system.send("ORDERS_QUEUE", order_created(order_id), order_id)
            eventually(lambda: "No space left on device" in system.delivery.log_text())
            time.sleep(12)  # longer than two receives, however they come
            assert system.messages_in("ORDERS_DLQ") == 0
        eventually(lambda: system.query("SELECT count(*) FROM shipments") == [(300,)])
        assert {str(row[0]) for row in system.query("SELECT order_id FROM shipments")} == order_ids
        assert system.messages_in("ORDERS_DLQ") == 0


def test_crash_of_a_database_that_cannot_write_its_log_loses_nothing(parts):
    with System(parts) as system:
        system.start()
        load = Load(system)
        load.more(100)
        with full_disk(parts), contextlib.suppress(Exception):
            for _ in range(10):  # until no segment is left that was made before
                system.query("SELECT pg_logical_emit_message(true, '', 'x'), pg_switch_wal()")
        parts.start("postgres")  # where recovery needed room as well, it has given up
        load.more(100)
        assert_all_arrive(system, load.end())
        crashed = pathlib.Path(parts.folder, "log/postgres.log").read_text()
        assert "PANIC" in crashed and "No space left on device" in crashed
