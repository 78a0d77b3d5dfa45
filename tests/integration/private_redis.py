"""A Redis of a test's own, which it may configure as it likes."""

import contextlib
import subprocess

import redis
from harness import eventually, free_port


def answers(client):
    try:
        return client.ping()
    except redis.ConnectionError:
        return False


@contextlib.contextmanager
def private_redis(folder, *options):
    """A client of it; the settings of a daemon that uses it are settings_of(client)."""
    port = free_port()
    command = ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--save", "", *options]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=folder) as server:
        try:
            client = redis.Redis("127.0.0.1", port)
            eventually(lambda: answers(client), what="the private Redis")
            yield client
        finally:
            server.terminate()


def settings_of(client):
    return {"REDIS_HOST": "127.0.0.1", "REDIS_PORT": str(client.connection_pool.connection_kwargs["port"]),
            "REDIS_DB": "0"}
