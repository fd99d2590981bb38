"""An item's columns as the one text that the item tower reads."""

from collections.abc import Sequence

import polars as pl

from dataset.item_text import SEPARATOR
from dataset.prepare.schema import is_string_list

_PIECE = r"\s*(?:\w+|[^\w\s])"  # what BERT's pre-tokeniser splits at, with the space before it


def rendered(schema: pl.Schema, columns: Sequence[str], *, token_budget: int) -> pl.Expr:
    """Text of an item: its fields in order of priority, cut where the budget ends.

    Args:
        schema: Of the items.
        columns: Most important first; nulls and blanks are skipped, lists of strings joined.
        token_budget: Words and punctuation marks at most, separators counted. A word is one word
            piece or more, so this bounds the tower's tokens from below.

    Returns:
        The text. One that fits is not touched.
    """
    text = pl.concat_str(
        [_one_line(name, schema[name]) for name in columns], separator=SEPARATOR, ignore_nulls=True
    )
    return text.str.extract_all(_PIECE).list.head(token_budget).list.join("")


def _one_line(column: str, kind: pl.DataType) -> pl.Expr:
    value = pl.col(column)
    text = value.list.join(", ") if is_string_list(kind) else value.cast(pl.String)
    line = text.str.replace_all(r"\s+", " ").str.strip_chars()
    return pl.when(line != "").then(line)
