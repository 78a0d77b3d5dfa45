"""A Prometheus with the configuration and the rules of deploy/observability, for the daemons of a test."""

import json
import pathlib
import shutil
import subprocess
import tempfile

import requests
from harness import PATIENCE, ROOT, eventually, free_port

DEPLOYED = ROOT / "deploy/observability"


class Prometheus:
    """Started by `with`. targets: the addresses of each job."""

    def __init__(self, **targets):
        self.folder, self.port = pathlib.Path(tempfile.mkdtemp(prefix="prometheus-")), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.targets = {job.replace("_", "-"): addresses for job, addresses in targets.items()}
        self.targets |= {"prometheus": [f"127.0.0.1:{self.port}"], "alertmanager": []}
        self.process, self.session = None, requests.Session()
        self.session.trust_env = False

    def __enter__(self):
        shutil.copy(DEPLOYED / "prometheus.yml", self.folder)
        shutil.copytree(DEPLOYED / "rules", self.folder / "rules")
        (self.folder / "targets").mkdir()
        for job, addresses in self.targets.items():
            (self.folder / f"targets/{job}.yml").write_text(json.dumps([{"targets": addresses}]))
        with (self.folder / "log").open("w") as log:
            self.process = subprocess.Popen(
                ["prometheus", f"--config.file={self.folder}/prometheus.yml", f"--storage.tsdb.path={self.folder}/data",
                 f"--web.listen-address=127.0.0.1:{self.port}"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            eventually(self.is_ready, what="Prometheus")
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            print((self.folder / "log").read_text()[-3000:])
        self.close()

    def close(self):
        self.process.kill()
        self.process.wait()
        self.session.close()
        shutil.rmtree(self.folder)

    def is_ready(self):
        assert self.process.poll() is None, (self.folder / "log").read_text()[-3000:]
        try:
            return self.session.get(f"{self.url}/-/ready", timeout=PATIENCE).status_code == 200
        except requests.ConnectionError:
            return False

    def ask(self, path, **parameters):
        answer = self.session.get(f"{self.url}/api/v1/{path}", params=parameters, timeout=PATIENCE).json()
        assert answer["status"] == "success", f"{path} {parameters}: {answer}"
        return answer["data"]

    def query(self, expression):
        """The result: [(labels, value)]. What is not a number is left out."""
        data = self.ask("query", query=expression)
        found = [data["result"]] if data["resultType"] == "scalar" else [one["value"] for one in data["result"]]
        labels = [{}] if data["resultType"] == "scalar" else [one["metric"] for one in data["result"]]
        return [(its, float(value)) for its, (_, value) in zip(labels, found) if value != "NaN"]

    def firing(self):
        """The names of the alerts that fire, with the summary of each."""
        return {one["labels"]["alertname"]: one["annotations"]["summary"] for one in self.ask("alerts")["alerts"]
                if one["state"] == "firing"}
