"""Builds the peers with the Go and Rust that are there. A peer whose toolchain is missing or too old is left out."""

import os
import re
import shutil
import subprocess
import sys

import lab as tools

FOLDER = tools.HERE / "peers"
OUT = tools.ROOT / "build/bench/peers"
# What the pinned versions of their libraries need. Debian 13 has both. Debian 12 has the Rust (cargo-web).
TOOLCHAINS = {
    "Go": {"command": "go", "version": ["go", "version"], "least": (1, 24),
           "build": ["go", "build", "-mod=readonly", "-trimpath", "-buildvcs=false", "-o", OUT / "peer-go", "."], "program": OUT / "peer-go"},
    "Rust": {"command": "cargo", "version": ["rustc", "--version"], "least": (1, 85),
             "build": ["cargo", "build", "--locked", "--release", "--quiet", "--target-dir", OUT / "rust"],
             "program": OUT / "rust/release/peer"},
}
LIBRARIES = {"Go": ("pgx/v5", "go-redis/v9", "jwt/v5"),
             "Rust": ("axum", "tokio-postgres", "deadpool-postgres", "redis", "jsonwebtoken")}


def version_of(name):
    """The toolchain's version as text and as numbers, or None."""
    command = TOOLCHAINS[name]["version"]
    if not shutil.which(TOOLCHAINS[name]["command"]) or not shutil.which(command[0]):
        return None
    text = subprocess.run(command, cwd=FOLDER / name.lower(), capture_output=True, text=True, check=False).stdout
    found = re.search(r"(\d+)\.(\d+)(\.\d+)?", text)
    return (found.group(), (int(found.group(1)), int(found.group(2)))) if found else None


def libraries(name):
    """The pinned versions of those that matter."""
    path, pattern = ("go/go.mod", r"/%s v(\S+)") if name == "Go" else ("rust/Cargo.lock", r'name = "%s"\nversion = "([^"]+)"')
    text = (FOLDER / path).read_text()
    return [f"{short.split('/')[0]} {re.search(pattern % re.escape(short), text).group(1)}" for short in LIBRARIES[name]]


def build(name):
    """Returns the program, or None, and a line that says what it is or why it is left out."""
    chain, version = TOOLCHAINS[name], version_of(name)
    least = ".".join(map(str, chain["least"]))
    if version is None:
        return None, f"{name}: missing, so it is left out (it needs {name} {least})"
    if version[1] < chain["least"]:
        return None, f"{name}: outdated, so it is left out (it is {version[0]}, and needs {least})"
    OUT.mkdir(parents=True, exist_ok=True)
    print(f"building the peer in {name}", file=sys.stderr, flush=True)
    done = subprocess.run(chain["build"], cwd=FOLDER / name.lower(), env=os.environ | {"CGO_ENABLED": "0"}, capture_output=True,
                          text=True, check=False)
    if done.returncode:
        print(done.stdout + done.stderr, file=sys.stderr)
        return None, f"{name}: unbuildable, so it is left out (see above)"
    return chain["program"], f"{name} {version[0]}: {', '.join(libraries(name))}"
