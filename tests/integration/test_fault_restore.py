"""A database that was restored into a new cluster, whose transaction ids start again from below."""

import pathlib
import shutil
import subprocess
import time

import pytest
from harness import Api, PrivateParts, System, eventually, http

ADMIN = ("demo-admin", "demo-admin-secret")
MANY = 3000  # transactions of the old cluster that the new one has not had
NOWHERE = "0190a5b4-0000-7000-8000-000000000000"


def pg(parts, name, *words, **options):
    """Runs a program of PostgreSQL, of the server's own version."""
    newest = sorted(pathlib.Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[4]))
    s = parts.settings
    return subprocess.run([newest[-1] if newest else name, "-h", s["DB_HOST"], "-p", s["DB_PORT"], "-U", s["DB_USER"], *words],
                          env={"PGPASSWORD": s["DB_PASSWORD"], "PATH": "/usr/bin:/bin"}, check=True,
                          capture_output=True, text=True, **options).stdout


@pytest.fixture(scope="module")
def parts():
    private = PrivateParts()
    yield private
    private.close()


def replace_cluster(parts, database):
    """The same host and port, another cluster, with an empty database."""
    parts.stop("postgres")
    cluster = pathlib.Path(parts.folder, "postgres")
    shutil.rmtree(cluster.resolve())
    cluster.unlink(missing_ok=True)  # a link to where the user postgres may write
    parts.start("postgres")
    with parts.connect("postgres") as admin:
        admin.execute(f"CREATE DATABASE {database}")


def restore_into_new_cluster(parts, database):
    """What an operator does with last night's dump."""
    dump = pg(parts, "pg_dump", "-d", database)
    replace_cluster(parts, database)
    pg(parts, "psql", "-q", "-1", "-v", "ON_ERROR_STOP=1", "-d", database, input=dump)  # nobody sees half of it, and writes


def transaction(system):
    return int(system.query("SELECT pg_current_xact_id()::text")[0][0])


def token_of(system):
    return http("POST", f"{system.order.url}/auth/token", auth=ADMIN,
                data={"grant_type": "client_credentials"}).json()["access_token"]


def revoke(daemon, token):
    return http("POST", f"{daemon.url}/auth/revoke", auth=ADMIN, data={"token": token}).status_code


def statuses(system, token):
    paths = {"order-svc": "/orders", "delivery-svc": f"/delivery/shipment/{NOWHERE}"}
    return [Api(daemon.url, token).get(paths[pathlib.Path(daemon.program).name]).status_code for daemon in system.daemons]


@pytest.fixture(scope="module")
def restored(parts):
    """Two replicas of each daemon that lived through it, and a token that was revoked before it."""
    with System(parts, CARRIER_SIMULATION="false") as system:
        system.start()
        system.order_svc().start()
        system.delivery_svc().start()
        with parts.connect(system.name) as connection:
            for _ in range(MANY):
                connection.execute("SELECT pg_current_xact_id()")
        system.before = token_of(system)
        assert revoke(system.order, system.before) == 200
        eventually(lambda: statuses(system, system.before) == [401] * 4)
        time.sleep(1)  # several times the interval in which the tables are read
        high = transaction(system)
        restore_into_new_cluster(parts, system.name)
        assert transaction(system) < high
        for daemon in system.daemons:
            eventually(daemon.is_ready)
        yield system


def test_token_revoked_after_the_restore_is_refused_everywhere(restored):
    token = token_of(restored)
    assert statuses(restored, token) == [200, 404, 200, 404]
    assert revoke(restored.order, token) == 200
    eventually(lambda: statuses(restored, token) == [401] * 4, what="the revocation in every replica")


def test_token_revoked_before_the_restore_stays_so(restored):
    assert statuses(restored, restored.before) == [401] * 4
    for daemon in restored.daemons:
        daemon.stop()
        daemon.start()
    assert statuses(restored, restored.before) == [401] * 4


def test_restored_rows_are_not_read_again_and_again(restored):
    """They bear transaction ids that the new cluster has not reached."""
    restored.order.stop()
    restored.order.start()  # tidies

    def ahead(table):
        return restored.query(f"SELECT 1 FROM {table} WHERE written_by >= pg_snapshot_xmax(pg_current_snapshot())")

    eventually(lambda: not ahead("revoked_tokens"))


def test_database_without_the_migrations_makes_nobody_ready(restored, parts):
    replace_cluster(parts, restored.name)
    for daemon in restored.daemons:
        eventually(lambda: http("GET", f"{daemon.url}/health/ready").json().get("reason") == "migrations")
