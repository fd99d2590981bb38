"""What the container is, by its files; no test here builds it."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "deploy" / "Dockerfile"


def instructions():
    """Instructions and their arguments, in order; continued lines are joined."""
    text = re.sub(r"\\\n\s*", " ", DOCKERFILE.read_text())
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [tuple(line.split(maxsplit=1)) for line in lines]


def last(name):
    return [arguments for instruction, arguments in instructions() if instruction == name][-1]


def default_arguments():
    """Arguments of `python -m serving` in a container that is told nothing."""
    entry, command = (json.loads(last(name)) for name in ("ENTRYPOINT", "CMD"))
    assert entry[1:4] == ["-m", "serving", "serve"]
    return entry[3:], command


def served(*arguments):
    """Exit status and last words of a server that is told to listen as the image does."""
    done = subprocess.run(
        [sys.executable, "-m", "serving", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.returncode, done.stderr


@pytest.mark.slow
def test_the_container_does_not_listen_without_tokens_and_certificates(tmp_path):
    entry, command = default_arguments()
    (tmp_path / "shop").mkdir()
    where = {"--releases": "--artifacts", "/releases": str(tmp_path / "shop")}
    entry = [where.get(word, word) for word in entry]

    status, words = served(*entry)
    assert status != 0
    assert "unless tokens and tls.certificate and tls.key are given or insecure" in words
    status, words = served(*entry, *command)  # the secrets are not mounted
    assert status != 0
    assert "/secrets/" in words


def test_the_container_runs_as_a_user_without_privileges():
    assert last("USER") == "10001:10001"
    after = instructions()
    at = max(place for place, (name, _) in enumerate(after) if name == "USER")
    assert not [name for name, _ in after[at:] if name in ("RUN", "COPY", "ADD")]


def test_health_is_asked_with_the_command_that_operators_use():
    command = json.loads(last("HEALTHCHECK").split("CMD ", 1)[1])

    assert command[:4] == ["/venv/bin/python", "-m", "serving", "probe"]
    from serving.cli.ask import probe_parser

    options = probe_parser().parse_args(command[4:])
    assert (options.target, str(options.ca)) == ("localhost:50051", "/secrets/ca.crt")


def test_every_installation_of_the_image_demands_hashes_or_takes_only_our_wheel():
    installs = [
        step
        for name, arguments in instructions()
        if name == "RUN"
        for step in arguments.split("&&")
        if " install " in step and "pip" in step
    ]

    assert len(installs) == 3
    for step in installs:
        words = shlex.split(step)
        assert {"--require-hashes", "--only-binary"} <= set(words) or {
            "--no-deps",
            "--no-index",
        } <= set(words)
