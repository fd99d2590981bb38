import random

import polars as pl
import pytest

from dataset.arrays import TEST, TRAIN
from dataset.config import DataConfig
from dataset.prepare.actions import with_weights
from dataset.prepare.assemble import collected, to_arrays
from dataset.prepare.moments import with_moments
from dataset.prepare.repeats import with_repeats
from dataset.prepare.targets import with_targets

HOUR = 3_600_000_000
ITEMS = [f"i{n}" for n in range(6)]


def log_of(seed, actions):
    draw = random.Random(seed)
    rows = {
        (f"u{draw.randrange(12)}", draw.choice(ITEMS), draw.randrange(80) * HOUR)
        for _ in range(200)
    }
    rows = [(*row, draw.choice(actions)) for row in sorted(rows)]
    schema = ["user_id", "item_id", "time", "action"]
    return with_weights(with_moments(pl.LazyFrame(rows, schema=schema, orient="row")), {}).collect()


@pytest.mark.parametrize("timed", [True, False])
@pytest.mark.parametrize(
    "options",
    [{}, {"repeats": "allow"}, {"repeats": 1.0}, {"exclude": ("view",), "repeats": 0.5}],
)
@pytest.mark.parametrize(
    "actions",
    [["view"], ["view", "view", "purchase"], ["view", "purchase", "refund", "hide", "impression"]],
)
def test_targets_are_those_of_the_cases(actions, options, timed):
    config = DataConfig(**options)
    events = log_of(len(actions), actions)
    if not timed:
        events = events.rename({"time": "order"})
        if config.repeats not in ("exclude", "allow"):
            return
    items = pl.LazyFrame({"item_id": ITEMS, "title": ITEMS, "text": ITEMS})
    split = events.lazy().with_columns(split=pl.lit(TEST, pl.UInt8))
    learnt = split.unique("action").with_columns(
        user_id=pl.lit("learnt"), split=pl.lit(TRAIN, pl.UInt8)
    )
    split = pl.concat([split, learnt])
    items, users, rows = collected(items, split)
    data = with_repeats(to_arrays(items, users, rows), config)

    marked = with_targets(events, config, timed=timed).filter("target")

    cases = data.cases("test")
    expected = {
        (data.user_ids[user], int(data.moments[place]), data.item_ids[item])
        for user, place, targets in zip(cases.user_rows, cases.places, cases.targets, strict=True)
        for item in targets
    }
    found = set(marked.select("user_id", "moment", "item_id").rows())
    assert found
    if "refund" not in actions:
        assert found == expected
    else:  # a history of which nothing stands in the end counts as none
        assert found <= expected
        assert len(expected) - len(found) <= 3
