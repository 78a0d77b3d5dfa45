"""Redis answers, but takes no writes: orders go on, health says so, and the log does once."""

import time

import pytest
from harness import System, eventually, free_port, http
from private_redis import private_redis, settings_of


@pytest.fixture
def both(parts):
    with System(parts) as one:
        yield one


def memory(redis, full):
    redis.config_set("maxmemory", "1" if full else "0")


def replica(redis, full):
    redis.execute_command("REPLICAOF", *(("127.0.0.1", str(free_port())) if full else ("NO", "ONE")))


def connections(redis):
    return redis.info("stats")["total_connections_received"]


@pytest.mark.parametrize("refuse, word", [(memory, "OOM"), (replica, "READONLY")])
def test_refused_writes(both, tmp_path, refuse, word):
    with private_redis(tmp_path) as redis:
        order = both.order_svc(**settings_of(redis)).start()
        client = both.client(daemon=order)

        def health():
            return http("GET", f"{order.url}/health").json()

        client.created()
        eventually(lambda: redis.keys("order:create:*"), what="an order in Redis")
        eventually(lambda: health()["dependencies"]["redis"])
        refuse(redis, True)
        eventually(lambda: health()["status"] == "degraded", what="a health that tells")
        before, start = connections(redis), time.monotonic()
        for _ in range(60):
            client.created()
        # The health check connects each second, the workers when their breaker lets them. A slow machine has many seconds.
        assert connections(redis) - before < 15 + 2 * (time.monotonic() - start)
        lines = [line["body"] for line in order.log_lines()]
        assert len([line for line in lines if line.startswith("cache in Redis is unavailable: " + word)]) == 1
        assert not [line for line in lines if "cache in Redis is available" in line]
        refuse(redis, False)
        eventually(lambda: health()["dependencies"]["redis"])
        redis.flushdb()

        def is_cached():
            client.created()
            return redis.keys("order:create:*")

        eventually(is_cached, what="an order in Redis again")
        order.stop()
