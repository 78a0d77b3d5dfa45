"""Where the credentials of AWS come from: a web identity, the shared file, a container's endpoint, a machine's metadata."""

import contextlib
import datetime
import json
import re
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from harness import System, eventually, free_port, http

ROLE = "arn:aws:iam::123456789012:role/orders"


class Platform:
    """SQS that takes note of who calls, and the sources of credentials, all on one port."""

    def __init__(self):
        self.calls, self.asked, self.lifetime, self.broken, self.count = [], [], 3600, False, 0
        platform = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                status, text = platform.answer(self.command, self.path, self.headers, body)
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                with contextlib.suppress(BrokenPipeError):  # of a caller that waits no longer
                    self.wfile.write(text.encode())

            do_GET = do_PUT = do_POST = answer

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def fresh(self):
        """New credentials; each has a number."""
        self.count += 1
        expires = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=self.lifetime)
        return f"ASIA{self.count}", f"secret{self.count}", f"token{self.count}", expires.strftime("%Y-%m-%dT%H:%M:%SZ")

    def as_json(self):
        key, secret, token, expires = self.fresh()
        return json.dumps({"Code": "Success", "AccessKeyId": key, "SecretAccessKey": secret, "Token": token,
                           "Expiration": expires})

    def answer(self, method, path, headers, body):
        if "X-Amz-Target" in headers:
            credential = re.search(r"Credential=([^/]*)/", headers.get("Authorization", ""))
            self.calls.append((credential and credential[1], headers.get("X-Amz-Security-Token")))
            return 503, "{}"
        self.asked.append((method, path, dict(headers), body))
        if self.broken:
            return 500, "away"
        if path == "/latest/api/token":
            good = method == "PUT" and headers.get("X-aws-ec2-metadata-token-ttl-seconds")
            return (200, "session") if good else (400, "")
        if path.startswith("/latest/meta-data/iam/security-credentials/"):
            if headers.get("X-aws-ec2-metadata-token") != "session":
                return 401, ""
            return 200, self.as_json() if path.endswith("/the-role") else "the-role"
        if path == "/container":
            return (200, self.as_json()) if headers.get("Authorization") == "the authorization" else (403, "")
        if path == "/" and method == "POST":
            return self.assume_role(dict(urllib.parse.parse_qsl(body)))
        return 404, ""

    def assume_role(self, form):
        if form.get("WebIdentityToken") == "expired":
            return 400, "<ErrorResponse><Error><Code>ExpiredTokenException</Code></Error></ErrorResponse>"
        key, secret, token, expires = self.fresh()
        return 200, (f"<AssumeRoleWithWebIdentityResponse><Credentials><SessionToken>{token}</SessionToken><SecretAccessKey>"
                     f"{secret}</SecretAccessKey><Expiration>{expires}</Expiration><AccessKeyId>{key}</AccessKeyId>"
                     "</Credentials></AssumeRoleWithWebIdentityResponse>")


@pytest.fixture
def platform():
    one = Platform()
    yield one
    one.close()


@contextlib.contextmanager
def daemon(parts, platform, **settings):
    """order-svc, whose SQS is the platform."""
    with System(parts) as system:
        one = system.order_svc(SQS_ENDPOINT=platform.url, **settings)
        yield one.start()
        one.stop()


def signed_by(platform, number):
    return lambda: (f"ASIA{number}", f"token{number}") in platform.calls


