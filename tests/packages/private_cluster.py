"""The private Kubernetes of scripts/apiserver.sh, with this file in place of its machines: see Kubelet."""

import contextlib
import json
import os
import pathlib
import subprocess
import threading
import time

import requests
import yaml

PATIENCE = 120
CHART = pathlib.Path(__file__).parents[2] / "packaging/helm/order-processing"
SHOP = "shop-admin"  # a person who may do in one namespace what the role admin allows, and nothing elsewhere


def eventually(condition, what, timeout=PATIENCE):
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what} did not come true within {timeout} s"
        time.sleep(0.2)
    return value


def run(*arguments, text=None, timeout=PATIENCE):
    return subprocess.run([str(a) for a in arguments], input=text, check=False, capture_output=True, text=True, timeout=timeout)


def worked(done):
    assert done.returncode == 0, f"{done.args}\n{done.stdout}{done.stderr}"
    return done.stdout


def kubectl(*arguments, objects=None):
    """Objects are given to -f -."""
    text = None if objects is None else yaml.safe_dump_all(objects)
    return run(os.environ["KUBECTL"], *arguments, *(() if objects is None else ("-f", "-")), text=text)


def values_file(values):
    return () if values == "default" else ("-f", CHART / f"values-{values}.yaml")


def render(values, *options, release="shop", namespace="orders"):
    done = run(os.environ["HELM"], "template", release, CHART, "--namespace", namespace, "--kube-version", "1.36.0",
               *values_file(values), *options)
    return [document for document in yaml.safe_load_all(worked(done)) if document]


class Api:
    """Requests of the one who may do everything."""

    def __init__(self):
        config = yaml.safe_load(pathlib.Path(os.environ["KUBECONFIG"]).read_text(encoding="utf-8"))
        cluster = config["clusters"][0]["cluster"]
        self.server, self.session = cluster["server"], requests.Session()
        self.session.trust_env = False  # else the certificates of the environment would take precedence
        self.session.verify = cluster["certificate-authority"]
        self.session.headers["Authorization"] = f"Bearer {config['users'][0]['user']['token']}"

    def call(self, method, path, body=None, kind="application/json"):
        data = None if body is None else json.dumps(body)
        return self.session.request(method, self.server + path, data=data, headers={"Content-Type": kind}, timeout=30)

    def items(self, path):
        answer = self.call("GET", path)
        answer.raise_for_status()
        return answer.json()["items"]


class Kubelet:
    """Says of each Pod of a daemon that it runs on the machine and is ready, until it is deleted, and of each Pod of a Job that it
    has succeeded, or nothing of it."""

    def __init__(self, namespace):
        self.api, self.path = Api(), f"/api/v1/namespaces/{namespace}/pods"
        self.jobs_succeed, self.jobs_seen, self.address = True, set(), 0
        self.asleep = threading.Lock()  # held by one who wants it to do nothing
        self.ends, self.thread = threading.Event(), threading.Thread(target=self.work)
        self.fault = None

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ends.set()
        self.thread.join()
        assert self.fault is None, self.fault

    def work(self):
        try:
            while not self.ends.wait(0.2):
                with self.asleep:
                    for pod in self.api.items(self.path):
                        if "deletionTimestamp" in pod["metadata"]:
                            self.ask("DELETE", pod["metadata"]["name"], {"gracePeriodSeconds": 0})
                        elif pod["status"]["phase"] == "Pending":
                            self.tell(pod["metadata"])
        except Exception as fault:  # shown by the thread that waits for the Pods
            self.fault = fault

    def ask(self, method, name, body, kind="application/json"):
        answer = self.api.call(method, f"{self.path}/{name}", body, kind)
        assert answer.ok or answer.status_code in (404, 409), answer.text  # somebody else was quicker

    def tell(self, metadata):
        name, job = metadata["name"], metadata["labels"].get("batch.kubernetes.io/job-name")
        if job:
            self.jobs_seen.add(job)
            if not self.jobs_succeed:
                return
            status = {"phase": "Succeeded"}
        else:
            self.address += 1
            now, address = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), f"203.0.113.{self.address}"
            status = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}],
                      "conditions": [{"type": kind, "status": "True", "lastTransitionTime": now} for kind in ("ContainersReady", "Ready")]}
            self.ask("POST", f"{name}/binding", {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name},
                                                 "target": {"apiVersion": "v1", "kind": "Node", "name": "paper"}})
        self.ask("PATCH", f"{name}/status", {"status": status}, "application/merge-patch+json")


def everything(namespace):
    """The names of all objects in the namespace. Events and what the controllers make of the Services tell of the past."""
    kinds = worked(kubectl("api-resources", "--namespaced", "--verbs=list", "-o", "name")).split()
    kinds = [kind for kind in kinds if not kind.startswith(("events", "leases", "bindings"))]
    return set(worked(kubectl("-n", namespace, "get", ",".join(kinds), "-o", "name")).split())


@contextlib.contextmanager
def shop_namespace(name):
    """A namespace that takes only Pods of the standard 'restricted', and warns of what would make others."""
    labels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
    group = "rbac.authorization.k8s.io"
    worked(kubectl("create", objects=[
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}},
        {"apiVersion": f"{group}/v1", "kind": "RoleBinding", "metadata": {"name": "shop", "namespace": name},
         "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "admin"},
         "subjects": [{"apiGroup": group, "kind": "User", "name": SHOP}]},
    ]))
    try:
        eventually(lambda: len(everything(name)) == 3, "the account and the certificate that each namespace gets")
        yield name
    finally:
        worked(kubectl("delete", "namespace", name, "--wait=false"))
