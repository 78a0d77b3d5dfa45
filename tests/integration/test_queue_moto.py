"""The queue client's live tests, unchanged, on another implementation of SQS: moto's server."""

import os
import pathlib
import subprocess
import sys
import urllib.request

from harness import eventually, free_port

PROGRAMS = pathlib.Path(os.environ.get("TEST_PROGRAMS", "build/asan/tests/integration"))


def answers(url):
    try:
        return urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=5).status == 200
    except OSError:
        return False


def test_the_queue_client_works_with_moto():
    endpoint = f"http://127.0.0.1:{free_port()}"
    settings = {"SQS_ENDPOINT": endpoint, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    port = endpoint.rsplit(":", 1)[1]
    with subprocess.Popen([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", port],
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            eventually(lambda: answers(f"{endpoint}/moto-api/data.json"), what="moto's server")
            result = subprocess.run([PROGRAMS / "test_queue_live"], env=os.environ | settings,
                                    capture_output=True, text=True, timeout=120)
        finally:
            server.terminate()
    assert result.returncode == 0, result.stdout + result.stderr
