"""Writes a night's report: a page for people, and the same as JSON."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evaluation.page import environment
from lineage.whole_files import replacing
from retraining.gate import NDCG

TEMPLATE = "night.html.j2"


def write_report(folder: Path, facts: Mapping[str, Any], *, keep: int) -> Path:
    """Write the report of a night; its name is the time at which the night started.

    Args:
        folder: Folder of the shop's nights.
        facts: What happened.
        keep: Newest reports to keep.

    Returns:
        The page.
    """
    name = facts["started"].replace(":", "")
    with replacing(folder / f"{name}.json") as partial:
        partial.write_text(json.dumps(facts, indent=1))
    page = folder / f"{name}.html"
    with replacing(page) as partial:
        partial.write_text(rendered(facts), encoding="utf-8")
    for old in sorted(folder.glob("*.json"))[:-keep]:
        old.unlink()
        old.with_suffix(".html").unlink(missing_ok=True)
    return page


def rendered(facts: Mapping[str, Any]) -> str:
    """The page of a night."""
    days = facts.get("days", [])
    most = max((day["events"] for day in days), default=0) or 1
    bars = [
        {
            "x": place,
            "height": 100 * day["events"] / most,
            "held": day["day"] in facts["held back"],
            "said": f"{day['day']}: {day['events']:,} events of {day['users']:,} users",
        }
        for place, day in enumerate(days)
    ]
    template = environment(Path(__file__).parent).get_template(TEMPLATE)
    return template.render(facts=facts, compared=facts.get("compared"), bars=bars, ndcg=NDCG)
