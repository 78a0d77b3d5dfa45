"""Wall clocks that are days off: no order is made twice, and a revoked token does not come back."""

import os
import pathlib
import shutil

import pytest
from harness import ROOT, PrivateParts, System, basket, eventually
from test_revocation import revoke, status, token_of

OTHER_CLOCK = os.environ.get("OTHER_CLOCK_LIBRARY", str(ROOT / "build/asan/tests/integration/libother_clock.so"))
DAY = 86400


def with_clock(environment, folder):
    """What runs in the environment has a clock of its own. Returns the file that says by how many seconds it is ahead."""
    library, file = folder / "other_clock.so", folder / "clock"
    shutil.copy(OTHER_CLOCK, library)
    file.write_text("0")
    environment |= {"LD_PRELOAD": str(library), "OTHER_CLOCK": str(file)}
    return file


@pytest.fixture(scope="module")
def parts():
    private = PrivateParts()
    private.stop("postgres")
    private.clock = with_clock(private.environment, pathlib.Path(private.folder, "postgres").resolve())
    private.start("postgres")
    yield private
    private.close()


def test_key_holds_when_the_clock_of_the_daemon_is_behind_that_of_the_database(parts):
    parts.clock.write_text(str(2 * DAY))
    with System(parts, CARRIER_SIMULATION="false") as system:
        replicas = [system.order_svc().start() for _ in range(2)]
        assert system.query("SELECT now() > to_timestamp(%s) + interval '47 hours'", parts.clock.stat().st_mtime) == [(True,)]
        body, key = basket(), {"Idempotency-Key": "k"}
        first = system.client(daemon=replicas[0]).post("/orders", body, headers=key)
        system.redis.flushdb()  # else the answer is there
        again = system.client(daemon=replicas[1]).post("/orders", body, headers=key)
        assert (first.status_code, again.status_code) == (201, 201)
        assert again.json()["order_id"] == first.json()["order_id"]
        assert again.headers["Idempotent-Replayed"] == "true"
        assert system.query("SELECT count(*) FROM orders") == [(1,)]
    parts.clock.write_text("0")


def test_clock_that_was_ahead_lets_no_revoked_token_in(parts, tmp_path):
    with System(parts) as system:
        system.order_svc().start()
        token = token_of(system)
        assert revoke(system, token).status_code == 200
        second = system.order_svc()
        clock = with_clock(second.environment, tmp_path)
        second.environment["ASAN_OPTIONS"] = second.environment.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"
        clock.write_text(str(40 * DAY))
        second.start()
        clock.write_text("0")
        fresh = token_of(system)
        assert status(second, fresh) == 200
        eventually(lambda: status(second, token) == 401)
