"""PostgreSQL under Patroni: three nodes, three etcd, HAProxy, and PgBouncer in front of it. What they say to each other goes
through links that a test may cut. The settings are those of deploy."""

import concurrent.futures
import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile

import requests
from clusters import AS_POSTGRES, BIN
from harness import ROOT, eventually, free_port
from pooler import write_settings

DEPLOY = ROOT / "deploy/patroni"
NAMES = ("a", "b", "c")
USER, PASSWORD = "postgres", "password-of-the-cluster"
LOCAL = "127.0.0.1"
HEALING = 180  # maximum seconds until all nodes are well again


def ask(port, path, method="GET", timeout=2, **options):
    """A request to a REST API. None when nobody answers."""
    with contextlib.suppress(requests.RequestException), requests.Session() as session:
        session.trust_env = False
        return session.request(method, f"http://{LOCAL}:{port}{path}", timeout=timeout, **options)
    return None


class Process:
    """A program in a folder of its own, as the user postgres, since PostgreSQL refuses to run as root."""

    def __init__(self, name, folder, command, **environment):
        self.name, self.folder, self.command, self.process = name, folder, command, None
        self.environment = {"PATH": os.environ["PATH"] + ":/usr/sbin", "LC_ALL": "C.UTF-8"} | environment
        folder.mkdir()
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres", "postgres")

    def start(self):
        if self.process is not None and self.process.poll() is None:
            return
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen([*AS_POSTGRES, *self.command], cwd=self.folder, env=self.environment,
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def all(self):
        """The pids of all processes that work in the folder, and where: also those of PostgreSQL, which outlive Patroni."""
        found = {}
        for entry in pathlib.Path("/proc").iterdir():
            if entry.name.isdecimal():
                with contextlib.suppress(OSError):
                    place = (entry / "cwd").readlink()
                    if place.is_relative_to(self.folder):
                        found[int(entry.name)] = place
        return found

    def signal_all(self, number):
        """Again and again, as they may make new ones meanwhile. A zombie has no folder any more."""
        done, left = set(), self.all()
        while left:
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
            done.update(left)
            left = [pid for pid in self.all() if pid not in done]

    def kill_all(self):
        self.signal_all(signal.SIGSTOP)
        self.signal_all(signal.SIGKILL)
        eventually(lambda: not self.all(), what=f"the end of {self.name}")
        self.kill()


class Node(Process):
    """Patroni and its PostgreSQL. Others reach both through links, and so does it reach etcd."""

    def __init__(self, name, folder, add_link, etcd_ports):
        self.port, self.rest_port, self.data = free_port(), free_port(), folder / "data"
        inner = {f"{name}:postgres": self.port, f"{name}:rest": self.rest_port}
        inner |= {f"{name}:etcd-{i}": port for i, port in enumerate(etcd_ports)}
        self.links = {link: add_link(link, LOCAL, port) for link, port in inner.items()}
        links = list(self.links.values())
        super().__init__(
            name, folder, ["patroni", "patroni.yml"], PATRONI_SCOPE="orders", PATRONI_NAME=name,
            PATRONI_ETCD_HOSTS=",".join(f"{LOCAL}:{port}" for port in links[2:]),
            PATRONI_ETCD_USE_PROXIES="true",  # to keep to the links
            PATRONI_RESTAPI_LISTEN=f"{LOCAL}:{self.rest_port}", PATRONI_RESTAPI_CONNECT_ADDRESS=f"{LOCAL}:{links[1]}",
            PATRONI_POSTGRESQL_LISTEN=f"{LOCAL}:{self.port}", PATRONI_POSTGRESQL_CONNECT_ADDRESS=f"{LOCAL}:{links[0]}",
            PATRONI_POSTGRESQL_DATA_DIR=str(self.data), PATRONI_POSTGRESQL_BIN_DIR=BIN,
            PATRONI_POSTGRESQL_PGPASS=str(folder / "pgpass"), PATRONI_SUPERUSER_USERNAME=USER,
            PATRONI_SUPERUSER_PASSWORD=PASSWORD, PATRONI_REPLICATION_USERNAME="replicator",
            PATRONI_REPLICATION_PASSWORD=PASSWORD, HOME=str(folder))
        shutil.copy(DEPLOY / "patroni.yml", folder)  # the user postgres may have no access to the repository

    def is_primary(self):
        """Asked so often that it must cost little."""
        with contextlib.suppress(OSError), socket.create_connection((LOCAL, self.rest_port), timeout=1) as connection:
            connection.sendall(b"OPTIONS /primary HTTP/1.0\r\n\r\n")
            return connection.recv(64).split(b" ")[1:2] == [b"200"]
        return False

    def postmaster(self):
        return int((self.data / "postmaster.pid").read_text().split()[0])

    def kill_postmaster(self):
        os.kill(self.postmaster(), signal.SIGKILL)

    def freeze(self):
        self.signal_all(signal.SIGSTOP)

    def thaw(self):
        self.signal_all(signal.SIGCONT)


class Cluster:
    """start() and close(), or `with`."""

    def __init__(self, add_link):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="patroni-", dir="/var/tmp"))
        self.folder.chmod(0o755)
        self.etcds, self.nodes = [], []
        self.client_ports = [free_port() for _ in NAMES]
        peers = [f"http://{LOCAL}:{free_port()}" for _ in NAMES]
        for i, (port, peer) in enumerate(zip(self.client_ports, peers, strict=True)):
            client = f"http://{LOCAL}:{port}"
            self.etcds.append(Process(f"etcd-{i}", self.folder / f"etcd-{i}", [
                "etcd", "--enable-v2", "--name", f"etcd-{i}", "--data-dir", "data", "--listen-client-urls", client,
                "--advertise-client-urls", client, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                "--initial-cluster", ",".join(f"etcd-{j}={url}" for j, url in enumerate(peers))]))
        for name in NAMES:
            self.nodes.append(Node(name, self.folder / name, add_link, self.client_ports))
        self.port = free_port()
        self.haproxy_links = {}
        environment = {"BIND": f"{LOCAL}:{self.port}"}
        for node in self.nodes:
            name = node.name.upper()
            ports = {part: add_link(f"haproxy:{node.name}-{part}", LOCAL, port)
                     for part, port in (("postgres", node.port), ("rest", node.rest_port))}
            environment |= {f"PG_{name}": f"{LOCAL}:{ports['postgres']}", f"REST_HOST_{name}": LOCAL,
                            f"REST_PORT_{name}": str(ports["rest"])}
        self.haproxy = Process("haproxy", self.folder / "haproxy", ["haproxy", "-db", "-f", "haproxy.cfg"], **environment)
        shutil.copy(DEPLOY / "haproxy.cfg", self.haproxy.folder)
        self.pooler_port = free_port()
        self.pooler = Process("pgbouncer", self.folder / "pgbouncer", ["pgbouncer", "ini"])
        write_settings(self.pooler.folder, self.pooler_port,
                       {"DB_HOST": LOCAL, "DB_PORT": self.port, "DB_USER": USER, "DB_PASSWORD": PASSWORD})

    @property
    def processes(self):
        return [*self.etcds, *self.nodes, self.haproxy, self.pooler]

    def start(self, **dynamic):
        """dynamic: settings that differ from those of deploy/patroni."""
        for etcd in self.etcds:
            etcd.start()
        eventually(self.etcd_is_ready, what="etcd")  # before that, Patroni would end itself
        for process in self.processes:
            process.start()
        eventually(self.primary, timeout=HEALING, what="a primary")
        if dynamic:
            answer = ask(self.primary().rest_port, "/config", "PATCH", json=dynamic)
            assert answer is not None and answer.status_code == 200, answer
        eventually(self.is_well, timeout=HEALING, what="a whole cluster")
        return self

    def etcd_is_ready(self):
        answers = [ask(port, "/version") for port in self.client_ports]
        return all(answer is not None and answer.json()["etcdcluster"] != "not_decided" for answer in answers)

    def primary(self):
        """The node that says so. None without one."""
        with concurrent.futures.ThreadPoolExecutor(len(self.nodes)) as pool:
            found = pool.map(Node.is_primary, self.nodes)
        return next((node for node, is_primary in zip(self.nodes, found, strict=True) if is_primary), None)

    def members(self):
        """What the first node that answers tells of all of them, by name."""
        for node in self.nodes:
            answer = ask(node.rest_port, "/cluster")
            if answer is not None and answer.status_code == 200:
                return {member["name"]: member for member in answer.json()["members"]}
        return {}

    def sync_standby(self):
        name = next((name for name, member in self.members().items() if member["role"] == "sync_standby"), None)
        return next((node for node in self.nodes if node.name == name), None)

    def is_synchronous(self):
        answer = ask(self.nodes[0].rest_port, "/config")
        return answer is not None and answer.status_code == 200 and answer.json().get("synchronous_mode")

    def is_well(self):
        """One leader, and two standbys that follow it without lag."""
        members = self.members()
        roles = sorted(member["role"] for member in members.values())
        wanted = ["leader", "replica", "sync_standby"] if self.is_synchronous() else ["leader", "replica", "replica"]
        timelines = {member.get("timeline") for member in members.values()}
        return roles == wanted and len(timelines) == 1 and self.primary() is not None and all(
            member["state"] in ("running", "streaming") and member.get("lag", 0) in range(65536)
            for member in members.values())

    def heal(self):
        """Starts and thaws whatever is not there."""
        for node in self.nodes:
            node.thaw()
        for process in self.processes:
            process.start()
        eventually(self.is_well, timeout=HEALING, what="a cluster that is whole again")

    def switch_over(self):
        members = self.members()
        leader = next(name for name, member in members.items() if member["role"] == "leader")
        candidates = [name for name, member in members.items() if member["role"] == "sync_standby"] or \
            [name for name, member in members.items() if member["role"] == "replica"]
        node = next(node for node in self.nodes if node.name == leader)
        answer = ask(node.rest_port, "/switchover", "POST", timeout=60, json={"leader": leader, "candidate": candidates[0]})
        assert answer is not None and answer.status_code == 200, answer and answer.text

    def keep_logs(self, folder):
        """Copies them there, and returns where they are."""
        for process in self.processes:
            shutil.copy(process.folder / "log", pathlib.Path(folder, f"cluster-{process.name}.log"))
        return folder

    def close(self):
        try:
            for process in self.processes:
                process.kill_all()
        finally:
            shutil.rmtree(self.folder)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

