"""SIGHUP reads again what may change while a daemon runs. Other signals that are not about stopping end nothing."""

import signal

import pytest
from certificates import authority
from harness import SECRET, SECRETS, Api, System, eventually, http

PROGRAMS = ["order_svc", "delivery_svc"]
OTHER_SECRET = "another-secret-of-more-than-32-bytes"
CLIENT = {"client_id": "demo-client", "client_secret": "demo-secret", "grant_type": "client_credentials"}


@pytest.fixture
def alone(request, parts):
    """One daemon of either kind that reads its log level from a file."""
    with System(parts) as system:
        del system.settings["LOG_LEVEL"]
        daemon = getattr(system, request.param)()
        daemon.settings_file = daemon.log.with_suffix(".env")
        daemon.settings_file.write_text("LOG_LEVEL=info\n")
        daemon.wrapper = ["sh", "-c", 'exec "$@" --env "$0"', str(daemon.settings_file)]
        yield daemon.start()


def messages(daemon, level=None):
    return [line["body"] for line in daemon.log_lines() if level in (None, line["severity_text"])]


def reload(daemon):
    """Sends SIGHUP and waits until the daemon has said so."""
    before = messages(daemon).count("SIGHUP received: reading again what may change")
    daemon.process.send_signal(signal.SIGHUP)
    eventually(lambda: messages(daemon).count("SIGHUP received: reading again what may change") > before)


def is_verbose(daemon):
    """Whether a request leaves a line at debug. Lines keep their order, so it comes before that of the reload."""
    def seen():
        return sum(text.startswith("GET /health/live 200") for text in messages(daemon, "DEBUG"))

    before = seen()
    assert http("GET", f"{daemon.url}/health/live").status_code == 200
    reload(daemon)
    return seen() > before


@pytest.mark.parametrize("alone", PROGRAMS, indirect=True)
def test_log_level_is_read_again(alone):
    assert not is_verbose(alone)
    alone.settings_file.write_text("LOG_LEVEL=debug\n")
    reload(alone)
    eventually(lambda: is_verbose(alone))
    alone.settings_file.write_text("LOG_LEVEL=loud\n")
    reload(alone)
    eventually(lambda: any("keeping the old settings: LOG_LEVEL" in text for text in messages(alone, "ERROR")))
    assert is_verbose(alone)
    alone.settings_file.unlink()
    reload(alone)
    eventually(lambda: any("No such file" in text for text in messages(alone, "ERROR")))
    assert is_verbose(alone)
    alone.settings_file.write_text("LOG_LEVEL=info\n")
    reload(alone)
    eventually(lambda: not is_verbose(alone))


@pytest.mark.parametrize("alone", PROGRAMS, indirect=True)
def test_debug_lines_on_demand(alone):
    alone.process.send_signal(signal.SIGUSR1)
    eventually(lambda: is_verbose(alone))
    alone.process.send_signal(signal.SIGUSR2)
    eventually(lambda: not is_verbose(alone))


@pytest.mark.parametrize("alone", PROGRAMS, indirect=True)
def test_other_signals_end_nothing(alone):
    harmless = {"SIGALRM", "SIGVTALRM", "SIGPROF", "SIGIO", "SIGPWR", "SIGSTKFLT", "SIGXCPU", "SIGXFSZ", "SIGPIPE",
                "SIGUSR1", "SIGUSR2", "SIGHUP", "SIGURG", "SIGWINCH", "SIGCHLD", "SIGCONT", "SIGRTMIN", "SIGRTMAX"}
    for name in sorted(harmless):
        alone.process.send_signal(getattr(signal, name))
    assert alone.is_ready()


def test_secret_of_the_tokens_is_read_again(parts, tmp_path):
    """A token is good as long as the secret that signed it is in use."""
    file = tmp_path / "jwt_secret"
    SECRETS.add(OTHER_SECRET)
    file.write_text(SECRET)
    with System(parts, JWT_SECRET="", JWT_SECRET_FILE=str(file)) as system:
        system.start()

        def status(daemon, token):
            path = "/orders" if daemon is system.order else "/delivery/shipment/x"
            return Api(daemon.url, token).get(path).status_code

        def accepts(token):
            return [status(daemon, token) != 401 for daemon in (system.order, system.delivery)] == [True, True]

        def issue():
            return http("POST", f"{system.order.url}/auth/token", json=CLIENT).json()["access_token"]

        old = issue()
        assert accepts(old)
        file.write_text("too short")
        for daemon in (system.order, system.delivery):
            reload(daemon)
            eventually(lambda d=daemon: any("keeping the old settings: JWT_SECRET" in text for text in messages(d, "ERROR")))
        assert accepts(old)
        file.write_text(OTHER_SECRET + "\n")
        for daemon in (system.order, system.delivery):
            reload(daemon)
            eventually(lambda d=daemon: status(d, old) == 401)
        assert accepts(issue())


def test_certificate_is_loaded_again_on_demand(parts, tmp_path):
    authority().issue(tmp_path)
    files = {"TLS_CERT_FILE": str(tmp_path / "cert.pem"), "TLS_KEY_FILE": str(tmp_path / "key.pem")}
    with System(parts, **files) as system:
        daemon = system.order_svc().start()
        reload(daemon)
        eventually(lambda: any("tls: loaded the certificate" in text for text in messages(daemon, "INFO")))
        (tmp_path / "key.pem").write_text("no key")
        reload(daemon)
        eventually(lambda: any("keeping the old certificate" in text for text in messages(daemon, "WARN")))
        assert daemon.is_live()


def test_reload_while_orders_are_taken_loses_none(parts):
    with System(parts) as system:
        api = system.start().client()
        orders = []
        for _ in range(20):
            for daemon in (system.order, system.delivery):
                daemon.process.send_signal(signal.SIGHUP)
            orders.append(api.created())
        for order in orders:
            eventually(lambda o=order: api.order(o)["status"] == "DELIVERED")
