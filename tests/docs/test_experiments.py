"""Every experiment has a dated file, a verdict as its title and a line in the index."""

import re
from pathlib import Path

import pytest

EXPERIMENTS = Path(__file__).parents[2] / "docs" / "experiments"
PAGES = sorted(page for page in EXPERIMENTS.iterdir() if page.name != "README.md")
DATED = re.compile(r"(\d{4}-\d{2}-\d{2})-[a-z0-9-]+\.md")
LINE = re.compile(r"^- (.+?): \[(.+)\]\((.+)\)$", re.MULTILINE)


def test_the_index_lists_each_page_once_with_its_date_and_verdict() -> None:
    listed = LINE.findall((EXPERIMENTS / "README.md").read_text())

    expected = [
        (page.name[:10], page.read_text().split("\n")[0].removeprefix("# "), page.name)
        for page in PAGES
    ]

    assert sorted(listed, key=lambda line: line[2]) == expected


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_has_a_date_in_its_name_and_a_title(page: Path) -> None:
    assert DATED.fullmatch(page.name), f"the name must be like 2026-11-28-subject.md, got {page}"
    assert re.match(r"# \S", page.read_text()), f"the first line must be `# verdict`: {page}"
