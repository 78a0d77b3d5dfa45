"""A gate before an SQS server, that passes requests on or spoils them."""

import contextlib
import http.server
import threading
import urllib.error
import urllib.request


class Gate(http.server.ThreadingHTTPServer):
    """Subclasses decide in reply()."""

    daemon_threads = True

    def __init__(self, behind):
        super().__init__(("127.0.0.1", 0), Handler)
        self.behind, self.url = behind, f"http://127.0.0.1:{self.server_port}"

    def reply(self, action, body, ask):
        """The status and the body of the answer. ask() passes the request on, or another one, and returns those of the
        server."""
        return ask()

    @contextlib.contextmanager
    def opened(self):
        threading.Thread(target=self.serve_forever).start()
        try:
            yield self
        finally:
            self.shutdown()
            self.server_close()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))

        def ask(text=body):
            request = urllib.request.Request(self.server.behind, text, dict(self.headers) | {"Content-Length": str(len(text))})
            try:
                with urllib.request.urlopen(request) as answer:
                    return answer.status, answer.read()
            except urllib.error.HTTPError as answer:
                return answer.code, answer.read()

        status, text = self.server.reply(self.headers["X-Amz-Target"].removeprefix("AmazonSQS."), body, ask)
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass
