"""Rules of ids, and their form as strings."""

import polars as pl

from dataset.prepare.schema import STRINGS
from dataset.prepare.validation import Rule
from shortlist_client.api.event import ID_LENGTH

AS_IDS = "write the ids as text"
"""Remedy of ids of another type"""
EXACT = 2.0**53
"""Whole numbers up to here are exact in floating point."""


def is_id(kind: pl.DataType) -> bool:
    """Whether a column of the type can hold ids."""
    return kind.is_integer() or kind.is_float() or isinstance(kind, STRINGS)


def id_text(column: str, kind: pl.DataType) -> pl.Expr:
    """Ids as strings. Whole numbers in floating point, as pandas writes them, become `12`."""
    if kind.is_float():
        return pl.col(column).cast(pl.Int64, strict=False).cast(pl.String)
    return pl.col(column).cast(pl.String)


def id_rules(column: str, kind: pl.DataType, *, required: Rule | None = None) -> list[Rule]:
    """Rules of a column of ids, accepted by `is_id`.

    Args:
        column: Name of the column.
        kind: Its type.
        required: Which ids must not be empty; by default all.
    """
    rules = [required or not_empty(column, kind), short(column), without_nul(column)]
    if kind.is_float():
        number = pl.col(column)
        odd = (number != number.floor()) | (number.abs() > EXACT)
        rules.append(
            Rule(
                column=column,
                must="be text or whole numbers",
                broken=odd.fill_null(value=False) & number.is_not_nan(),
                remedy=AS_IDS,
            )
        )
    return rules


def is_empty(column: str, kind: pl.DataType) -> pl.Expr:
    """Whether an id is null, NaN or blank."""
    ids = pl.col(column)
    empty = ids.is_nan() if kind.is_float() else ids.cast(pl.String).str.strip_chars() == ""
    return ids.is_null() | empty.fill_null(value=True)


def not_empty(column: str, kind: pl.DataType) -> Rule:
    """No id is null, NaN or blank."""
    return Rule(
        column=column,
        must="not be null or empty",
        broken=is_empty(column, kind),
        remedy="leave out these rows or fill the ids",
        drop=f"no {column}",
    )


def user_or_basket(user: str, kind: pl.DataType, basket: str, basket_kind: pl.DataType) -> Rule:
    """Every row has a user or a basket."""
    return Rule(
        column=user,
        must="not be null or empty in rows without a basket",
        broken=is_empty(user, kind) & is_empty(basket, basket_kind),
        remedy="leave out these rows or fill the ids",
    )


def short(column: str) -> Rule:
    """No request could name a longer id or action."""
    length = pl.col(column).cast(pl.String).str.len_chars()
    return Rule(
        column=column,
        must=f"have at most {ID_LENGTH} characters",
        broken=(length > ID_LENGTH).fill_null(value=False),
        remedy="shorten them in both tables, because no request could name them",
    )


def without_nul(column: str) -> Rule:
    """No event could name an id with NUL."""
    found = pl.col(column).cast(pl.String).str.contains("\0", literal=True)
    return Rule(
        column=column,
        must="be text without NUL",
        broken=found.fill_null(value=False),
        remedy="remove the NUL characters",
    )
