"""Every decision has a numbered title, three sections and a line in the index."""

import re
from pathlib import Path

import pytest

DECISIONS = Path(__file__).parents[2] / "docs" / "decisions"
PAGES = sorted(page for page in DECISIONS.iterdir() if page.name != "README.md")
LINE = re.compile(r"^- \[(\d{4})\]\((.+?)\): (.+?)(?: \((superseded .+\))\))?$", re.MULTILINE)
SUPERSEDED = re.compile(r"^Superseded (?:in part )?by \[\d+\]\(.+?\)", re.MULTILINE)
LINK = re.compile(r"\]\(([^)#]+)\)")


def test_the_index_lists_each_decision_once_with_its_title_and_status() -> None:
    listed = LINE.findall((DECISIONS / "README.md").read_text())

    expected = []
    for number, page in enumerate(PAGES, 1):
        text = page.read_text()
        status = SUPERSEDED.search(text)
        title = text.split("\n")[0].removeprefix(f"# {number}. ")
        superseded = status[0].replace("Superseded", "superseded") if status else ""
        expected.append((f"{number:04}", page.name, title, superseded))

    assert listed == expected


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_decision_has_its_number_and_its_sections(page: Path) -> None:
    text = page.read_text()

    assert re.match(rf"# {int(page.name[:4])}\. \S", text)
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences"]


@pytest.mark.parametrize("page", [*PAGES, DECISIONS / "README.md"], ids=lambda page: page.name)
def test_links_of_a_decision_lead_to_files(page: Path) -> None:
    links = LINK.findall(page.read_text())

    assert [link for link in links if not (page.parent / link).is_file()] == []
