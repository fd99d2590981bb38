"""Names of columns, and which of an item's columns are text."""

from collections.abc import Sequence

import polars as pl

from dataset.item_text import is_key

ITEM, USER = "item_id", "user_id"
TITLE = "title"
TEXT = "text"
ORDER = "order"
TIMESTAMP = "timestamp"
"""As the source states it."""
TIME = "time"
"""Unix seconds, made of the timestamp."""
ACTION = "action"
"""What a user did to an item: `view`, `cart`, `purchase` or whatever a shop calls it."""
SPLIT = "split"

KEYWORD_LENGTH = 100
"""Characters of a string that is a keyword; a longer one is prose."""

STRINGS = (pl.String, pl.Categorical, pl.Enum)


def is_string(kind: pl.DataType) -> bool:
    """Whether values of the type are text as they are."""
    return isinstance(kind, STRINGS)


def is_string_list(kind: pl.DataType) -> bool:
    """Whether values of the type are lists of strings."""
    return isinstance(kind, pl.List) and kind.inner == pl.String


def text_columns(schema: pl.Schema, fields: Sequence[str]) -> list[str]:
    """Columns that become an item's text, most important first.

    Args:
        schema: Of the items.
        fields: Names in order of priority; those that the items lack or that cannot be read are
            skipped. Every other string column follows by name, unless its name is a key's or an
            address's.
    """
    rest = sorted(
        name
        for name, kind in schema.items()
        if name not in fields and is_string(kind) and not is_key(name)
    )
    return [*(name for name in fields if name in schema and _is_readable(schema[name])), *rest]


def attribute_columns(items: pl.DataFrame) -> list[str]:
    """Columns kept as they are, for filters: all that is typed, and strings that are short.

    A string column is short where 99 of 100 values have at most `KEYWORD_LENGTH` characters. The
    title is none: it is what the item is called, not what it is like.
    """
    return [
        name
        for name, kind in items.schema.items()
        if name not in (ITEM, TITLE) and not (is_string(kind) and _is_long(items[name]))
    ]


def _is_long(strings: pl.Series) -> bool:
    lengths = strings.cast(pl.String).str.len_chars()
    return (lengths.quantile(0.99, "lower") or 0) > KEYWORD_LENGTH


def _is_readable(kind: pl.DataType) -> bool:
    return is_string_list(kind) or not (kind.is_nested() or isinstance(kind, pl.Binary | pl.Object))
