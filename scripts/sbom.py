#!/usr/bin/env python3
"""Prints the bill of materials of an image, in CycloneDX JSON: sbom.py IMAGE

It has both daemons with their digests, each Debian package of the image with its version and licences, and which packages the
daemons are linked with. The same image always gets the same document."""

import json
import re
import subprocess
import sys
import uuid

DAEMONS = ("order-svc", "delivery-svc")
FIELDS = ("Package", "Version", "Architecture", "source:Package", "source:Version", "db:Status-Status")
MARK = "@@"  # begins a part of the report

# Runs in the image.
REPORT = r"""
set -eu
. /etc/os-release; echo "@@os $ID-$VERSION_ID"
dpkg-query -W -f '@@package ${Package}\t${Version}\t${Architecture}\t${source:Package}\t${source:Version}\t${db:Status-Status}\n'
for daemon in order-svc delivery-svc; do
    sha256sum "$(command -v $daemon)" | sed "s/ .*//; s/^/@@daemon $daemon /"
    ldd "$(command -v $daemon)" | sed -n 's/.* => \(\/[^ ]*\).*/\1/p' | sort -u | while read -r library; do
        owner=$(dpkg-query -S "$(readlink -f "$library")" 2>/dev/null || dpkg-query -S "$(readlink -f "$library" | sed 's|^/usr||')")
        echo "@@link $daemon ${owner%%:*}"
    done
done
for file in /usr/share/doc/*/copyright; do
    package=${file%/copyright}
    sed -n "s|^License: *\([^ ]*\).*|@@licence ${package##*/} \1|p" "$file" | sort -u
done
"""


def inspect(image, what):
    done = subprocess.run(["docker", "image", "inspect", "-f", what, image], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def report(image):
    """The lines of the report, as pairs of a kind and the rest."""
    platform = "linux/" + inspect(image, "{{.Architecture}}")
    done = subprocess.run(["docker", "run", "--rm", "-i", "--platform", platform, "--network", "none", "--entrypoint", "sh", image,
                           "-s"], input=REPORT, check=True, capture_output=True, text=True)
    for line in done.stdout.splitlines():
        if line.startswith(MARK):
            kind, _, rest = line.removeprefix(MARK).partition(" ")
            yield kind, rest


def package_component(system, values):
    """A Debian package; its reference is its package URL."""
    package = dict(zip(FIELDS, values, strict=True))
    version = package["Version"].replace("+", "%2B").replace(":", "%3A")
    name = package["Package"].replace("+", "%2B")
    url = f"pkg:deb/debian/{name}@{version}?arch={package['Architecture']}&distro={system}"
    return {"type": "library", "bom-ref": url, "name": package["Package"], "version": package["Version"], "purl": url,
            "properties": [{"name": "debian:source",
                            "value": f"{package['source:Package']} {package['source:Version']}"}]}


def bill(image):
    system, packages, links, licences, digests = "", {}, {name: set() for name in DAEMONS}, {}, {}
    for kind, rest in report(image):
        words = rest.split()
        if kind == "os":
            system = rest
        elif kind == "package" and rest.endswith("\tinstalled"):
            component = package_component(system, rest.split("\t"))
            packages[component["name"]] = component
        elif kind == "daemon":
            digests[words[0]] = words[1]
        elif kind == "link":
            links[words[0]].add(words[1])
        elif kind == "licence" and re.fullmatch(r"[A-Za-z0-9.+-]+", words[-1]) and len(words) == 2:
            licences.setdefault(words[0], []).append(words[1])
    for name, component in packages.items():
        if name in licences:
            component["licenses"] = [{"license": {"name": licence}} for licence in licences[name]]
    version = inspect(image, '{{index .Config.Labels "org.opencontainers.image.version"}}')
    whole = {"type": "container", "bom-ref": "image", "name": "order-processing-system", "version": version}
    daemons = [{"type": "application", "bom-ref": name, "name": name, "version": version,
                "hashes": [{"alg": "SHA-256", "content": digests[name]}]} for name in DAEMONS]
    depends = [{"ref": "image", "dependsOn": list(DAEMONS)}]
    depends += [{"ref": name, "dependsOn": sorted(packages[package]["bom-ref"] for package in links[name])} for name in DAEMONS]
    seed = json.dumps([daemons, sorted(packages)], sort_keys=True) + inspect(image, "{{.Id}}")
    return {"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1,
            "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, seed)}",
            "metadata": {"timestamp": inspect(image, "{{.Created}}")[:19] + "Z", "component": whole},
            "components": daemons + [packages[name] for name in sorted(packages)], "dependencies": depends}


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: sbom.py IMAGE")
    json.dump(bill(sys.argv[1]), sys.stdout, indent=1)
    print()
