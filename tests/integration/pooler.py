"""A PgBouncer of a test's own, with the settings of deploy/pgbouncer."""

import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

from clusters import AS_POSTGRES
from harness import ROOT, eventually, free_port

PROGRAM = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")


def write_settings(folder, port, server, **more):
    """Of a PgBouncer that listens at the port, in front of the server, which has the settings of a daemon that uses it."""
    user, password = server["DB_USER"], server["DB_PASSWORD"]
    (folder / "users").write_text(f'"{user}" "{password}"\n')
    lines = {"listen_addr": "127.0.0.1", "listen_port": port, "auth_file": folder / "users"} | more
    lines = {name: f"{name} = {value}" for name, value in lines.items()}
    lines["orderprocessing"] = f"* = host={server['DB_HOST']} port={server['DB_PORT']}"
    ini = (ROOT / "deploy/pgbouncer/pgbouncer.ini").read_text()
    for name, line in lines.items():
        ini, found = re.subn(f"^{name} = .*", line, ini, flags=re.MULTILINE)
        assert found == 1, name
    (folder / "ini").write_text(f"{ini}unix_socket_dir =\nadmin_users = {user}\n")


class PgBouncer:
    def __init__(self, server, sessions):
        """server: the settings of a daemon that uses it."""
        self.settings, self.port = server, free_port()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="pooler-", dir="/var/tmp"))
        write_settings(self.folder, self.port, server, default_pool_size=sessions)
        if AS_POSTGRES:
            subprocess.run(["chown", "-R", "postgres:", self.folder], check=True)
        self.start()

    def start(self):
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen([*AS_POSTGRES, PROGRAM, self.folder / "ini"], cwd="/", stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log)
        eventually(self.answers, what="PgBouncer")

    def answers(self):
        with contextlib.suppress(subprocess.CalledProcessError):
            return self.show("VERSION")
        return None

    def query(self, database, text):
        environment = os.environ | {"PGPASSWORD": self.settings["DB_PASSWORD"]}
        return subprocess.run(["psql", "-h", "127.0.0.1", "-p", str(self.port), "-U", self.settings["DB_USER"], "-d", database,
                               "-AtqX", "-F", "|", "-c", text], check=True, env=environment, capture_output=True, text=True).stdout

    def show(self, what):
        return [line.split("|") for line in self.query("pgbouncer", f"SHOW {what}").splitlines()]

    def sessions(self, database):
        """How many it has with PostgreSQL."""
        return len([row for row in self.show("SERVERS") if row[2] == database])

    def clients(self, database):
        return len([row for row in self.show("CLIENTS") if row[2] == database])

    def stop(self):
        self.process.kill()
        self.process.wait()

    def behind(self):
        """The settings of a daemon that is to use it."""
        return {"DB_POOLER": "transaction", "DB_HOST": "127.0.0.1", "DB_PORT": str(self.port),
                "DB_DIRECT_HOST": self.settings["DB_HOST"], "DB_DIRECT_PORT": self.settings["DB_PORT"]}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.folder)
