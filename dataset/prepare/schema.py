"""Names of columns, and the choice of an item's text and attribute columns."""

from collections.abc import Sequence

import polars as pl

from dataset.item_text import is_key

ITEM, USER = "item_id", "user_id"
TITLE = "title"
TEXT = "text"
ORDER = "order"
TIMESTAMP = "timestamp"
"""As given by the source."""
TIME = "time"
"""Unix microseconds, converted from the timestamp."""
BASKET = "basket"
"""Interactions of a user in one basket happened together; one may also have no user."""
MOMENT = "moment"
"""Number of the user's moment, from 0; see `dataset.prepare.moments`."""
ACTION = "action"
"""Kind of interaction: `view`, `cart`, `purchase` or another name that the shop uses."""
WEIGHT = "action weight"
"""How much the action counts, unscaled; negative if it takes away."""
SPLIT = "split"
SEARCH = "search"
"""What the shopper typed before the interaction; empty for none."""
RELEVANCE = "relevance"
"""How well the item fits the search, or the shopper; the gain of a hit in NDCG."""
OF_INTERACTIONS = (USER, TIMESTAMP, ORDER, BASKET, ACTION, SPLIT, SEARCH, RELEVANCE)
"""Columns that are no attributes of an item if one file holds both tables"""

KEYWORD_LENGTH = 100
"""Most characters of a keyword; a longer string is prose."""

STRINGS = (pl.String, pl.Categorical, pl.Enum)


def is_string(kind: pl.DataType) -> bool:
    """Whether values of the type are strings."""
    return isinstance(kind, STRINGS)


def is_string_list(kind: pl.DataType) -> bool:
    """Whether values of the type are lists of strings."""
    return isinstance(kind, pl.List) and kind.inner == pl.String


def text_columns(schema: pl.Schema, fields: Sequence[str]) -> list[str]:
    """Columns that become an item's text, most important first.

    Args:
        schema: Schema of the items.
        fields: Names in order of priority; missing and unreadable columns are skipped. All other
            string columns follow by name, except those named like keys or addresses.
    """
    rest = sorted(
        name
        for name, kind in schema.items()
        if name not in fields and is_string(kind) and not is_key(name)
    )
    return [*(name for name in fields if name in schema and _is_readable(schema[name])), *rest]


def attribute_columns(items: pl.DataFrame) -> list[str]:
    """Columns stored for filters: all typed columns and the short string columns.

    A string column is short if 99% of its values have at most `KEYWORD_LENGTH` characters. The
    title is excluded: it names the item and does not describe it.
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
    typed = kind.is_numeric() or isinstance(kind, pl.Boolean | pl.Date | pl.Datetime)
    return typed or is_string(kind) or is_string_list(kind)
