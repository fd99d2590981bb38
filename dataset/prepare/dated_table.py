"""Reads texts with their days, and topics if there are any, from a table."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dataset.interaction_codes import DAY, MICROSECONDS
from dataset.prepare.labelled_table import as_labels, read_rows, rendered
from dataset.prepare.similar import nearest
from dataset.prepare.tables.files import Files
from dataset.prepare.timestamps import is_time, unix_microseconds
from dataset.prepare.validation import InputError


@dataclass(frozen=True, kw_only=True)
class DatedTexts:
    """Texts of some days; rows without a text or a time are left out."""

    texts: Sequence[str]
    """Rendered text of each row."""
    days: NDArray[np.int64]
    """(rows,) days since 1970, UTC."""
    topics: Sequence[str | None] | None
    """Topic of each row; None if no topic was asked for."""
    left_out: int
    """Rows without a text or a time that can be read."""


def read_dated(
    files: Files, text: Sequence[str], time: str, topic: str, token_budget: int
) -> DatedTexts:
    """Read texts with their days.

    Args:
        files: The table.
        text: Columns that the texts are rendered from.
        time: Column of times or days.
        topic: Column of topics; empty for none.
        token_budget: Most words and punctuation marks of a text.

    Raises:
        InputError: a column is missing, or no row has a text and a time.
    """
    table, _ = read_rows(files, as_text=text)
    for option, name in (*(("text", one) for one in text), ("time", time), ("topic", topic)):
        if name and name not in table.columns:
            raise _missing(files, option, name, table.columns)
    kind = table.schema[time]
    if not is_time(kind):
        raise InputError(f"{files.path}: time must be a column of times, got {time!r} of {kind}")
    times = table.select(unix_microseconds(time, kind).alias(time))[time]
    texts = np.array(rendered(table, text, token_budget), object)
    used = (texts != "") & times.is_not_null().to_numpy()
    if not used.any():
        raise InputError(
            f"{files.path}: rows must have a text and a time, got none of {len(table):,}; "
            f"look at {time!r}, like {table[time][0]!r}"
        )
    kept = table.filter(pl.Series(used))
    return DatedTexts(
        texts=texts[used].tolist(),
        days=times.filter(pl.Series(used)).to_numpy() // (DAY * MICROSECONDS),
        topics=as_labels(kept[topic]) if topic else None,
        left_out=int((~used).sum()),
    )


def _missing(files: Files, option: str, name: str, columns: Sequence[str]) -> InputError:
    near = nearest(name, columns)
    remedy = f"name {near!r} if it is meant" if near else f"name one of {', '.join(columns)}"
    return InputError(f"{files.path}: {option} must be a column, got {name!r}; {remedy}")
