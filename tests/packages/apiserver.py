"""The Helm chart in a private Kubernetes that has an API server and controllers, but no machines: what is refused, what the
controllers make of the chart, and how a release is installed, upgraded and removed. Run by scripts/test-apiserver.sh."""

import copy
import os
import pathlib
import uuid

import pytest
import yaml
from private_cluster import CHART, SHOP, Api, Kubelet, eventually, everything, kubectl, render, run, shop_namespace, values_file, worked

VALUES = ("default", "production", "minimal")
NAMES = {name: f"shop-order-processing-{name}-svc" for name in ("order", "delivery")}
PORTS = {"order": 3001, "delivery": 3002}


@pytest.fixture(scope="session", autouse=True)
def cluster():
    worked(kubectl("apply", "--server-side", "-f", pathlib.Path(__file__).with_name("cluster.yaml")))
    worked(kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd/servicemonitors.monitoring.coreos.com"))
    eventually(lambda: kubectl("auth", "can-i", "create", "servicemonitors", "--as", SHOP, "-n", "default").stdout, "the answer")


@pytest.fixture
def namespace():
    with shop_namespace(f"shop-{uuid.uuid4().hex[:8]}") as name:
        yield name


def as_shop(namespace, *arguments, objects=None):
    """A warning is an error."""
    return kubectl("--as", SHOP, "-n", namespace, "--warnings-as-errors", *arguments, objects=objects)


def apply(namespace, objects, *options):
    return as_shop(namespace, "apply", "--server-side", "--validate=strict", *options, objects=objects)


def helm(namespace, command, *options, timeout="120s"):
    return run(os.environ["HELM"], "--namespace", namespace, "--kube-as-user", SHOP, command, "shop", *options, "--timeout", timeout)


def fetch(namespace, kind, name):
    return yaml.safe_load(worked(kubectl("-n", namespace, "get", kind, name, "-o", "json")))


def one(objects, kind, name):
    found, = (thing for thing in objects if thing["kind"] == kind and thing["metadata"]["name"] == name)
    return found


def pods(namespace, component):
    return Api().items(f"/api/v1/namespaces/{namespace}/pods?labelSelector=app.kubernetes.io/component%3D{component}")


def missing(said, held, where=""):
    """What the chart says and the cluster does not hold, which leaves out what is empty."""
    if isinstance(said, dict) and isinstance(held, dict):
        return [fault for key, value in said.items() if value is not None for fault in missing(value, held.get(key), f"{where}.{key}")]
    if isinstance(said, list) and isinstance(held, list) and len(said) == len(held):
        return [fault for i, value in enumerate(said) for fault in missing(value, held[i], f"{where}[{i}]")]
    return [] if said == held or (said in ([], {}) and held is None) else [f"{where}: {said!r} became {held!r}"]


def pod_of(thing):
    template = copy.deepcopy(thing["spec"]["template"])
    return {"apiVersion": "v1", "kind": "Pod", **template, "metadata": {**template["metadata"], "name": "alone"}}


def test_what_nobody_knows_is_refused(namespace):
    deployment = one(render("default", namespace=namespace), "Deployment", NAMES["order"])
    for path, words in (((), ".spec.tolerance"), (("template",), ".spec.template.tolerance"),
                        (("template", "spec"), ".spec.template.spec.tolerance")):
        broken = copy.deepcopy(deployment)
        inner = broken["spec"]
        for key in path:
            inner = inner[key]
        inner["tolerance"] = 1
        done = apply(namespace, [broken], "--dry-run=server")
        assert done.returncode != 0 and f"{words}: field not declared in schema" in done.stderr, done.stderr
    broken = copy.deepcopy(deployment)
    broken["spec"]["replicas"] = "two"
    assert "expected numeric" in apply(namespace, [broken], "--dry-run=server").stderr
    broken = copy.deepcopy(deployment)
    broken["spec"]["selector"]["matchLabels"]["app.kubernetes.io/name"] = "other"
    assert "`selector` does not match template `labels`" in apply(namespace, [broken], "--dry-run=server").stderr


def privileged(spec):
    spec["containers"][0]["securityContext"].update(privileged=True, allowPrivilegeEscalation=True)


def as_root(spec):
    spec["securityContext"]["runAsNonRoot"] = False


def with_capabilities(spec):
    del spec["containers"][0]["securityContext"]["capabilities"]


def without_seccomp(spec):
    del spec["securityContext"]["seccompProfile"]


def in_the_network_of_the_host(spec):
    spec["hostNetwork"] = True


def with_files_of_the_host(spec):
    spec["volumes"].append({"name": "host", "hostPath": {"path": "/etc"}})


RIGHTS = {privileged: "privileged (container", as_root: "runAsNonRoot != true", with_capabilities: "unrestricted capabilities",
          without_seccomp: "seccompProfile", in_the_network_of_the_host: "host namespaces", with_files_of_the_host: "restricted volume types"}


def test_pods_with_more_rights_are_refused(namespace):
    objects = render("default", namespace=namespace)
    deployment = one(objects, "Deployment", NAMES["order"])
    worked(apply(namespace, [one(objects, "ServiceAccount", "shop"), pod_of(deployment)]))
    for change, words in RIGHTS.items():
        pod = pod_of(deployment)
        pod["metadata"]["name"] = "other"
        change(pod["spec"])
        done = apply(namespace, [pod])
        assert done.returncode != 0 and 'violates PodSecurity "restricted:latest"' in done.stderr and words in done.stderr, done.stderr


def test_a_deployment_with_more_rights_gets_no_pods(namespace):
    objects = render("default", namespace=namespace)
    deployment = one(objects, "Deployment", NAMES["order"])
    privileged(deployment["spec"]["template"]["spec"])
    done = apply(namespace, [one(objects, "ServiceAccount", "shop"), deployment])
    assert done.returncode != 0 and 'would violate PodSecurity "restricted:latest"' in done.stderr, done.stderr  # a warning

    def refused():
        conditions = fetch(namespace, "deployment", NAMES["order"])["status"].get("conditions", [])
        return any(c["type"] == "ReplicaFailure" and "violates PodSecurity" in c["message"] for c in conditions)
    eventually(refused, "the refusal of its Pods")
    assert pods(namespace, "order-svc") == []


@pytest.mark.parametrize("values", VALUES)
def test_the_chart_is_taken_as_it_is(namespace, values):
    before = everything(namespace)
    objects = render(values, namespace=namespace)
    worked(apply(namespace, objects, "--dry-run=server"))
    assert everything(namespace) == before
    worked(apply(namespace, objects))
    # Every Pod passes the admission, with what its template says.
    for thing in objects:
        name = thing["metadata"]["name"]
        if thing["kind"] == "HorizontalPodAutoscaler":
            continue
        held = fetch(namespace, thing["kind"], name)
        assert missing(thing["spec"] if "spec" in thing else thing, held["spec"] if "spec" in thing else held) == [], name
        if thing["kind"] in ("Deployment", "Job"):
            template = thing["spec"]["template"]
            component = template["metadata"]["labels"]["app.kubernetes.io/component"]
            count = thing["spec"].get("replicas", 3) if thing["kind"] == "Deployment" else 1
            found = eventually(lambda c=component, n=count: len(found := pods(namespace, c)) == n and found, f"{count} of {name}")
            for pod in found:
                assert missing({k: v for k, v in template["spec"].items() if k != "volumes"}, pod["spec"]) == []
                assert missing(template["metadata"]["labels"], pod["metadata"]["labels"]) == []
                assert not any("projected" in volume for volume in pod["spec"].get("volumes", []))  # no token of the API
    done = as_shop(namespace, "diff", "--server-side", objects=objects)
    assert done.returncode == 0, done.stdout + done.stderr
    worked(as_shop(namespace, "delete", "--wait=true", "--timeout=60s", objects=objects))
    eventually(lambda: everything(namespace) == before, "that nothing is left")


def test_long_names_are_taken(namespace):
    objects = render("production", namespace=namespace, release="r" * 53)
    worked(apply(namespace, objects, "--dry-run=server"))


def available(namespace, name):
    return fetch(namespace, "deployment", NAMES[name])["status"].get("availableReplicas", 0)


def check_services(namespace, name, count):
    """The Services find the ready Pods, at the ports of their containers."""
    for service, port in ((NAMES[name], PORTS[name]), (f"{NAMES[name]}-metrics", 9464 if name == "order" else 9465)):
        def found(service=service, port=port):
            path = f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices?labelSelector=kubernetes.io/service-name%3D{service}"
            slices = Api().items(path)
            ready = [e for s in slices for e in s.get("endpoints") or [] if e["conditions"]["ready"]]
            return len(ready) == count and all(p["port"] == port for s in slices for p in s["ports"])
        eventually(found, f"{count} addresses of {service}")


def check_disruption(namespace, name, kubelet):
    """One Pod may be evicted, and no second one before another is ready."""
    eventually(lambda: fetch(namespace, "poddisruptionbudget", NAMES[name])["status"]["disruptionsAllowed"] == 1, "an allowed disruption")
    answers = []
    with kubelet.asleep:
        for pod in pods(namespace, f"{name}-svc"):
            body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod["metadata"]["name"]}}
            path = f"/api/v1/namespaces/{namespace}/pods/{pod['metadata']['name']}/eviction"
            answers.append(Api().call("POST", path, body).status_code)
    assert answers == [201, 429]
    eventually(lambda: available(namespace, name) == 2, "another Pod")


