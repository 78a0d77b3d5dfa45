"""Listening on IPv6: both kinds of addresses or one, and what is made of the address of a client."""

import socket
import subprocess

import pytest
from harness import Api, System, at_once, eventually, http


def start(system, name="order_svc", host="[::1]", **settings):
    daemon = getattr(system, name)(**settings)
    daemon.url = f"http://{host}:{daemon.port}"
    return daemon.start()


def reaches(daemon, host):
    try:
        socket.create_connection((host, daemon.port), timeout=60).close()
    except ConnectionRefusedError:
        return False
    return True


@pytest.mark.parametrize("name", ["order_svc", "delivery_svc"])
@pytest.mark.parametrize("bind, ipv4, ipv6", [("::", True, True), ("::1", False, True), ("127.0.0.1", True, False),
                                              ("0.0.0.0", True, False), ("::ffff:127.0.0.1", True, False)])
def test_an_address_takes_its_kind_of_clients(parts, name, bind, ipv4, ipv6):
    with System(parts, BIND_ADDRESS=bind) as system:
        daemon = start(system, name, host="[::1]" if ipv6 else "127.0.0.1")
        assert (reaches(daemon, "127.0.0.1"), reaches(daemon, "::1")) == (ipv4, ipv6)


@pytest.mark.parametrize("bind", ["localhost", "[::1]", "::1%lo", "1.2.3", ":::", "127.0.0.1:80"])
def test_the_check_refuses_what_is_no_address(parts, bind):
    with System(parts, BIND_ADDRESS=bind) as system:
        for daemon in (system.order_svc(), system.delivery_svc()):
            checked = subprocess.run([daemon.program, "--check-config"], env=daemon.environment, capture_output=True,
                                     text=True, timeout=60)
            assert checked.returncode == 1
            assert "BIND_ADDRESS: must be an IPv4 or IPv6 address" in checked.stderr


def refused(url, address=None):
    """Asks until the limit of the address is reached."""
    headers = {"X-Forwarded-For": address} if address else {}
    eventually(lambda: 429 in at_once([lambda: http("GET", f"{url}/orders", headers=headers).status_code] * 20))


def test_clients_of_both_kinds_have_limits_of_their_own(parts):
    with System(parts, BIND_ADDRESS="::", RATE_LIMIT_ADDRESS="5") as system:
        daemon = start(system)
        for host, text in (("127.0.0.1", "127.0.0.1"), ("[::1]", "::1")):
            lines = len(daemon.log_lines())
            refused(f"http://{host}:{daemon.port}")

            def told(start=lines):
                return [line["body"] for line in daemon.log_lines()[start:] if "limit 'address'" in line["body"]]

            if host == "127.0.0.1":
                eventually(told, what="the line about the limit")
            assert all(f"the last from {text}" in line for line in told()), "an IPv4 client is logged as such"


@pytest.mark.parametrize("host, proxies", [("[::1]", "::1"), ("127.0.0.1", "127.0.0.0/8"), ("[::1]", "::/64")])
def test_a_proxy_may_come_by_either(parts, host, proxies):
    with System(parts, BIND_ADDRESS="::", RATE_LIMIT_ADDRESS="5", TRUSTED_PROXIES=proxies) as system:
        daemon = start(system, host=host)
        refused(daemon.url, "2001:db8::1")
        eventually(lambda: http("GET", f"{daemon.url}/orders", headers={"X-Forwarded-For": "192.0.2.1"}).status_code == 401)
        other = "127.0.0.1" if host == "[::1]" else "[::1]"
        answers = at_once([lambda: http("GET", f"http://{other}:{daemon.port}/orders",
                                        headers={"X-Forwarded-For": "2001:db8:0:1::1"}).status_code] * 40)
        assert 429 in answers, "another peer is no proxy: all its requests have its own address"


def test_orders_come_by_ipv6(parts):
    with System(parts, BIND_ADDRESS="::1") as system:
        daemon = start(system)
        assert Api(daemon.url, system.mint()).create().status_code == 201
