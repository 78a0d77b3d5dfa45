"""The queue client's requests are signed as AWS wants it: checked by computing the signatures anew."""

import os
import pathlib
import subprocess

import pytest
from harness import ROOT
from sigv4_check import SignedSqs, signature

PROGRAMS = pathlib.Path(os.environ.get("TEST_PROGRAMS", "build/asan/tests/integration"))
KEY, SECRET, REGION, TOKEN = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "eu-central-1", "FwoGZXIv//YXdzE+J4="
ALL_CALLS = {"GetQueueUrl", "CreateQueue", "GetQueueAttributes", "SendMessageBatch", "ReceiveMessage",
             "ChangeMessageVisibilityBatch", "DeleteMessageBatch"}


def run_client(endpoint, **settings):
    """One message's way through every call of the client."""
    inherited = {name: value for name, value in os.environ.items() if name == "PATH" or name.endswith("SAN_OPTIONS")}
    right = {"SQS_ENDPOINT": endpoint, "AWS_REGION": REGION, "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}
    return subprocess.run([PROGRAMS / "test_queue_live", "signing"], env=inherited | right | settings,
                          capture_output=True, text=True, timeout=60)


def test_the_checker_knows_the_published_vector():
    headers = {"host": "example.amazonaws.com", "x-amz-date": "20150830T123600Z"}
    assert (signature(SECRET, "us-east-1", "service", "GET", "/", headers, b"")
            == "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31")


@pytest.mark.parametrize("token", ["", TOKEN])
def test_every_call_is_signed(token):
    with SignedSqs(KEY, SECRET, REGION, token) as server:
        result = run_client(server.endpoint, AWS_SESSION_TOKEN=token)
    assert result.returncode == 0, result.stdout + result.stderr
    assert set(server.sqs.actions) == ALL_CALLS


@pytest.mark.parametrize("token", ["", TOKEN])
@pytest.mark.parametrize("ahead_s, fault", [(3600, "RequestExpired"), (-3600, "RequestInTheFuture"), (3 * 86400, "RequestExpired")])
def test_a_clock_that_is_wrong_is_corrected(ahead_s, fault, token):
    """One call is refused. From then on all are dated by the clock of the server."""
    with SignedSqs(KEY, SECRET, REGION, token, ahead_s=ahead_s) as server:
        result = run_client(server.endpoint, AWS_SESSION_TOKEN=token)
    assert result.returncode == 0, result.stdout + result.stderr
    assert server.faults == [fault]
    assert set(server.sqs.actions) == ALL_CALLS
    words = "behind" if ahead_s > 0 else "ahead of"
    assert (result.stdout + result.stderr).count(f" s {words} that of AWS: requests are dated by the latter") == 1


def test_a_clock_that_is_nearly_right_is_left_alone():
    with SignedSqs(KEY, SECRET, REGION, ahead_s=120) as server:
        result = run_client(server.endpoint)
    assert (result.returncode, server.faults) == (0, []), result.stdout + result.stderr


@pytest.mark.parametrize("wrong, fault", [
    ({"AWS_SECRET_ACCESS_KEY": SECRET[:-1] + "y"}, "SignatureDoesNotMatch"),
    ({"AWS_REGION": "us-east-1"}, "InvalidClientTokenId"),
    ({"AWS_ACCESS_KEY_ID": "AKIDOTHER"}, "InvalidClientTokenId"),
    ({"AWS_SESSION_TOKEN": ""}, "IncompleteSignature"),
    ({"AWS_SESSION_TOKEN": "other"}, "InvalidClientTokenId"),
    ({"AWS_ACCESS_KEY_ID": ""}, "MissingAuthenticationToken"),
])
def test_a_wrong_credential_is_refused(wrong, fault):
    with SignedSqs(KEY, SECRET, REGION, TOKEN) as server:
        result = run_client(server.endpoint, **{"AWS_SESSION_TOKEN": TOKEN, **wrong})
    assert result.returncode != 0
    assert fault in result.stderr, result.stderr
    assert not server.sqs.actions


@pytest.mark.parametrize("secret, code", [(SECRET, 0), (SECRET[:-1] + "y", 1)])
def test_calls_of_the_script_for_dead_letters_are_signed(secret, code):
    with SignedSqs(KEY, SECRET, REGION, TOKEN) as server:
        server.sqs.queues["orders-dlq.fifo"] = []
        settings = {"SQS_ENDPOINT": server.endpoint, "AWS_REGION": REGION, "AWS_ACCESS_KEY_ID": KEY,
                    "AWS_SECRET_ACCESS_KEY": secret, "AWS_SESSION_TOKEN": TOKEN, "ORDERS_DLQ": "orders-dlq.fifo"}
        result = subprocess.run([ROOT / "scripts/dlq.sh", "show", "orders"], env=os.environ | settings,
                                capture_output=True, text=True, timeout=60)
    assert (result.returncode, set(server.sqs.actions)) == (code, set() if code else {"GetQueueUrl", "ReceiveMessage"})
    assert secret == SECRET or "SignatureDoesNotMatch" in result.stdout + result.stderr
