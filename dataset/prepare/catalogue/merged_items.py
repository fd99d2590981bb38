"""One row of each item id from many, such as the lines of a shop's sales."""

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType

import polars as pl

from dataset.actions import PLAIN, raw_weights
from dataset.prepare.actions import folded
from dataset.prepare.schema import ACTION, BASKET, ITEM, ORDER, TIMESTAMP, TITLE, is_string
from dataset.prepare.timestamps import is_time, unix_microseconds

SHARED_BY = 3
"""Items from which a title counts as a remark, if it is the usual one of less than half of them"""
_WHEN, _PLACE, _TIMES, _USUAL, _REMARK = "when", "place", "times", "usual", "remark"
_SALE = "sale"


def merged(
    rows: pl.DataFrame,
    *,
    leave_out: Sequence[str] = (),
    actions: Mapping[str, float] = MappingProxyType({}),
    dated: Collection[str] = (),
) -> pl.DataFrame:
    """One row of each item id: the most frequent text, the newest of everything else.

    A text counts once a basket, or once a row where there are no baskets. The newest is the last
    by time, by order, or else by place in the table; a refund, which may be of an old price, only
    where there is no other. A title that several items have, and that is
    the usual one of few of them, is a remark, such as `damaged`. It names an item only if nothing
    else does. Texts that are equally frequent: the newer one, then the first by alphabet.

    Args:
        rows: Ids as text. `timestamp` or `order` dates the rows, `basket` counts them.
        leave_out: Columns that are no attributes of an item.
        actions: Weights of actions that the configuration gives, which say what takes away.
        dated: Columns of text of which the newest counts, such as prices.
    """
    kept = [name for name in rows.columns if name not in (ITEM, *leave_out)]
    rows = rows.with_columns(
        _age(rows.schema).alias(_WHEN), _is_sale(rows.schema, actions).alias(_SALE)
    ).with_row_index(_PLACE)
    rows = rows.with_columns(_known_text(name) for name in dated)
    texts = [name for name in kept if is_string(rows.schema[name]) and name not in dated]
    others = [_newest(name, rows.schema[name]) for name in kept if name not in texts]
    items = rows.group_by(ITEM).agg(others)
    for name in texts:
        items = items.join(_most_frequent(rows, name), on=ITEM, how="left")
    return items.select(ITEM, *kept)


def _age(schema: pl.Schema) -> pl.Expr:
    if TIMESTAMP in schema and is_time(schema[TIMESTAMP]):
        return unix_microseconds(TIMESTAMP, schema[TIMESTAMP])
    return pl.col(ORDER) if ORDER in schema else pl.lit(0)


def _is_sale(schema: pl.Schema, actions: Mapping[str, float]) -> pl.Expr:
    """Whether the action of a row has a positive weight; true without actions."""
    if ACTION not in schema or not is_string(schema[ACTION]):
        return pl.lit(value=True)
    known = raw_weights(actions)
    return folded(ACTION).replace_strict(known, default=PLAIN, return_dtype=pl.Float64) > 0


def _known_text(name: str) -> pl.Expr:
    text = pl.col(name).str.strip_chars()
    return pl.when(text != "").then(text)


def _newest(name: str, kind: pl.DataType) -> pl.Expr:
    """The last value that is known; of several at one time the largest, if they can be compared.

    A text without a digit, such as `on request`, counts only where there is no other.
    """
    value = pl.col(name).fill_nan(None) if kind.is_float() else pl.col(name)
    comparable = kind.is_numeric() or kind.is_temporal() or is_string(kind)
    says = value.str.contains(r"\d") if is_string(kind) else pl.lit(value=True)
    return value.sort_by(says, _SALE, _WHEN, name if comparable else _PLACE).drop_nulls().last()


def _most_frequent(rows: pl.DataFrame, name: str) -> pl.DataFrame:
    """The text of each item that has one."""
    times = pl.col(BASKET).n_unique() if BASKET in rows.columns else pl.len()
    counts = (
        rows.with_columns(pl.col(name).cast(pl.String).str.strip_chars())
        .filter(pl.col(name) != "")
        .group_by(ITEM, name)
        .agg(times.alias(_TIMES), pl.col(_WHEN).max())
    )
    if name == TITLE:
        usual = pl.col(_TIMES) == pl.col(_TIMES).max().over(ITEM)
        few = pl.col(_USUAL).mean() < 0.5
        remark = ((pl.len() >= SHARED_BY) & few).over(TITLE)
        counts = counts.with_columns(usual.alias(_USUAL)).with_columns(remark.alias(_REMARK))
    else:
        counts = counts.with_columns(pl.lit(value=False).alias(_REMARK))
    return (
        counts.sort(_REMARK, _TIMES, _WHEN, name, descending=[False, True, True, False])
        .group_by(ITEM, maintain_order=True)
        .agg(pl.col(name).first())
    )
