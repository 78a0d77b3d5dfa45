"""TLS to PostgreSQL and Redis: what a server must prove, and that nothing goes around it."""

import pathlib
import shutil
import subprocess
import tempfile

import psycopg
import pytest
from certificates import Authority, authority
from harness import ORDER_SVC, PATIENCE, ROOT, System, basket, eventually, free_port, http

STRANGER = Authority()  # whom no server here has a certificate from


@pytest.fixture(scope="module")
def postgres(parts):
    """The parts, with a PostgreSQL that is only to be reached with TLS; `use` gives it a certificate for a host."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="postgres-"))
    subprocess.run([ROOT / "scripts/parts.sh", "start", folder, "postgres"], check=True, stdin=subprocess.DEVNULL)
    settings = dict(line.split("=", 1) for line in (folder / "env").read_text().splitlines())
    secured = parts.with_settings(DB_HOST=settings["DB_HOST"], DB_PORT=settings["DB_PORT"])
    data = (folder / "postgres").resolve()

    def use(host):
        authority().issue(folder, host)
        for file in ("cert.pem", "key.pem"):
            shutil.copy(folder / file, data / file)
            (data / file).chmod(0o600)
            shutil.chown(data / file, data.owner(), data.group())
        with secured.connect("postgres") as admin:
            for name, value in (("ssl_cert_file", "cert.pem"), ("ssl_key_file", "key.pem"), ("ssl", "on")):
                admin.execute(f"ALTER SYSTEM SET {name} = '{value}'")
            admin.execute("SELECT pg_reload_conf()")
        eventually(lambda: serves_tls(secured), what="TLS of PostgreSQL")

    secured.use = use
    try:
        use("127.0.0.1")
        (data / "pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 scram-sha-256\n")
        with secured.connect("postgres") as admin:
            admin.execute("SELECT pg_reload_conf()")
        yield secured
    finally:
        subprocess.run([ROOT / "scripts/parts.sh", "remove", folder], check=True)


def serves_tls(parts):
    try:
        with parts.connect("postgres", sslmode="require"):
            return True
    except psycopg.OperationalError:
        return False


def test_daemons_speak_tls_with_postgresql_only(postgres):
    trust = {"DB_SSLMODE": "verify-full", "DB_SSLROOTCERT": authority().path}
    with System(postgres, **trust) as system:
        system.start()
        api = system.client()
        order_id = api.created()
        eventually(lambda: api.order(order_id)["status"] == "DELIVERED")
        plain, = system.query("SELECT count(*) FILTER (WHERE ssl), count(*) FILTER (WHERE NOT ssl) FROM pg_stat_ssl "
                              "JOIN pg_stat_activity USING (pid) WHERE application_name IN ('order-service', 'delivery-service')")
        assert plain[0] > 2 and plain[1] == 0


@pytest.mark.parametrize("host, settings, words", [
    ("127.0.0.1", {"DB_SSLMODE": "disable"}, "no encryption"),
    ("127.0.0.1", {"DB_SSLMODE": "require"}, None),
    ("127.0.0.1", {"DB_SSLMODE": "verify-ca", "DB_SSLROOTCERT": STRANGER.path}, "certificate verify failed"),
    ("127.0.0.1", {"DB_SSLMODE": "verify-full", "DB_SSLROOTCERT": STRANGER.path}, "certificate verify failed"),
    ("127.0.0.1", {"DB_SSLMODE": "verify-full", "DB_SSLROOTCERT": "/nowhere/ca.pem"}, "/nowhere/ca.pem"),
    ("127.0.0.2", {"DB_SSLMODE": "verify-ca", "DB_SSLROOTCERT": authority().path}, None),
    ("127.0.0.2", {"DB_SSLMODE": "verify-full", "DB_SSLROOTCERT": authority().path}, "does not match host name"),
])
def test_postgresql_proves_what_it_is_asked_for(postgres, host, settings, words):
    postgres.use(host)
    with System(postgres, **settings) as system:
        migrated = system.order_svc().command("--migrate")
        assert (migrated.returncode == 0) == (words is None), migrated.stderr
        assert words is None or words in migrated.stderr


def build_has_tls():
    """Whether the build's hiredis has TLS; if not, it must say so."""
    settings = {"APP_ENV": "development", "REDIS_TLS": "true"}
    checked = subprocess.run([ORDER_SVC, "--check-config"], env=settings, capture_output=True, text=True, timeout=PATIENCE)
    if checked.returncode == 0:
        return True
    assert checked.returncode == 1 and "REDIS_TLS: must be false, as this build has" in checked.stderr
    return False


@pytest.fixture(scope="module")
def redis(tmp_path_factory):
    """Starts a Redis that speaks TLS only, with a certificate for a host; returns its port."""
    servers = []

    def start(host):
        folder, port = tmp_path_factory.mktemp("redis"), free_port()
        authority().issue(folder, host)
        options = {"port": 0, "tls-port": port, "tls-cert-file": folder / "cert.pem", "tls-key-file": folder / "key.pem",
                   "tls-ca-cert-file": authority().path, "tls-auth-clients": "no", "bind": "127.0.0.1", "dir": folder,
                   "save": "", "appendonly": "no"}
        words = [str(word) for name, value in options.items() for word in (f"--{name}", value)]
        servers.append(subprocess.Popen(["redis-server", *words], stdout=subprocess.DEVNULL))
        return str(port)

    yield start
    for server in servers:
        server.terminate()
        server.wait()


def assert_redis(parts, port, authority_file, well):
    """Whether order-svc trusts the Redis; it works without, too."""
    with System(parts, REDIS_PORT=port, REDIS_TLS="true", REDIS_CA_FILE=authority_file) as system:
        daemon = system.order_svc().start()
        eventually(lambda: http("GET", f"{daemon.url}/health").json()["dependencies"]["redis"] is well)
        order, api = basket(), system.client()
        assert api.created(order, key="a-key") == api.created(order, key="a-key")


def test_redis_proves_what_it_is_asked_for(parts, redis):
    if not build_has_tls():
        return  # it refuses the setting: that is all it can do
    good, other = redis("127.0.0.1"), redis("127.0.0.2")
    assert_redis(parts, good, authority().path, True)
    assert_redis(parts, good, STRANGER.path, False)
    assert_redis(parts, good, "/nowhere/ca.pem", False)
    assert_redis(parts, other, authority().path, False)
