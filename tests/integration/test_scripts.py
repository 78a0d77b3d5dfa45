"""The scripts under other locales and paths, and what they leave of a machine's services."""

import os
import pathlib
import shutil
import subprocess

import pytest
from harness import PATIENCE, ROOT

LIB = ROOT / "scripts/lib.sh"


def bash(text, **environment):
    return subprocess.run(["bash", "-c", text], capture_output=True, text=True, timeout=PATIENCE, check=False,
                          env=os.environ | environment, stdin=subprocess.DEVNULL)


def test_turkish_locale_makes_no_other_names(tmp_path):
    """There, the capital letter of i is not I."""
    compiled = subprocess.run(["localedef", "-i", "tr_TR", "-f", "UTF-8", tmp_path / "tr_TR.UTF-8"], check=False,
                              capture_output=True)
    assert (tmp_path / "tr_TR.UTF-8/LC_CTYPE").exists(), compiled.stderr
    turkish = {"LOCPATH": str(tmp_path), "LANG": "tr_TR.UTF-8", "LC_ALL": "tr_TR.UTF-8"}
    assert bash("name=delivery; echo ${name^^}", **turkish).stdout == "DELİVERY\n", "the locale works"
    assert bash(f"source {LIB}; name=delivery; echo ${{name^^}}", **turkish).stdout == "DELIVERY\n"


def test_elasticmq_starts_below_a_name_that_is_not_ascii(tmp_path):
    script, folder = ROOT / "scripts/parts.sh", tmp_path / "été"
    try:
        started = bash(f"'{script}' start '{folder}' elasticmq", LC_ALL="C", LANG="C")
        assert started.returncode == 0, started.stderr
    finally:
        bash(f"'{script}' remove '{folder}'")


@pytest.mark.parametrize("name", ["a;b", "a:b", 'a"b'])
def test_path_that_cannot_work_is_refused_with_words(tmp_path, name):
    clone = tmp_path / name
    shutil.copytree(ROOT / "scripts", clone / "scripts")
    done = subprocess.run([clone / "scripts/parts.sh", "env", tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "move it to a path without" in done.stderr


STUBS = {"dpkg-query": "exit 1", "sudo": '"$@"', "apt-cache": "", "systemctl": 'echo systemctl "$@" >>$CALLS',
         "apt-get": '[[ " $* " != *" install "* ]] || { "$POLICY_RC_D" redis-server start; echo "policy $?" >>$CALLS; }'}


@pytest.mark.parametrize("before", [None, "#!/bin/sh\nexit 0\n", "#!/bin/sh\nexit 101\n"])
def test_nothing_is_started_by_what_is_installed(tmp_path, before):
    """Its services would take the ports of the containers. A policy that was there before is there afterwards."""
    calls, policy = tmp_path / "calls", tmp_path / "policy-rc.d"
    for name, text in STUBS.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{text}\n")
        (tmp_path / name).chmod(0o755)
    if before:
        policy.write_text(before)
        policy.chmod(0o755)
    done = bash(f"'{ROOT}/scripts/install-deps.sh' run", PATH=f"{tmp_path}:{os.environ['PATH']}", CALLS=str(calls),
                POLICY_RC_D=str(policy))
    assert done.returncode == 0, done.stderr
    told = calls.read_text().splitlines()
    assert told[0] == "policy 101"
    if pathlib.Path("/run/systemd/system").exists():
        assert told[1:] == ["systemctl disable --quiet postgresql redis-server"]
    assert (policy.read_text() if policy.exists() else None) == before
    assert not list(tmp_path.glob("policy-rc.d.*"))
