import signal
import subprocess
import sys

import pytest

from lineage.in_turn import split

STAGE = """
import os, signal, sys
assert __name__ == "__main__"
with open("ran", "a") as file:
    print(*sys.argv[1:], "colorsys" in sys.modules, os.getpid(), file=file)
exec(os.environ.get(sys.argv[1], ""))
"""


RUN = """
from lineage.in_turn import run_in_turn
if __name__ == "__main__":
    print(run_in_turn([["stage", name] for name in ("one", "two", "three")], ["colorsys"]))
"""


@pytest.fixture
def started(tmp_path):
    """Starts three stages that run the given code."""
    (tmp_path / "stage.py").write_text(STAGE)
    path = f"{tmp_path}:{':'.join(sys.path)}"

    def start(**code):
        return subprocess.Popen(
            [sys.executable, "-c", RUN],
            cwd=tmp_path,
            env={"PYTHONPATH": path, **code},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


@pytest.fixture
def ran(started, tmp_path):
    """Runs three stages; returns the exit status and what they wrote."""

    def run(**code):
        output, _ = started(**code).communicate()
        lines = [line.split() for line in (tmp_path / "ran").read_text().splitlines()]
        return int(output), lines

    return run


def test_stages_run_in_order_each_in_a_process_forked_after_the_imports(ran):
    status, lines = ran()

    names, imported, processes = zip(*lines, strict=True)
    assert status == 0
    assert names == ("one", "two", "three")
    assert imported == ("False", "True", "True")
    assert len({*processes}) == 3


@pytest.mark.parametrize(
    ("code", "expected"),
    [("sys.exit(2)", 2), ("raise ValueError", 1), ("os.kill(os.getpid(), signal.SIGKILL)", -9)],
)
@pytest.mark.parametrize("failing", ["one", "two"])
def test_the_first_that_fails_ends_the_run_with_its_status(ran, code, expected, failing):
    status, lines = ran(**{failing: code})

    assert status == expected
    assert lines[-1][0] == failing


@pytest.mark.parametrize("running", ["one", "two"])
def test_a_stage_is_terminated_with_the_run(started, tmp_path, running):
    waits = "print('waits', flush=True); signal.pause()"

    process = started(**{running: waits})
    assert process.stdout.readline() == "waits\n"
    process.terminate()

    output, _ = process.communicate(timeout=30)
    assert int(output) == -signal.SIGTERM
    assert (tmp_path / "ran").read_text().splitlines()[-1].startswith(running)


def test_stages_are_split_at_plus_signs():
    assert split(["data", "--dataset", "a+b", "+", "towers"]) == [
        ["data", "--dataset", "a+b"],
        ["towers"],
    ]
