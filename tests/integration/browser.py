"""A real browser without a window: Chromium, driven over the WebDriver protocol (W3C)."""

import base64
import contextlib
import functools
import http.server
import os
import pathlib
import subprocess
import tempfile
import threading

import requests
from harness import PATIENCE, eventually, free_port


KEYS = {"Tab": "\ue004", "Enter": "\ue007", "Shift": "\ue008"}


class Browser:
    """One Chromium with a profile of its own, and what a test does with its page."""

    ARGUMENTS = ("--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                 "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-proxy-server")

    def __init__(self):
        self.folder, self.session = tempfile.TemporaryDirectory(prefix="browser-"), None
        self.port = free_port()
        self.client = requests.Session()
        self.client.trust_env = False
        # What a browser keeps besides its profile goes to the folder, too.
        environment = os.environ | {"HOME": self.folder.name, "TMPDIR": self.folder.name}
        with pathlib.Path(self.folder.name, "driver.log").open("wb") as log:
            self.driver = subprocess.Popen(["chromedriver", f"--port={self.port}"], stdin=subprocess.DEVNULL, stdout=log,
                                           stderr=log, env=environment)
        try:
            eventually(self._is_ready, what="readiness of chromedriver")
            self.session = self._ask("POST", "/session", {"capabilities": {"alwaysMatch": self._wanted()}})["sessionId"]
        except BaseException:
            print(pathlib.Path(self.folder.name, "driver.log").read_text(errors="replace")[-3000:])
            self.close()
            raise

    def _wanted(self):
        arguments = [*self.ARGUMENTS, f"--user-data-dir={self.folder.name}/profile"]
        if os.geteuid() == 0:  # Chromium's sandbox does not work for root
            arguments.append("--no-sandbox")
        return {"browserName": "chrome", "goog:chromeOptions": {"args": arguments}, "goog:loggingPrefs": {"browser": "ALL"},
                "timeouts": {"script": PATIENCE * 1000, "pageLoad": PATIENCE * 1000}}

    def _is_ready(self):
        assert self.driver.poll() is None, "chromedriver ended by itself"
        with contextlib.suppress(requests.RequestException):
            return self._ask("GET", "/status")["ready"]
        return False

    def _ask(self, method, path, body=None):
        answer = self.client.request(method, f"http://127.0.0.1:{self.port}{path}", json=body, timeout=2 * PATIENCE)
        value = answer.json()["value"]
        assert answer.ok, f"{path}: {value['error']}: {value['message']}"
        return value

    def _do(self, method, path, body=None):
        return self._ask(method, f"/session/{self.session}{path}", body)

    def open(self, url):
        """Goes to a page, and waits until it has been loaded."""
        self._do("POST", "/url", {"url": url})

    def run(self, script, *arguments):
        """What a script of the page returns; it awaits promises. Its arguments are in arguments[]."""
        return self._do("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def find(self, selector):
        """The text of the elements that a CSS selector finds."""
        return self.run("return [...document.querySelectorAll(arguments[0])].map(e => e.innerText)", selector)

    def element(self, selector):
        """The path of the first element that a CSS selector finds; waits until there is one."""
        found = eventually(lambda: self._do("POST", "/elements", {"using": "css selector", "value": selector}), what=selector)
        return f"/element/{next(iter(found[0].values()))}"

    def click(self, selector):
        self._do("POST", self.element(selector) + "/click", {})

    def type(self, selector, text):
        """Replaces what a field has."""
        field = self.element(selector)
        self._do("POST", field + "/clear", {})
        self._do("POST", field + "/value", {"text": text})

    def press(self, keys, hold=""):
        """Types on the keyboard, wherever the focus is, while others are held. KEYS has those without a letter."""
        actions = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        actions = [*({"type": "keyDown", "value": key} for key in hold), *actions, *({"type": "keyUp", "value": key} for key in hold)]
        self._do("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})

    def devtools(self, command, **parameters):
        """A command of the DevTools protocol, for what WebDriver has no word for."""
        return self._do("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def look(self, width=1280, height=800, scheme="light"):
        """The size of the page, and the colours that its reader prefers."""
        self.devtools("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def picture(self):
        """What is seen now, as PNG."""
        return base64.b64decode(self._do("GET", "/screenshot"))

    def console(self):
        """What the console has had since the last call, as texts: also what the browser refused, and why."""
        return [line["message"] for line in self._do("POST", "/se/log", {"type": "browser"})]

    def close(self):
        try:
            if self.session:
                self._do("DELETE", "")
        finally:
            self.client.close()
            self.driver.terminate()
            self.driver.wait(PATIENCE)
            self.folder.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@contextlib.contextmanager
def origin(folder, port=0):
    """Serves the files of a folder; yields the origin, such as http://127.0.0.1:1234."""
    handler = functools.partial(Quiet, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", port), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
