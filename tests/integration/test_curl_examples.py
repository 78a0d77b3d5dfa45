"""The commands of demo/curl-examples.md, run from top to bottom, answer what stands behind them."""

import re
import subprocess

from harness import ROOT, System

EXAMPLE = re.compile(r"```bash\n(.*?)```\nAnswers (\d{3})", re.DOTALL)
# Each curl tells its status; that of the last one is the example's.
CURL = 'curl() { command curl -w "%{stderr}%{http_code}\\n" "$@"; }\n'


def test_each_example_answers_as_it_says(parts):
    text = (ROOT / "demo/curl-examples.md").read_text()
    examples = EXAMPLE.findall(text)
    assert len(examples) == text.count("```bash") > 25
    # A carrier that does nothing meanwhile: the examples ship by hand.
    with System(parts, CARRIER_ASSIGN_DELAY="1h") as system:
        system.start()
        script = CURL + "".join(f"{commands}echo END >&2\n" for commands, _ in examples)
        script = script.replace("http://localhost:3001", system.order.url)
        script = script.replace("http://localhost:3002", system.delivery.url)
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=120, check=False)
        answers = done.stderr.split("END\n")
        for (commands, wanted), answer in zip(examples, answers, strict=False):
            statuses = re.findall(r"^\d{3}$", answer, re.MULTILINE)
            assert statuses and statuses[-1] == wanted, f"{commands}\nanswered {statuses}, not {wanted}"


