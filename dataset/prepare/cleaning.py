"""Drops rows that carry no information for training, and counts them by rule."""

from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import polars as pl

from dataset.prepare.caps import Caps, Lost, capped
from dataset.prepare.schema import ITEM, RELEVANCE, TITLE, USER

NO_CAPS, NOBODY = Caps(), Lost()
NO_TITLE, UNKNOWN_ITEM, IRRELEVANT = "no title", "unknown item", "relevance 0"
"""Names of rules"""


@dataclass(frozen=True, kw_only=True)
class Dropped:
    """Row counts of one table before and after one rule."""

    table: str
    rule: str
    rows_in: int
    rows_out: int
    lost: Lost = NOBODY
    """Users whose rows a cap dropped."""

    @property
    def rows(self) -> int:
        """Number of rows that the rule dropped."""
        return self.rows_in - self.rows_out

    def plain(self) -> dict[str, Any]:
        """The counts as JSON values."""
        return {**asdict(self), "dropped": self.rows}


@dataclass(frozen=True, kw_only=True)
class Cleaned:
    """The remaining rows, and the rows that each rule dropped."""

    items: pl.LazyFrame
    interactions: pl.LazyFrame
    report: tuple[Dropped, ...]
    baskets: pl.DataFrame | None = None
    """Interactions without a user; see `dataset.prepare.without_user`."""


def clean(
    items: pl.LazyFrame,
    interactions: pl.LazyFrame,
    *,
    user_core: int,
    item_core: int,
    caps: Caps = NO_CAPS,
) -> Cleaned:
    """Apply every rule: missing titles, duplicates, relevance 0, unknown items, caps, k-core.

    Args:
        items: `item_id`, `title` and any other columns.
        interactions: Canonical columns only, so that equal rows are one interaction.
        user_core: Least interactions of a user.
        item_core: Least interactions of an item; above 1, items without any are dropped too.
        caps: What one user may do.
    """
    titled = with_title(items)
    distinct = interactions.unique()
    relevant, graded = distinct, RELEVANCE in distinct.collect_schema()
    if graded:
        relevant = distinct.filter(pl.col(RELEVANCE) > 0)
    known = of_known_items(relevant, titled)
    of_caps = capped(known, caps)
    human = [known, *(step.kept for step in of_caps)]
    core = k_core(human[-1], user_core=user_core, item_core=item_core)
    kept = titled.join(core, on=ITEM, how="semi") if item_core > 1 else titled
    of_human = zip(of_caps, pairwise(human), strict=True)
    steps = [
        ("items", NO_TITLE, items, titled),
        ("interactions", "exact duplicate", interactions, distinct),
        *([("interactions", IRRELEVANT, distinct, relevant)] if graded else []),
        ("interactions", UNKNOWN_ITEM, relevant, known),
        *(("interactions", step.rule, *pair) for step, pair in of_human),
        ("interactions", f"user core {user_core}, item core {item_core}", human[-1], core),
        ("items", f"item core {item_core}", titled, kept),
    ]
    counts = pl.collect_all([t.select(pl.len()) for _, _, *pair in steps for t in pair])
    rows = [frame.item() for frame in counts]
    lost = {step.rule: step.lost for step in of_caps}
    report = tuple(
        Dropped(
            table=table,
            rule=rule,
            rows_in=before,
            rows_out=after,
            lost=lost.get(rule, NOBODY),
        )
        for (table, rule, *_), before, after in zip(steps, rows[::2], rows[1::2], strict=True)
    )
    return Cleaned(items=kept, interactions=core, report=report)


def with_title(items: pl.LazyFrame) -> pl.LazyFrame:
    """Items with a title that is not blank."""
    return items.filter(pl.col(TITLE).str.strip_chars() != "")


def of_known_items(interactions: pl.LazyFrame, items: pl.LazyFrame) -> pl.LazyFrame:
    """Interactions whose item is among the items."""
    return interactions.join(items.select(ITEM), on=ITEM, how="semi")


def k_core(interactions: pl.LazyFrame, *, user_core: int, item_core: int) -> pl.LazyFrame:
    """Largest subset in which every user and every item has enough interactions.

    Interactions of all splits count, repeated ones too. Reads the data if a threshold is above 1,
    because a fixed point is not an expression.
    """
    if user_core == item_core == 1:
        return interactions
    kept = interactions.collect()
    while True:
        core = kept.filter(pl.len().over(USER) >= user_core)
        core = core.filter(pl.len().over(ITEM) >= item_core)
        if len(core) == len(kept):
            return core.lazy()
        kept = core
