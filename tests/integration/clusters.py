"""PostgreSQL clusters of a test's own: a primary, and a standby of it."""

import contextlib
import glob
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

from harness import eventually, free_port

BIN = sorted(glob.glob("/usr/lib/postgresql/*/bin"))[-1]
AS_POSTGRES = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"] if os.geteuid() == 0 else []
PASSWORD = "password-of-the-clusters"


def run(*command, **options):
    """One of PostgreSQL's programs; it refuses to run as root."""
    return subprocess.run([*AS_POSTGRES, *command], check=True, cwd="/", stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, **options)


class Cluster:
    def __init__(self, address="127.0.0.1", port=None):
        self.address, self.port, self.process = address, port or free_port(), None
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="cluster-", dir="/var/tmp"))
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")
        self.data = self.folder / "data"

    def initialize(self):
        run(f"{BIN}/initdb", "-D", self.data, "-U", "admin", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8",
            "--no-sync")
        return self

    def copy(self, primary):
        """Makes this a standby of the primary."""
        run(f"{BIN}/pg_basebackup", "-D", self.data, "-h", primary.address, "-p", str(primary.port), "-U", "admin", "-R",
            "--checkpoint=fast", "--no-sync")
        return self

    def start(self):
        options = ["-c", f"port={self.port}", "-c", f"listen_addresses={self.address}", "-c", "unix_socket_directories="]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen([*AS_POSTGRES, f"{BIN}/postgres", "-D", self.data, *options], cwd="/",
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        eventually(self.answers, what="the cluster")
        return self

    def answers(self):
        command = [f"{BIN}/pg_isready", "-q", "-h", self.address, "-p", str(self.port)]
        return subprocess.run(command, check=False).returncode == 0

    def sql(self, text, database="postgres"):
        done = run("psql", "-h", self.address, "-p", str(self.port), "-U", "admin", "-d", database, "-Atqc", text)
        return done.stdout.strip()

    def promote(self):
        run(f"{BIN}/pg_ctl", "promote", "-w", "-D", self.data)

    def stop(self, mode):
        if self.process:
            run(f"{BIN}/pg_ctl", "stop", "-m", mode, "-D", self.data)
            self.process.wait()
            self.process = None

    def kill(self):
        """The end that it cannot prepare for."""
        self.stop("immediate")

    def remove(self):
        """Deletes the data of a server that was stopped."""
        shutil.rmtree(self.data)
        return self

    def _signal(self, number):
        """To all of its processes."""
        ppid = self.process.pid
        children = subprocess.run(["pgrep", "-P", str(ppid)], check=True, capture_output=True, text=True).stdout.split()
        for pid in (ppid, *map(int, children)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def freeze(self):
        self._signal(signal.SIGSTOP)

    def thaw(self):
        self._signal(signal.SIGCONT)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()
        shutil.rmtree(self.folder)


@contextlib.contextmanager
def primary_and_standby(primary=(), standby=()):
    """Both run, and have an empty database for the daemons. primary, standby: addresses and ports."""
    with Cluster(*primary) as primary, Cluster(*standby) as standby:
        primary.initialize().start()
        primary.sql("CREATE DATABASE orderprocessing")
        standby.copy(primary).start()
        yield primary, standby