def identity(platform, tmp_path):
    (tmp_path / "token").write_text("the token+/=\n")
    return {"AWS_ROLE_ARN": ROLE, "AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "token"), "AWS_ENDPOINT_URL_STS": platform.url}


def container(platform, tmp_path):
    (tmp_path / "authorization").write_text("the authorization\n")
    return {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{platform.url}/container",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(tmp_path / "authorization")}


def machine(platform, _):
    return {"AWS_EC2_METADATA_SERVICE_ENDPOINT": platform.url}


SOURCES = pytest.mark.parametrize("source, name", [(identity, "a web identity"), (container, "the endpoint of the container"),
                                                   (machine, "the metadata of the machine")])


@SOURCES
def test_calls_are_signed(parts, platform, tmp_path, source, name):
    with daemon(parts, platform, **source(platform, tmp_path)) as order:
        eventually(signed_by(platform, 1))
        eventually(lambda: len(platform.calls) > 5)
        assert set(platform.calls) == {("ASIA1", "token1")}  # fetched once for all threads
        assert any(f"AWS credentials come from {name}" in line["body"] for line in order.log_lines())


@SOURCES
def test_credentials_are_fetched_again_before_they_expire(parts, platform, tmp_path, source, name):
    platform.lifetime = 4
    with daemon(parts, platform, **source(platform, tmp_path)):
        eventually(signed_by(platform, 1))
        eventually(signed_by(platform, 3))


def test_what_is_sent_to_the_token_service(parts, platform, tmp_path):
    with daemon(parts, platform, **identity(platform, tmp_path), AWS_ROLE_SESSION_NAME="shop"):
        eventually(signed_by(platform, 1))
    (method, path, _, body), = platform.asked
    assert (method, path) == ("POST", "/")
    assert dict(urllib.parse.parse_qsl(body)) == {
        "Action": "AssumeRoleWithWebIdentity", "Version": "2011-06-15", "RoleArn": ROLE, "RoleSessionName": "shop",
        "WebIdentityToken": "the token+/="}


def test_a_token_that_is_replaced(parts, platform, tmp_path):
    settings = identity(platform, tmp_path)
    (tmp_path / "token").write_text("expired")
    with daemon(parts, platform, **settings) as order:

        def told():
            return [line["body"] for line in order.log_lines() if "ExpiredTokenException" in line["body"]]

        eventually(told)
        assert platform.calls == []  # nothing is sent unsigned
        (tmp_path / "token").write_text("another")
        eventually(signed_by(platform, 1))
        assert len(told()) == len(set(told()))  # one for each part, not one for each call
        eventually(lambda: any("source of AWS credentials is available again" in line["body"] for line in order.log_lines()))


def test_credentials_outlive_an_outage_of_their_source(parts, platform, tmp_path):
    platform.lifetime = 30
    with daemon(parts, platform, **machine(platform, tmp_path)) as order:
        eventually(signed_by(platform, 1))
        platform.broken = True
        eventually(lambda: any("source of AWS credentials is unavailable" in line["body"] for line in order.log_lines()))
        before = len(platform.calls)
        eventually(lambda: len(platform.calls) > before)
        assert set(platform.calls) == {("ASIA1", "token1")}
        platform.broken = False
        eventually(signed_by(platform, 2))


def test_the_shared_file_is_followed(parts, platform, tmp_path):
    file = tmp_path / "credentials"
    file.write_text("[default]\naws_access_key_id = no\n[shop]\naws_access_key_id = A1\naws_secret_access_key = S1\n")
    with daemon(parts, platform, AWS_SHARED_CREDENTIALS_FILE=str(file), AWS_PROFILE="shop"):
        eventually(lambda: ("A1", None) in platform.calls)
        file.write_text("[shop]\naws_access_key_id = A2\naws_secret_access_key = S2\naws_session_token = T2\n")
        eventually(lambda: ("A2", "T2") in platform.calls)


def test_settings_come_first(parts, platform, tmp_path):
    with daemon(parts, platform, **machine(platform, tmp_path), AWS_ACCESS_KEY_ID="A", AWS_SECRET_ACCESS_KEY="S"):
        eventually(lambda: ("A", None) in platform.calls)
        assert platform.asked == []


def test_metadata_can_be_forbidden(parts, platform, tmp_path):
    with daemon(parts, platform, **machine(platform, tmp_path), AWS_EC2_METADATA_DISABLED="true"):
        eventually(lambda: (None, None) in platform.calls)
        assert platform.asked == []


def test_a_source_that_never_answers_delays_no_request_and_no_stop(parts, platform, tmp_path):
    release = threading.Event()
    platform.answer = lambda *_: (release.wait(60), (500, ""))[1]
    with daemon(parts, platform, **machine(platform, tmp_path)) as order:
        assert http("GET", f"{order.url}/health/ready").status_code == 200
        order.stop()
    release.set()


@pytest.mark.parametrize("settings, fault", [
    ({"AWS_ROLE_ARN": ROLE}, "AWS_WEB_IDENTITY_TOKEN_FILE: must be set when AWS_ROLE_ARN is"),
    ({"AWS_WEB_IDENTITY_TOKEN_FILE": "/token"}, "AWS_ROLE_ARN: must be set when"),
    ({"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://example.com/"}, "AWS_CONTAINER_CREDENTIALS_FULL_URI: must be https://"),
    ({"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "v2"}, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: must begin with /"),
    ({"AWS_EC2_METADATA_SERVICE_ENDPOINT": "169.254.169.254"}, "AWS_EC2_METADATA_SERVICE_ENDPOINT: must be http://"),
    ({"AWS_ROLE_ARN": ROLE, "AWS_WEB_IDENTITY_TOKEN_FILE": "/t", "AWS_REGION": "a.evil.example/"}, "AWS_REGION: must consist")])
def test_bad_settings_are_refused(parts, settings, fault):
    with System(parts) as system:
        for one in (system.order_svc(**settings), system.delivery_svc(**settings)):
            checked = subprocess.run([one.program, "--check-config"], env=one.environment, capture_output=True, text=True,
                                     timeout=60, check=False)
            assert checked.returncode == 1 and fault in checked.stderr


def test_orders_are_delivered_with_a_web_identity_of_moto(parts, tmp_path):
    port = free_port()
    endpoint = f"http://127.0.0.1:{port}"
    (tmp_path / "token").write_text("a token")
    with subprocess.Popen([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))

            def answers():
                with contextlib.suppress(OSError):
                    return direct.open(f"{endpoint}/moto-api/data.json", timeout=5).status == 200
                time.sleep(0.1)

            eventually(answers, what="moto's server")
            with System(parts.with_settings(SQS_ENDPOINT=endpoint), AWS_ROLE_ARN=ROLE, AWS_ENDPOINT_URL_STS=endpoint,
                        AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="",
                        AWS_WEB_IDENTITY_TOKEN_FILE=str(tmp_path / "token")) as system:
                system.start()
                system.client().created()
                eventually(lambda: system.query("SELECT count(*) FROM orders WHERE status = 'DELIVERED'") == [(1,)])
        finally:
            server.terminate()
