"""The same daemons on another implementation of SQS, moto's, with signed requests."""

import subprocess
import sys
import urllib.request

import pytest
from harness import System, eventually, free_port


def answers(url):
    try:
        return urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=5).status == 200
    except OSError:
        return False


@pytest.fixture(scope="module")
def moto(parts):
    port = free_port()
    server = subprocess.Popen([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    endpoint = f"http://127.0.0.1:{port}"
    eventually(lambda: answers(f"{endpoint}/moto-api/data.json"), what="moto's server")
    yield parts.with_settings(SQS_ENDPOINT=endpoint)
    server.terminate()
    server.wait(30)


@pytest.fixture(scope="module")
def system(moto):
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    with System(moto, **keys) as both:
        yield both.start()


def test_orders_are_delivered(system):
    order_ids = [system.client().created() for _ in range(25)]
    system.all_delivered()
    assert system.query("SELECT count(*) FROM shipments") == [(25,)]
    assert system.client().order(order_ids[0])["tracking_number"]
    system.drain()


def test_poison_becomes_a_dead_letter(system):
    system.send("ORDERS_QUEUE", "poison")
    assert [message["Body"] for message in system.receive("ORDERS_DLQ", 1)] == ["poison"]


def test_queues_are_made_fifo_with_a_redrive_policy(system):
    for knob, dead_letters in (("ORDERS_QUEUE", "ORDERS_DLQ"), ("DELIVERY_STATUS_QUEUE", "DELIVERY_STATUS_DLQ"),
                               ("REVOCATIONS_QUEUE", "REVOCATIONS_DLQ")):
        attributes = system.sqs.get_queue_attributes(QueueUrl=system.queue_url(knob), AttributeNames=["All"])["Attributes"]
        assert attributes["FifoQueue"] == "true"
        assert system.settings[dead_letters] in attributes["RedrivePolicy"]
