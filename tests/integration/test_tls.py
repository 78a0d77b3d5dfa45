"""HTTPS: protocol versions, a certificate that is renewed without a restart, and pipelined requests under load."""

import json
import random
import socket
import ssl

import pytest
import requests
from certificates import authority
from cryptography import x509
from harness import PATIENCE, System, at_once, basket, eventually, http


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the daemons' certificate and key are."""
    made = tmp_path_factory.mktemp("tls")
    authority().issue(made)
    return made


@pytest.fixture(scope="module")
def system(parts, folder):
    files = {"TLS_CERT_FILE": str(folder / "cert.pem"), "TLS_KEY_FILE": str(folder / "key.pem")}
    with System(parts, HTTP_TIMEOUT="5s", **files) as both:
        yield both.start()


def handshake(port, minimum=None, maximum=None, ciphers=None):
    """A connection, perhaps of a client that has learned nothing for years."""
    context = ssl.create_default_context(cafile=authority().path)
    if ciphers:
        context.set_ciphers(ciphers)
    context.minimum_version = minimum or context.minimum_version
    context.maximum_version = maximum or context.maximum_version
    return context.wrap_socket(socket.create_connection(("127.0.0.1", port), PATIENCE), server_hostname="127.0.0.1")


def serial_number(daemon):
    """Of the certificate that new connections see."""
    with handshake(daemon.port) as connection:
        return x509.load_der_x509_certificate(connection.getpeercert(binary_form=True)).serial_number


def read_answer(file):
    """Status, headers and body of the next answer on a connection."""
    status = int(file.readline().split()[1])
    headers = {}
    while line := file.readline().strip():
        name, _, value = line.decode().partition(": ")
        headers[name] = value
    return status, headers, file.read(int(headers["Content-Length"]))


@pytest.mark.parametrize("target", ["https://shop.example/orders?limit=1", "HTTPS://shop.example:3001/health/live",
                                    "https://shop.example", "http://shop.example/health/live", "https://a%2Fhealth"])
def test_target_may_begin_with_scheme_and_host(system, target):
    wanted = 404 if target == "https://a%2Fhealth" else 200  # without a path it is /, the page
    with handshake(system.order.port) as raw, raw.makefile("rb") as file:
        raw.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {system.mint()}\r\n\r\n".encode())
        assert read_answer(file)[0] == wanted


def test_orders_are_delivered(system):
    api = system.client()
    order_id = api.created()
    eventually(lambda: api.order(order_id)["status"] == "DELIVERED")
    assert system.deliveries().shipment(order_id)["status"] == "DELIVERED"


