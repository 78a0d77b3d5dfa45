"""What must hold of the chart, whatever the values: chart.py RENDERED.yaml default|production|minimal|pooler DIR

DIR holds the daemons. They check the settings that the chart gives them."""

import pathlib
import subprocess
import sys
import tempfile

import yaml

RESTRICTED_VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
WORDS = ("password", "secret", "AKIA")


def pods(documents):
    for document in documents:
        if document["kind"] in ("Deployment", "Job"):
            yield document, document["spec"]["template"]


def one(documents, kind, end):
    found = [d for d in documents if d["kind"] == kind and d["metadata"]["name"].endswith(end)]
    assert len(found) == 1, (kind, end, [d["metadata"]["name"] for d in found])
    return found[0]


def environment(container):
    return {entry["name"]: entry["value"] for entry in container["env"]}


def check_restricted(pod):
    """The Pod Security Standard 'restricted', and what it leaves out."""
    security = pod["securityContext"]
    assert security["runAsNonRoot"] and security["runAsUser"] >= 10000 and security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["enableServiceLinks"] is False and pod["automountServiceAccountToken"] is False
    assert not any(pod.get(name) for name in ("hostNetwork", "hostPID", "hostIPC"))
    for volume in pod.get("volumes", []):
        kind, = set(volume) - {"name"}
        assert kind in RESTRICTED_VOLUMES, volume
        assert volume[kind].get("defaultMode") == 0o440, volume
    for container in pod["containers"]:
        inner = container["securityContext"]
        assert inner["allowPrivilegeEscalation"] is False and inner["readOnlyRootFilesystem"] is True
        assert inner["capabilities"] == {"drop": ["ALL"]} and not inner["privileged"]
        assert container["resources"]["limits"]["memory"] and container["resources"]["requests"]["cpu"]
        for mount in container.get("volumeMounts", []):
            assert mount["readOnly"] and mount["name"] in {volume["name"] for volume in pod["volumes"]}
        names = [entry["name"] for entry in container["env"]]
        assert len(names) == len(set(names)), names


def check_secrets(pod):
    """Every secret is a file, and the files are mounted."""
    container, = pod["containers"]
    mounted = set()
    for volume in pod.get("volumes", []):
        path = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}[volume["name"]]
        mounted |= {f"{path}/{item['path']}" for item in volume["secret"].get("items", [])} | {path}
        if volume["name"] == "tls":
            mounted |= {f"{path}/tls.crt", f"{path}/tls.key"}
    for name, value in environment(container).items():
        if name.endswith("_FILE") or name in ("JWT_KEYS", "DB_SSLROOTCERT"):
            assert value in mounted, (name, value, mounted)
        else:
            assert not any(word in value for word in WORDS), (name, value)


def check_config(programs, daemon, settings):
    return subprocess.run([pathlib.Path(programs, daemon), "--check-config"], env=settings, check=False, capture_output=True,
                          text=True, timeout=60)


def check_settings(pod, programs):
    """The daemon accepts its settings, with some secret in each file."""
    container, = pod["containers"]
    with tempfile.TemporaryDirectory() as folder:
        settings = {}
        for name, value in environment(container).items():
            if value.startswith("/run/secrets/"):
                file = pathlib.Path(folder + value)
                if name == "JWT_KEYS":
                    file.mkdir(parents=True)
                else:
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.write_text("0123456789abcdef" * 4)
                value = str(file)
            settings[name] = value
        done = check_config(programs, container["args"][0], settings)
        if "REDIS_TLS: must be false, as this build" in done.stderr:  # Debian 12's hiredis; that of the image has it
            del settings["REDIS_TLS"]
            done = check_config(programs, container["args"][0], settings)
    assert done.returncode == 0, done.stderr


