"""Secrets that are replaced in their files while the daemons run: none needs a restart."""

import contextlib

import psycopg
import pytest
from harness import SECRETS, System, eventually, http
from private_redis import private_redis, settings_of
from sigv4_check import SignedSqs

OLD, NEW = "the-password-of-yesterday", "the-password-of-today"


@pytest.fixture
def both(parts):
    with System(parts) as one:
        SECRETS.update((OLD, NEW))
        yield one


def answers_201(daemon, system):
    return system.client(daemon=daemon).create().status_code == 201


def test_password_of_postgresql(both, tmp_path):
    role, file = both.name, tmp_path / "password"
    both.query(f"CREATE ROLE {role} SUPERUSER LOGIN PASSWORD '{OLD}'")
    file.write_text(OLD)
    order = both.order_svc(DB_USER=role, DB_PASSWORD="", DB_PASSWORD_FILE=str(file)).start()
    assert answers_201(order, both)
    both.query(f"ALTER ROLE {role} PASSWORD '{NEW}'")
    file.write_text(NEW)
    both.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", role)
    eventually(lambda: answers_201(order, both), what="an order with the new password")
    eventually(order.is_ready)
    order.stop()
    both.query(f"REASSIGN OWNED BY {role} TO admin; DROP OWNED BY {role}; DROP ROLE {role}")


def test_user_and_password_of_redis(both, tmp_path):
    file = tmp_path / "password"
    file.write_text(OLD)
    rules = f"user orders on >{OLD} ~order:* +ping +select +mget +set +evalsha +eval +getrange"
    acl = tmp_path / "users.acl"
    acl.write_text(f"user default on nopass ~* &* +@all\n{rules}\n")
    with private_redis(tmp_path, "--aclfile", str(acl)) as server:
        order = both.order_svc(**settings_of(server), REDIS_USERNAME="orders", REDIS_PASSWORD="",
                               REDIS_PASSWORD_FILE=str(file)).start()

        def is_cached():
            assert answers_201(order, both)
            return server.dbsize() > 0 and http("GET", f"{order.url}/health").json()["dependencies"]["redis"]

        eventually(is_cached, what="an order in Redis")
        server.acl_setuser("orders", reset_passwords=True, passwords=[f"+{NEW}"], enabled=True)
        file.write_text(NEW)
        server.client_kill_filter(_type="normal", skipme=True)
        server.flushdb()
        eventually(is_cached, what="an order in Redis with the new password")
        order.stop()


def test_temporary_credentials_of_aws(both, tmp_path):
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")

    def write(*values):
        for name, value in zip(names, values, strict=True):
            (tmp_path / name).write_text(value)

    first = ("AKIDYESTERDAY", "secret-key-of-yesterday", "session-token-of-yesterday")
    second = ("AKIDTODAY", "secret-key-of-today", "session-token-of-today")
    SECRETS.update(first[1:] + second[1:])
    write(*first)
    with SignedSqs(first[0], first[1], "us-east-1", first[2]) as server:
        files = {f"{name}_FILE": str(tmp_path / name) for name in names} | dict.fromkeys(names, "")
        order = both.order_svc(SQS_ENDPOINT=server.endpoint, **files).start()

        def sent():
            return len(server.sqs.queues.get(both.settings["ORDERS_QUEUE"], []))

        assert answers_201(order, both)
        eventually(lambda: sent() == 1, what="the event of the first order")
        server.key, server.secret, server.token = second
        assert answers_201(order, both)
        eventually(lambda: "relay of order_outbox is unavailable" in order.log_text(), what="a refused call")
        write(*second)
        eventually(lambda: sent() == 2, what="the event of the second order")
        eventually(lambda: http("GET", f"{order.url}/health").json()["dependencies"]["sqs"])
        order.stop()


def test_the_old_secret_is_used_while_the_file_cannot_be_read(both, parts, tmp_path):
    file = tmp_path / "password"
    file.write_text(parts.settings["DB_PASSWORD"])
    order = both.order_svc(DB_PASSWORD="", DB_PASSWORD_FILE=str(file)).start()
    file.unlink()
    with contextlib.suppress(psycopg.errors.AdminShutdown):
        both.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                   " WHERE datname = current_database() AND pid <> pg_backend_pid()")
    eventually(lambda: answers_201(order, both), what="an order with the password of the start")
    order.stop()
