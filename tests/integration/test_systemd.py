"""What systemd is told: the priority of each line in the journal, and that the daemon is alive; and what its units say."""

import os
import socket
import subprocess

import pytest
from harness import DELIVERY_SVC, ORDER_SVC, PATIENCE, ROOT, System, eventually

UNITS = sorted((ROOT / "deploy/systemd").glob("*@.service"))
MIGRATIONS = sorted((ROOT / "deploy/systemd").glob("*-migrate.service"))


@pytest.mark.parametrize("program", [ORDER_SVC, DELIVERY_SVC])
def test_lines_have_priorities_in_the_journal_only(program, tmp_path):
    log = tmp_path / "log"
    with log.open("wb") as stderr:
        file = os.fstat(stderr.fileno())
        for stream, expected in ((f"{file.st_dev}:{file.st_ino}", b"<4>{"), (f"{file.st_dev}:1", b"{")):
            start = log.stat().st_size
            subprocess.run([program, "--check-config"], check=True, stderr=stderr, timeout=PATIENCE,
                           env={"APP_ENV": "development", "JOURNAL_STREAM": stream, "LOG_FORMAT": "json"})
            lines = log.read_bytes()[start:].splitlines()
            assert lines and all(line.startswith(expected) for line in lines), lines


def test_watchdog_hears_of_a_daemon_that_lives(parts, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager, System(parts) as system:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(PATIENCE)
        daemon = system.order_svc(NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC="400000").start()
        assert manager.recv(100) == b"READY=1"
        for _ in range(3):
            assert manager.recv(100) == b"WATCHDOG=1"
        daemon.process.send_signal(19)  # SIGSTOP: it hangs, and says nothing more
        manager.settimeout(1)
        with pytest.raises(TimeoutError):
            while manager.recv(100):
                pass
        daemon.process.send_signal(18)
        manager.settimeout(PATIENCE)
        daemon.stop()
        eventually(lambda: manager.recv(100) == b"STOPPING=1")


def test_units_are_templates_with_a_watchdog():
    assert [unit.name for unit in UNITS] == ["delivery-svc@.service", "order-svc@.service"]
    for unit in UNITS:
        text = unit.read_text()
        assert "\nWatchdogSec=" in text and "_SERVICE_PORT=%i" in text
        verify(unit, unit.name.replace("@", "@3001"))


def verify(unit, instance):
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", instance], capture_output=True, text=True,
                          env=os.environ | {"SYSTEMD_UNIT_PATH": f"{unit.parent}:"}, check=False)
    name = unit.name.removesuffix(".service").rstrip("@")
    faults = [line for line in done.stderr.splitlines() if name in line and "is not executable" not in line]
    assert not faults, faults


def hardening(unit):
    """What a unit says from its limits on."""
    return [line for line in unit.read_text().partition("\nLimitNOFILE=")[2].splitlines() if "=" in line and "WantedBy" not in line]


def test_migrations_run_once_and_as_hardened_as_the_daemon():
    assert [unit.name for unit in MIGRATIONS] == ["delivery-svc-migrate.service", "order-svc-migrate.service"]
    for unit, daemon in zip(MIGRATIONS, UNITS, strict=True):
        assert "\nType=oneshot\n" in unit.read_text() and "--migrate\n" in unit.read_text()
        assert hardening(unit) == hardening(daemon) != []
        verify(unit, unit.name)