def check_daemon(documents, name, port):
    deployment = one(documents, "Deployment", f"{name}-svc")
    template = deployment["spec"]["template"]
    labels = template["metadata"]["labels"]
    container, = template["spec"]["containers"]
    assert container["args"] == [f"{name}-svc"]
    assert environment(container)[f"{name.upper()}_SERVICE_PORT"] == str(port)
    probes = {kind: container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")}
    assert [probes[kind]["path"] for kind in probes] == ["/health/live", "/health/live", "/health/ready"]
    ready = container["readinessProbe"]  # one late answer of all replicas must not leave none
    assert ready["timeoutSeconds"] >= 2 and ready["failureThreshold"] >= 3
    https = "TLS_CERT_FILE" in environment(container)
    assert {probe["scheme"] for probe in probes.values()} == {"HTTPS" if https else "HTTP"}
    for service in (one(documents, "Service", f"{name}-svc"), one(documents, "Service", f"{name}-svc-metrics")):
        assert service["spec"]["selector"].items() <= labels.items()
        names = {exposed["name"] for exposed in container["ports"]}
        assert {target["targetPort"] for target in service["spec"]["ports"]} <= names
    assert deployment["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert "helm.sh/chart" not in deployment["spec"]["selector"]["matchLabels"]  # it changes, a selector must not
    return deployment


def check_scaling(documents, name, queue):
    deployment = one(documents, "Deployment", f"{name}-svc")
    scaler = one(documents, "HorizontalPodAutoscaler", f"{name}-svc")
    assert "replicas" not in deployment["spec"] and scaler["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    kinds = {metric["type"]: metric for metric in scaler["spec"]["metrics"]}
    labels = kinds["External"]["external"]["metric"]["selector"]["matchLabels"]
    assert "Resource" in kinds and labels == {"messaging_destination_name": queue, "state": "visible"}


def ports_out_of(policy):
    return {port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]}


def check_policy(documents, name, egress):
    policy = one(documents, "NetworkPolicy", f"{name}-svc")
    ports = ports_out_of(policy)
    assert ports == egress, (ports, egress)
    labels = one(documents, "Deployment", f"{name}-svc")["spec"]["template"]["metadata"]["labels"]
    assert policy["spec"]["podSelector"]["matchLabels"].items() <= labels.items()


def check_migrations(documents):
    for name in ("order", "delivery"):
        job = one(documents, "Job", f"{name}-svc-migrate")
        assert "pre-upgrade" in job["metadata"]["annotations"]["helm.sh/hook"]
        container, = job["spec"]["template"]["spec"]["containers"]
        assert container["args"] == [f"{name}-svc", "--migrate"]
        settings = environment(container)
        assert settings["DB_USER"] == f"{name}_migrator" and settings["DB_PASSWORD_FILE"].endswith(f"{name}_migrator_password")
        assert set(settings) <= {name for name in settings if name.startswith("DB_")} | {"APP_ENV"}
        assert not any(setting.startswith("DB_READ_") for setting in settings)


def check_pooler(documents):
    """Migrations reach the server behind the pooler, and order-svc its standbys and the receivers of webhooks."""
    order, delivery = (environment(one(documents, "Deployment", f"{name}-svc")["spec"]["template"]["spec"]["containers"][0])
                       for name in ("order", "delivery"))
    for settings in (order, delivery):
        assert settings["DB_POOLER"] == "transaction" and settings["QUEUE_SHARDS"] == "8"
    assert order["WEBHOOK_CA_FILE"] == "/run/secrets/webhook-ca/ca.crt" and order["WEBHOOK_SECRETS_KEY_FILE"]
    assert not any(setting.startswith("WEBHOOK_") for setting in delivery)
    check_policy(documents, "order", {53, 6432, 5441, 5442, 5443, 6379, 443, 9324})
    check_policy(documents, "delivery", {53, 6432, 5441, 5442, 9324})
    for name in ("order", "delivery"):
        policy = one(documents, "NetworkPolicy", f"{name}-svc-migrate")
        assert ports_out_of(policy) == {53, 6432, 5441, 5442}
        job, = one(documents, "Job", f"{name}-svc-migrate")["spec"]["template"]["spec"]["containers"]
        assert environment(job)["DB_DIRECT_HOST"].startswith("db-1.")


def main(path, values, programs):
    with open(path, encoding="utf-8") as file:
        documents = [document for document in yaml.safe_load_all(file) if document]
    for _, template in pods(documents):
        check_restricted(template["spec"])
        check_secrets(template["spec"])
        if template["spec"]["containers"][0]["args"][-1] != "--migrate":
            check_settings(template["spec"], programs)
    for name, port in (("order", 3001), ("delivery", 3002)):
        check_daemon(documents, name, port)
    kinds = {document["kind"] for document in documents}
    if values == "minimal":
        assert kinds == {"Deployment", "Service", "ServiceAccount"}, kinds
        return
    check_migrations(documents)
    assert {"PodDisruptionBudget", "NetworkPolicy"} <= kinds
    if values == "default":
        check_policy(documents, "order", {53, 5432, 6379, 443})
        check_policy(documents, "delivery", {53, 5432, 443})
        assert "HorizontalPodAutoscaler" not in kinds
    elif values == "pooler":
        check_pooler(documents)
    else:
        check_scaling(documents, "order", "delivery-status-queue.fifo")
        check_scaling(documents, "delivery", "orders-queue.fifo")
        check_policy(documents, "order", {53, 5432, 5433, 6379, 443, 4318})
        assert "ServiceMonitor" in kinds
        images = {container["image"] for _, template in pods(documents) for container in template["spec"]["containers"]}
        assert len(images) == 1 and "@sha256:" in images.pop()


if __name__ == "__main__":
    main(*sys.argv[1:])
