"""Notes on columns of text of which nearly all values are numbers, with what to write about it."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from dataset.item_text import is_key
from dataset.prepare.catalogue.prices import RARE, RATE, Prices
from dataset.prepare.schema import ITEM
from dataset.prepare.tables.places import BOTH
from dataset.prepare.tables.text_types import NUMBER

WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where the rows of the items come from, so that notes can name values in the file."""

    ids: pl.Series | None
    """Item id of each row; None for a table without ids."""
    names: Mapping[str, str] = field(default_factory=dict)
    """Name in the file of each renamed column."""
    own: tuple[str, ...] = ()
    """Columns as the file names them; others cannot be computed."""
    places: Callable[[Sequence[int]], pl.Series] | None = None
    """Finds rows in the file, see `tables.places`; None if they are no rows of it."""

    @classmethod
    def of(cls, items: pl.DataFrame) -> "Origin":
        """Rows of unknown origin."""
        return cls(ids=items[ITEM] if ITEM in items.columns else None)

    def example(self, column: pl.Series, place: int) -> str:
        """One value, its item, and where it is in the file."""
        said = ""
        if self.places is not None:
            found = self.places([place])
            said = f" ({found[0]})" if found.name == BOTH else f" ({found.name} {found[0]:,})"
        item = "" if self.ids is None else f" of item {self.ids[place]!r}"
        return f"{column[place]!r}{item}{said}"

    def compute(self, column: str, sql: str) -> str:
        """The remedy of a column: the line of data.yaml, if the file has the column.

        Args:
            column: Our name of it.
            sql: An expression, in which `{}` is the column.
        """
        theirs = self.names.get(column, column)
        if theirs not in self.own:
            return "by `compute` in data.yaml"
        word = theirs if WORD.fullmatch(theirs) else f'"{theirs}"'
        key = theirs if WORD.fullmatch(theirs) else json.dumps(theirs, ensure_ascii=False)
        line = json.dumps(sql.replace("{}", word), ensure_ascii=False)
        return f"in data.yaml: `compute: {{{key}: {line}}}`"


def note_on_prices(column: pl.Series, prices: Prices, origin: Origin) -> str:
    """What is said of a column of prices that do not all agree; empty if they do."""
    if not prices.reason:
        return ""
    like = f", such as {origin.example(column, prices.place)}" if prices.place >= 0 else ""
    said = " looks like prices but stays text" if prices.numbers is None else ""
    if prices.foreign:
        remedy = f"convert them {origin.compute(column.name, _conversion(prices))}"
        remedy += (
            f", and replace {RATE} with the rate of exchange of each" if RATE in remedy else ""
        )
    else:
        remedy = "correct them in the file, or read them by `compute` in data.yaml"
    return f"column {column.name!r}{said}: {prices.reason}{like}; {remedy}"


def note_on_numbers(column: pl.Series, origin: Origin) -> str:
    """What is said of text that would be numbers without few values; empty for any other.

    It stays text, because it may be codes.
    """
    odd = odd_numbers(column)
    if odd is None or not odd.any():
        return ""
    count, of = int(odd.sum()), int((column.str.strip_chars() != "").sum())
    first = origin.example(column, int(odd.arg_true()[0]))
    return (
        f"column {column.name!r} stays text: {count:,} of {of:,} values "
        f"{'is no number' if count == 1 else 'are no numbers'}, such as {first}; unless they are "
        f"codes, read numbers alone {origin.compute(column.name, 'TRY_CAST({} AS DOUBLE)')}"
    )


def odd_numbers(column: pl.Series) -> pl.Series | None:
    """Which values of a column of text are no numbers; None if more than one in `RARE` is none.

    A column that is named like a key has codes.
    """
    if is_key(column.name):
        return None
    text = column.str.strip_chars()
    known = (text != "").fill_null(value=False)
    odd = known & ~text.str.contains(NUMBER).fill_null(value=False)
    return odd if known.any() and int(odd.sum()) * RARE <= int(known.sum()) else None


def _conversion(prices: Prices) -> str:
    """SQL that makes numbers of prices of several currencies."""
    text = "{}"
    for mark in sorted(prices.marks, key=len, reverse=True):
        text = f"REPLACE({text}, '{mark}', '')"
    text = f"REPLACE({text}, '.', '')" if prices.comma else f"REPLACE({text}, ',', '')"
    text = f"REPLACE({text}, ',', '.')" if prices.comma else text
    rates = " ".join(f"WHEN {{}} LIKE '%{mark}%' THEN {RATE}" for mark in prices.foreign)
    return f"TRY_CAST(TRIM({text}) AS DOUBLE) * CASE {rates} ELSE 1 END"
