"""Shows ids of interactions that the catalogue lacks beside the catalogue's own ids."""

from dataclasses import dataclass

import polars as pl

from dataset.prepare.schema import ITEM

SHOWN = 3
_PLAIN, _THEIRS = "plain", "theirs"


@dataclass(frozen=True, kw_only=True)
class UnknownIds:
    """Item ids of interactions that no item has."""

    rows: int
    """Interactions with such an id."""
    alike: int
    """Interactions among them whose id differs from an item's only in blanks, case, leading zeros
    or `.0`."""
    pairs: tuple[tuple[str, str], ...]
    """Ids of interactions, each beside an item's: alike ones, or else the first ones."""

    def message(self, rows: int) -> str:
        """What is unknown, in one line.

        Args:
            rows: Number of all interactions.
        """
        said = f"{self.rows:,} of {rows:,} interactions name items that the catalogue lacks"
        if not self.alike and self.rows < rows:
            return f"{said}, like {self.pairs[0][0]!r}"
        shown = ", ".join(f"{ours!r} / {theirs!r}" for ours, theirs in self.pairs)
        if not self.alike:
            return f"{said} (interactions / items: {shown}); write the ids alike in both tables"
        return (
            f"{said}; {self.alike:,} of them differ from its ids only in blanks, case or leading "
            f"zeros (interactions / items: {shown}); write the ids alike in both tables"
        )


def unknown_ids(interactions: pl.LazyFrame, items: pl.LazyFrame) -> UnknownIds:
    """Compare the unknown ids of interactions with the ids of the items.

    Args:
        interactions: Have `item_id`.
        items: Have `item_id`.
    """
    counts = interactions.join(items.select(ITEM), on=ITEM, how="anti").group_by(ITEM).len()
    theirs = items.select(pl.col(ITEM).alias(_THEIRS), _plain(ITEM)).unique(_PLAIN, keep="any")
    found = (
        counts.with_columns(_plain(ITEM)).join(theirs, on=_PLAIN, how="left").sort(ITEM).collect()
    )
    alike = found.filter(pl.col(_THEIRS).is_not_null())
    pairs = alike.head(SHOWN).select(ITEM, _THEIRS).rows()
    if not pairs:
        first = items.select(pl.col(ITEM).sort()).head(SHOWN).collect()[ITEM]
        pairs = list(zip(found[ITEM], first, strict=False))[:SHOWN]
    return UnknownIds(
        rows=int(found["len"].sum()), alike=int(alike["len"].sum()), pairs=tuple(pairs)
    )


def _plain(column: str) -> pl.Expr:
    """Ids without blanks, case, leading zeros and a trailing `.0`."""
    text = pl.col(column).str.strip_chars().str.to_lowercase()
    text = text.str.replace(r"^(\d+)\.0+$", "$1").str.replace(r"^0+(.)", "$1")
    return text.alias(_PLAIN)
