"""The commands of demo/curl-examples.md, run from top to bottom, answer what stands behind them. Each route has one."""

import re
import subprocess

import yaml
from harness import ROOT, System

TEXT = (ROOT / "demo/curl-examples.md").read_text()
EXAMPLE = re.compile(r"```bash\n(.*?)```\nAnswers (\d{3})", re.DOTALL)
# Each curl tells its status; that of the last one is the example's.
CURL = 'curl() { command curl -w "%{stderr}%{http_code}\\n" "$@"; }\n'
END = "END OF AN EXAMPLE"


def statuses_of(examples, system):
    """Runs the examples in one shell. Returns the statuses that each was answered."""
    script = CURL + "".join(f"{commands}echo '{END}' >&2\n" for commands in examples)
    script = script.replace("http://localhost:3001", system.order.url)
    script = script.replace("http://localhost:3002", system.delivery.url)
    # A starved machine is slower than a reader.
    script = script.replace("seq 50", "seq 600").replace("-m 2 ", "-m 10 ")
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=300, check=False)
    *answers, rest = done.stderr.split(f"{END}\n")
    assert not rest, f"behind the last example that ended: {rest}"
    return [re.findall(r"^\d{3}$", answer, re.MULTILINE) for answer in answers]


def test_each_example_answers_as_it_says(parts):
    examples = EXAMPLE.findall(TEXT)
    assert len(examples) == TEXT.count("```bash"), "an example without the status it answers"
    # A carrier that does nothing meanwhile: the examples ship by hand.
    with System(parts, CARRIER_ASSIGN_DELAY="1h") as system:
        system.start()
        answered = statuses_of([commands for commands, _ in examples], system)
    assert len(answered) == len(examples)
    for (commands, wanted), statuses in zip(examples, answered, strict=True):
        assert statuses and statuses[-1] == wanted, f"{commands}\nanswered {statuses}, not {wanted}"


def test_each_route_has_an_example():
    commands = "".join(commands for commands, _ in EXAMPLE.findall(TEXT)).replace("\\\n", " ")
    paths = set(re.findall(r"""http://localhost:300[12](/[^\s"?]*)""", commands))
    document = yaml.safe_load((ROOT / "docs/openapi.yaml").read_text())
    for route in document["paths"]:
        pattern = re.compile(re.sub(r"\{\w+\}", "[^/]+", re.escape(route).replace(r"\{", "{").replace(r"\}", "}")))
        assert any(pattern.fullmatch(path) for path in paths), f"{route} has no example"