def test_strict_transport_security_is_asked_for_over_tls_only(system):
    secured = http("GET", f"{system.order.url}/health/live")
    assert secured.headers["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains"
    plain = system.order_svc(TLS_CERT_FILE="", TLS_KEY_FILE="").start()
    assert "Strict-Transport-Security" not in http("GET", f"{plain.url}/health/live").headers
    plain.stop()


def test_plain_http_gets_no_answer(system):
    with pytest.raises(requests.ConnectionError):
        requests.get(f"http://127.0.0.1:{system.order.port}/health/live", timeout=PATIENCE)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_current_versions_are_spoken(system, version):
    with handshake(system.order.port, minimum=version, maximum=version) as connection:
        assert connection.version() == {"TLSv1_2": "TLSv1.2", "TLSv1_3": "TLSv1.3"}[version.name]
        assert any(word in connection.cipher()[0] for word in ("GCM", "CHACHA20"))


@pytest.mark.parametrize("limits", [
    {"minimum": ssl.TLSVersion.TLSv1, "maximum": ssl.TLSVersion.TLSv1_1, "ciphers": "ALL:@SECLEVEL=0"},
    {"maximum": ssl.TLSVersion.TLSv1_2, "ciphers": "AES128-SHA:AES256-GCM-SHA384:@SECLEVEL=0"},
    {"maximum": ssl.TLSVersion.TLSv1_2, "ciphers": "ECDHE-ECDSA-AES128-SHA256:@SECLEVEL=0"},
], ids=["TLS 1.1", "no forward secrecy", "CBC"])
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_old_versions_and_ciphers_are_refused(system, limits):
    with pytest.raises(ssl.SSLError, match="alert|EOF"):  # it is the server that refuses
        handshake(system.order.port, **limits)


def test_certificate_is_renewed_without_a_restart(system, folder):
    daemon, before = system.order, serial_number(system.order)
    with handshake(daemon.port) as open_before, open_before.makefile("rb") as answers:
        renewed = authority().issue(folder)
        assert renewed != before

        def goes_on():
            open_before.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
            return read_answer(answers)[0] == 200

        eventually(lambda: goes_on() and serial_number(daemon) == serial_number(system.delivery) == renewed)
        assert goes_on()


@pytest.mark.parametrize("file, text", [("cert.pem", "no certificate"), ("key.pem", "no key"), ("key.pem", None)])
def test_broken_certificate_replaces_none(system, folder, file, text):
    daemon, before, seen = system.order, serial_number(system.order), len(system.order.log_lines())

    def complaints():
        return [line for line in daemon.log_lines()[seen:] if "keeping the old certificate" in line["body"]]

    if text is None:  # of another certificate
        (folder / "other").mkdir()
        authority().issue(folder / "other")
        text = (folder / "other" / file).read_text()
    (folder / file).write_text(text)
    eventually(complaints)
    assert serial_number(daemon) == before
    assert http("GET", f"{daemon.url}/health/live").status_code == 200
    mended = authority().issue(folder)
    eventually(lambda: serial_number(daemon) == mended)


def pipelined_order(system, request_id):
    """A POST /orders of up to several TLS records."""
    items = [{"product_id": f"p-{i}", "quantity": 1, "unit_price": 1.5} for i in range(random.randint(1, 100))]
    body = json.dumps(basket(items=items)).encode()
    head = (f"POST /orders HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {system.mint()}\r\nX-Request-Id: {request_id}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n")
    return head.encode() + body


def test_pipelined_requests_are_all_answered_in_order(system):
    """Bytes that TLS has read, but not HTTP, while their connection waits for a worker: none may be forgotten."""
    def client(number):
        with handshake(system.order.port) as connection, connection.makefile("rb") as answers:
            for turn in range(6):
                ids = [f"{number}-{turn}-{i}" for i in range(random.randint(1, 8))]
                data = b"".join(pipelined_order(system, request_id) for request_id in ids)
                send_in_pieces(connection, data)  # the buffers of both sides have room for all of it
                for request_id in ids:
                    status, headers, _ = read_answer(answers)
                    assert (status, headers["X-Request-Id"]) == (201, request_id)
        return "done"

    def send_in_pieces(connection, data):
        while data:
            size = random.choice((1, 100, 5000, 16384, 60000))
            connection.sendall(data[:size])
            data = data[size:]

    assert at_once([lambda number=number: client(number) for number in range(24)]) == ["done"] * 24


def test_client_that_never_shakes_hands_is_dropped(system):
    with socket.create_connection(("127.0.0.1", system.order.port), PATIENCE) as silent:
        assert silent.recv(1) == b""


def test_what_is_no_handshake_does_no_harm(system):
    for data in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\xff\xff" + bytes(65535), bytes(100)):
        with socket.create_connection(("127.0.0.1", system.order.port), PATIENCE) as rude:
            rude.sendall(data)
            while rude.recv(1000):  # an alert, at most
                pass
    assert http("GET", f"{system.order.url}/health/live").status_code == 200


@pytest.mark.parametrize("files, words", [
    (("cert.pem", "missing.pem"), "missing.pem: "),
    (("missing.pem", "key.pem"), "missing.pem: No such file or directory"),
    (("cert.pem", ""), "TLS_KEY_FILE: must be set when TLS_CERT_FILE is"),
    ((".", "key.pem"), "Is a directory"),
    (("key.pem", "cert.pem"), "tls: cannot load "),
    (("", "key.pem"), "TLS_CERT_FILE: must be set when TLS_KEY_FILE is"),
])
def test_start_with_bad_files_is_refused(system, folder, files, words):
    names = {name: file and str(folder / file) for name, file in zip(("TLS_CERT_FILE", "TLS_KEY_FILE"), files)}
    refused = system.order_svc(**names).command()
    assert refused.returncode == 1 and words in refused.stderr


def test_stop_answers_what_was_accepted(system):
    replica = system.order_svc().start()
    connections = [handshake(replica.port) for _ in range(8)]
    for turn in ("before", "while it stops"):
        for connection in connections:
            connection.sendall(pipelined_order(system, "x"))
        if turn != "before":
            replica.terminate()
        for connection in connections:
            assert read_answer(connection.makefile("rb"))[0] == 201, turn
    for connection in connections:
        assert connection.recv(1) == b""
        connection.close()
    replica.finish()
