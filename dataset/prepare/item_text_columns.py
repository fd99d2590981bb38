"""Renders an item's columns as the one text that the item tower reads."""

from collections.abc import Sequence

import polars as pl

from dataset.item_text import SEPARATOR
from dataset.prepare.schema import is_string_list

_PIECE = r"\s*(?:\w+|[^\w\s])"  # a piece of BERT's pre-tokeniser, with the space before it


def rendered(schema: pl.Schema, columns: Sequence[str], *, token_budget: int) -> pl.Expr:
    """Expression for an item's text: its fields in order of priority, cut at the token budget.

    Args:
        schema: Schema of the items.
        columns: Most important first; nulls and blanks are skipped, lists of strings joined.
        token_budget: Most words and punctuation marks, separators included. A word has at least one
            word piece, so a text of this length has at least as many word pieces.

    Returns:
        The text, unchanged if it fits.
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