def install(namespace, values, *options, command="install"):
    fresh = ("--reset-values",) if command == "upgrade" else ()  # else Helm keeps those of before when none are given
    return helm(namespace, command, CHART, *values_file(values), "--wait", *fresh, *options)


def test_a_release_is_installed_upgraded_and_removed(namespace):
    before = everything(namespace)
    with Kubelet(namespace) as kubelet:
        worked(install(namespace, "default"))
        assert kubelet.jobs_seen == {f"{name}-migrate" for name in NAMES.values()}
        for name in NAMES:
            assert available(namespace, name) == 2
            check_services(namespace, name, 2)
            check_disruption(namespace, name, kubelet)
        # other values, each way
        for values in ("production", "minimal", "default", "minimal", "production", "default"):
            worked(install(namespace, values, command="upgrade"))
            for name in NAMES:
                count = {"default": 2, "production": 3, "minimal": 1}[values]
                eventually(lambda n=name, c=count: available(namespace, n) == c, f"{count} of {name}")
                check_services(namespace, name, count)
        worked(helm(namespace, "uninstall", "--wait"))
        eventually(lambda: everything(namespace) == before, "that nothing is left")


def test_a_failed_migration_leaves_the_old_release(namespace):
    with Kubelet(namespace) as kubelet:
        worked(install(namespace, "default"))
        old = {name: fetch(namespace, "deployment", NAMES[name])["spec"] for name in NAMES}
        kubelet.jobs_succeed = False
        done = install(namespace, "default", "--set", "image.tag=2.0.0,migration.timeout=3", command="upgrade")
        assert done.returncode != 0 and "DeadlineExceeded" in done.stderr, done.stderr
        assert {name: fetch(namespace, "deployment", NAMES[name])["spec"] for name in NAMES} == old
        assert all(available(namespace, name) == 2 for name in NAMES)
        kubelet.jobs_succeed = True
        worked(install(namespace, "default", "--set", "image.tag=2.0.0", command="upgrade"))
        for name in NAMES:
            images = {pod["spec"]["containers"][0]["image"] for pod in pods(namespace, f"{name}-svc")}
            assert images == {"order-processing-system:2.0.0"}
        worked(helm(namespace, "rollback", "1", "--wait"))
        assert {name: fetch(namespace, "deployment", NAMES[name])["spec"]["template"] for name in NAMES} == {
            name: spec["template"] for name, spec in old.items()}
        worked(helm(namespace, "uninstall", "--wait"))
