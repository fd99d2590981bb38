"""What the page for operators names exists: commands, options, metrics, sections and tests."""

import re
from pathlib import Path

import pytest

from serving.__main__ import commands

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text()
COMMAND = re.compile(r"python -m serving ([a-z-]+)((?:\\\n|[^\n`#])*)")
OPTION = re.compile(r"(?<=\s)--([\w.]+)")
SETTING = re.compile(r"`((?:server|limits|events|exposures)\.[a-z_.]+)`")
FILES = {"events.sqlite"}


@pytest.fixture(scope="module")
def options():
    """Options by command; those of `admin` have commands of their own."""
    table = {name: parser_of() for name, (parser_of, _, _) in commands(None).items()}
    return {name: parser.format_help() for name, parser in table.items()}


def test_every_command_and_option_of_the_page_exists(options):
    used = [(name, OPTION.findall(rest)) for name, rest in COMMAND.findall(PAGE)]

    assert {name for name, _ in used} >= {"serve", "token", "erase", "rotate-key", "keygen"}
    for name, given in used:
        for option in [] if name == "admin" else given:
            assert f"--{option} " in options[name], (name, option)


def test_every_setting_of_the_page_is_an_option_of_serve(options):
    named = set(SETTING.findall(PAGE)) - FILES

    assert named >= {"server.queue.requests", "events.keep_days"}
    assert {name for name in named if f"--{name} " not in options["serve"]} == set()


def test_every_test_of_the_promises_exists():
    source = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    promises = PAGE.split("\n## Promises\n")[1]
    rows = [line for line in promises.splitlines() if line.startswith("|")][2:]

    assert len(rows) >= 18
    for row in rows:
        named = re.findall(r"`(test_\w+)`", row)
        assert named, row
        assert [name for name in named if f"def {name}(" not in source] == []


def test_every_metric_of_the_page_is_one_of_the_server():
    source = "\n".join(path.read_text() for path in (ROOT / "serving").rglob("*.py"))
    named = set(re.findall(r"`(shortlist_[a-z_]+)", PAGE))

    assert len(named) >= 9
    for metric in named:
        assert f'"{metric.removesuffix("_total").removesuffix("_info")}"' in source, metric


def test_every_section_that_the_page_leads_to_exists():
    titles = re.findall(r"^##+ (.*)$", PAGE, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}

    assert set(re.findall(r"\]\(#([\w-]+)\)", PAGE)) <= anchors
