"""The roles of sql/roles.sql: with them the daemons do all they do, and reach nothing but the rows of their own tables."""

import os
import subprocess

import psycopg
import pytest
from harness import ROOT, SECRETS, Api, System, basket, eventually, http

SERVICES = ("order", "delivery")
ROLES = tuple(f"{service}_{kind}" for service in SERVICES for kind in ("svc", "migrator"))
CLOSED = {"APP_ENV": "production", "DEMO_CLIENTS": "false", "DELIVERY_ANONYMOUS": "false",
          "JWT_SECRET": "a-secret-of-production-that-is-long-enough"}


def login(role):
    return {"DB_USER": role, "DB_PASSWORD": f"password-of-{role}"}


def create_roles(parts, database, secrets, check=True):
    s = parts.settings
    return subprocess.run(["psql", "-q", "-d", database, "-f", ROOT / "sql/roles.sql"], check=check, capture_output=True,
                          text=True, env=os.environ | {"PGHOST": s["DB_HOST"], "PGPORT": s["DB_PORT"], "PGUSER": s["DB_USER"],
                                                       "PGPASSWORD": s["DB_PASSWORD"], "SECRETS": str(secrets)})


@pytest.mark.parametrize("missing", [("order_svc",), ("delivery_migrator",), ("order_svc", "order_migrator", "delivery_svc")])
def test_without_a_password_no_role_is_made(parts, tmp_path, missing):
    for role in ROLES:
        if role not in missing:
            (tmp_path / f"{role}_password").write_text("a-password")
    (tmp_path / "order_migrator_password").touch()
    done = create_roles(parts, "postgres", tmp_path, check=False)
    assert done.returncode != 0 and "password of a role is missing" in done.stderr
    with parts.connect("postgres") as admin:
        assert admin.execute("SELECT count(*) FROM pg_roles WHERE rolname = ANY (%s)", [list(ROLES)]).fetchone() == (0,)


@pytest.fixture(scope="module")
def system(parts, tmp_path_factory):
    """Both daemons in production, each as its role, on tables that another role made."""
    folder = tmp_path_factory.mktemp("secrets")
    for role in ROLES:
        (folder / f"{role}_password").write_text(login(role)["DB_PASSWORD"] + "\n")
    with System(parts, **CLOSED, REDIS_TIMEOUT="10s") as both:
        for _ in range(2):  # the second time changes nothing
            create_roles(parts, both.name, folder)
        daemons = (both.order_svc(**login("order_svc")), both.delivery_svc(**login("delivery_svc")))
        for make, role in ((both.order_svc, "order_migrator"), (both.delivery_svc, "delivery_migrator")):
            migrated = make(**login(role)).command("--migrate")
            assert migrated.returncode == 0, migrated.stderr
        for daemon in daemons:
            daemon.start()
        yield both
    with parts.connect("postgres") as admin:
        for role in ROLES:
            admin.execute(f"DROP ROLE {role}")


def connect(system, role):
    """As the role that a daemon has."""
    return system.parts.with_settings(**login(role)).connect(system.name)


def tables(system, service):
    """Those that the service's migrations made; there is no other."""
    found = [name for name, in system.query("SELECT tablename FROM pg_tables WHERE tableowner = %s", f"{service}_migrator")]
    assert f"{service}_migrations" in found and f"{service}_outbox" in found
    return found


def assert_denied(connection, statement):
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement)


def client(system, daemon, name, *scopes):
    """A new client with a token."""
    added = system.order.command("client", "add", name, *scopes)
    secret = added.stdout.split("client_secret: ")[1].strip()

    def token():
        answer = http("POST", f"{system.order.url}/auth/token", auth=(name, secret),
                      data={"grant_type": "client_credentials"})
        return answer.status_code == 200 and answer.json()["access_token"]

    return Api(daemon.url, eventually(token))


def test_daemons_do_all_they_do(system):
    shop = client(system, system.order, "shop", "order:create", "order:read")
    courier = client(system, system.delivery, "courier", "delivery:read", "delivery:read:all", "delivery:write")
    order = basket()
    order_id = shop.created(order, key="one")
    eventually(lambda: shop.order(order_id)["status"] == "DELIVERED")
    assert shop.created(order, key="one") == order_id
    shipment = courier.shipment(order_id)
    assert courier.move(shipment["id"], "DELIVERED").status_code == 200
    assert len(courier.get(f"/delivery/shipment/{order_id}/events").json()["events"]) >= 3
    system.drain()
    # The two about logins: until the new clients are known.
    expected = ("CARRIER_SIMULATION: ", "failed authentication of ", "about refused tokens and logins were left out")
    for daemon in (system.order, system.delivery):
        assert not daemon.complaints(*expected)


@pytest.mark.parametrize("service, other", [SERVICES, SERVICES[::-1]])
def test_tables_of_the_other_are_out_of_reach(system, service, other):
    for role in (f"{service}_svc", f"{service}_migrator"):
        with connect(system, role) as connection:
            for table in tables(system, other):
                assert_denied(connection, f"SELECT FROM {table}")
                assert_denied(connection, f"INSERT INTO {table} DEFAULT VALUES")
                assert_denied(connection, f"DELETE FROM {table}")
                assert_denied(connection, f"DROP TABLE {table}")


@pytest.mark.parametrize("service", SERVICES)
def test_own_tables_can_be_filled_but_not_changed(system, service):
    with connect(system, f"{service}_svc") as connection:
        for table in tables(system, service):
            connection.execute(f"SELECT FROM {table}")
            assert_denied(connection, f"ALTER TABLE {table} ADD COLUMN more text")
            assert_denied(connection, f"TRUNCATE {table}")
            assert_denied(connection, f"DROP TABLE {table}")
        for statement in ("CREATE TABLE more (id int)", "CREATE TEMP TABLE more (id int)", "CREATE SCHEMA more",
                          "CREATE ROLE more", "CREATE DATABASE more", "COPY (SELECT 1) TO '/tmp/more'",
                          f"SET ROLE {service}_migrator"):
            assert_denied(connection, statement)


def test_nobody_else_may_connect(system):
    with system.parts.connect("postgres") as admin:
        admin.execute("DROP ROLE IF EXISTS passer_by")
        admin.execute("CREATE ROLE passer_by LOGIN PASSWORD 'a-password-of-nobody'")
    SECRETS.add("a-password-of-nobody")
    with pytest.raises(psycopg.OperationalError, match="CONNECT privilege"):
        system.parts.with_settings(DB_USER="passer_by", DB_PASSWORD="a-password-of-nobody").connect(system.name)
    with system.parts.connect("postgres") as admin:
        admin.execute("DROP ROLE passer_by")
