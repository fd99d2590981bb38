"""How a night ends decides when the next full one is due."""

import pytest

from retraining.config import NightlyConfig
from retraining.night import IDLE, KEPT, PUBLISHED, Night

PLAN = {"live": "x", "full": "", "until": "2026-09-02", "cuts": None, "without": [], "nothing": ""}


@pytest.mark.parametrize(
    ("outcome", "full", "count"),
    [
        (PUBLISHED, False, 4),
        (KEPT, False, 3),
        (IDLE, False, 3),
        (PUBLISHED, True, 0),
        (KEPT, True, 0),
    ],
)
def test_a_full_night_that_was_refused_is_not_tried_again_at_once(tmp_path, outcome, full, count):
    night = Night(
        config=NightlyConfig(),
        dataset="shop",
        artifacts=tmp_path / "nightly",
        releases=tmp_path / "releases",
        reports=tmp_path / "reports",
    )
    night.root.mkdir(parents=True)
    for _ in range(3):
        end(night, PUBLISHED, full=False)

    page = end(night, outcome, full=full)

    assert night._warm_nights == count
    assert outcome in page
    assert "a reason" in page


def end(night, outcome, *, full):
    """End a night; its page."""
    night.facts = {
        "started": "2026-09-02T02:30:00Z",
        "seconds": {"gather": 1.0},
        "plan": PLAN,
        "days": [],
        "held back": {"2026-09-01": ["empty"]},
    }
    night._end(outcome, ["a reason"], full=full)
    return (night.reports / "2026-09-02T023000Z.html").read_text()
