"""A receiver of webhooks, as a client of ours would run it: it verifies what it gets with the library of Standard Webhooks."""

import contextlib
import http.server
import json
import ssl
import threading
import time
import types

from harness import eventually, free_port
from standardwebhooks import Webhook


class Receiver:
    """Listens on a port of its own. Every request is kept. `answer` decides: it gets the request, and returns a status, or
    a status and headers, or a status, headers and a body."""

    def __init__(self, certificate=None):
        """certificate: the folder of one, for HTTPS."""
        self.certificate = certificate
        self.port, self.got, self.lock, self.server = free_port(), [], threading.Lock(), None
        self.released = threading.Event()
        self.answer = lambda request: 204

    @property
    def url(self):
        return f"{'https' if self.certificate else 'http'}://127.0.0.1:{self.port}/hook"

    def start(self):
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                request = types.SimpleNamespace(path=self.path, headers=dict(self.headers), body=body, at=time.monotonic(),
                                                id=self.headers["webhook-id"], event=json.loads(body))
                with receiver.lock:
                    receiver.got.append(request)
                answer = receiver.answer(request)
                status, headers, text = (*(answer if isinstance(answer, tuple) else (answer,)), {}, b"")[:3]
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.wfile.write(text)

            do_GET = do_POST

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads, request_queue_size = True, 256

            def handle_error(self, *_):
                pass  # a client that hangs up is no error of ours

        self.server = Server(("127.0.0.1", self.port), Handler)
        if self.certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.certificate / "cert.pem", self.certificate / "key.pem")
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def stop(self):
        """Nobody listens any more."""
        self.released.set()
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    def hang(self, _request):
        """An answer that does not come before stop()."""
        self.released.wait()
        return 204

    def of(self, order_id):
        """What it got of an order, in the order of arrival."""
        with self.lock:
            return [request for request in self.got if request.event.get("order_id") == order_id]

    def await_of(self, order_id, count):
        eventually(lambda: len(self.of(order_id)) >= count, what=f"{count} deliveries of {order_id}")
        return self.of(order_id)

    def await_count(self, count):
        eventually(lambda: len(self.got) >= count, what=f"{count} deliveries")
        return list(self.got)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()


def verified(request, *secrets):
    """The event of a delivery, which is signed with each of the secrets."""
    for secret in secrets:
        assert Webhook(secret).verify(request.body, request.headers) == request.event
    return request.event
