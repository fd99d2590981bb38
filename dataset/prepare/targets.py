"""Which interactions are targets, before there are arrays; `dataset.make_cases` has the rule."""

from itertools import groupby
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dataset.actions import fold_action, relative_weights, standing
from dataset.config import DataConfig
from dataset.interaction_codes import MICROSECONDS
from dataset.prepare.actions import actions_of
from dataset.prepare.schema import ACTION, ITEM, MOMENT, ORDER, SEARCH, TIME, USER
from dataset.repeats import Repeats, days_of

TARGET = "target"
_RELATIVE, _STANDS, _EXCLUDES, _SECONDS, _NOW = "relative", "stands", "excludes", "seconds", "now"
_SEEN, _BEFORE, _PAIR = "seen", "excluded before", "pair"


def with_targets(events: pl.DataFrame, config: DataConfig, *, timed: bool) -> pl.DataFrame:
    """Mark the interactions that are to be predicted if a split holds out their moments.

    They still stand at the end, their user has a history or searched, and the item is new to the
    history, or may come back and the action is one that excludes. This is the rule of the cases,
    except that all interactions count as learnt, and only what stands at the end as a history.

    Args:
        events: Canonical columns with `moment`.
        config: Weights of actions, and which items may come back.
        timed: Whether `time` orders the interactions.

    Returns:
        The interactions with `target`, by user, oldest first.
    """
    weights = relative_weights(actions_of(events), config.actions)
    rule = Repeats(
        actions=tuple(map(fold_action, config.exclude)),
        after_days=days_of(config.repeats),
        weights=weights,
    )
    stated = [name for name in (ORDER, TIME) if name in events.columns]
    rows = _weighted(events, rule).sort(
        USER, MOMENT, *stated, pl.col(_RELATIVE) < 0, *[n for n in (ACTION,) if n in events.columns]
    )
    seconds = pl.col(TIME) // MICROSECONDS if timed else pl.lit(0, pl.Int64)
    items = rows[ITEM].rank("dense").cast(pl.Int64).to_numpy()
    users = rows[USER].rle_id().cast(pl.Int64).to_numpy()
    stands = standing(users, items, rows[_RELATIVE].to_numpy())
    rows = rows.with_columns(
        pl.Series(_STANDS, stands), pl.Series(_PAIR, users * (1 + items.max(initial=0)) + items)
    ).with_columns(seconds.alias(_SECONDS))
    rows = rows.with_columns(pl.col(_SECONDS).min().over(USER, MOMENT).alias(_NOW))
    known = pl.col(MOMENT) > pl.col(MOMENT).filter(pl.col(_STANDS)).min().over(USER)
    if SEARCH in rows.columns:
        known = known | (pl.col(SEARCH) != "")
    allowed = pl.concat([_of_plain_pairs(rows, rule), _of_pairs_with_negatives(rows, rule)])
    marked = rows.join(allowed, on=[_PAIR, MOMENT], how="left", maintain_order="left")
    wanted = pl.col(_STANDS) & (pl.col(_EXCLUDES) | ~pl.col(_SEEN)) & ~pl.col(_BEFORE)
    return marked.with_columns((wanted & known).fill_null(value=False).alias(TARGET)).select(
        *events.columns, TARGET
    )


def _weighted(events: pl.DataFrame, rule: Repeats) -> pl.DataFrame:
    """The interactions with the relative weights of their actions, and whether these exclude."""
    names = actions_of(events)
    plain = rule.weights[""]
    of = {name: rule.weights.get(name, plain) for name in names}
    if ACTION not in events.columns:
        return events.with_columns(
            pl.lit(plain).alias(_RELATIVE), pl.lit(rule.excludes("")).alias(_EXCLUDES)
        )
    excludes = {name: rule.excludes(name) for name in names}
    return events.with_columns(
        pl.col(ACTION).replace_strict(of, return_dtype=pl.Float64).alias(_RELATIVE),
        pl.col(ACTION).replace_strict(excludes, return_dtype=pl.Boolean).alias(_EXCLUDES),
    )


def _of_plain_pairs(rows: pl.DataFrame, rule: Repeats) -> pl.DataFrame:
    """Whether each moment's item was seen, and is left out, where nothing takes the item away."""
    positive = pl.col(_RELATIVE) > 0
    excluding = pl.col(_SECONDS if rule.after_days else MOMENT)
    moments = (
        rows.filter((pl.col(_RELATIVE) >= 0).all().over(_PAIR))
        .group_by(_PAIR, MOMENT)
        .agg(
            positive.any().alias(_SEEN),
            excluding.filter(positive & pl.col(_EXCLUDES)).max().alias(_BEFORE),
            pl.col(_NOW).first(),
        )
        .sort(_PAIR, MOMENT)
    )
    seen = pl.col(_SEEN).cum_max().shift(1).over(_PAIR).fill_null(value=False)
    last = pl.col(_BEFORE).forward_fill().shift(1).over(_PAIR)
    moments = moments.with_columns(seen, last)
    out = moments[_BEFORE].is_not_null().to_numpy()
    if rule.after_days is not None:
        last_times = moments[_BEFORE].fill_null(0).to_numpy()
        out = out & rule.recent(last_times, moments[_NOW].to_numpy())
    return moments.select(_PAIR, MOMENT, _SEEN, pl.Series(_BEFORE, out))


def _of_pairs_with_negatives(rows: pl.DataFrame, rule: Repeats) -> pl.DataFrame:
    """The same where an action takes the item away, which is rare: one history at a time."""
    touched = rows.filter((pl.col(_RELATIVE) < 0).any().over(_PAIR)).sort(
        _PAIR, MOMENT, maintain_order=True
    )
    found = list[tuple[int, int, bool, bool]]()
    for pair, group in groupby(range(len(touched)), touched[_PAIR].to_list().__getitem__):
        own = list(group)
        found += _of_pair(pair, touched[own[0] : own[-1] + 1], rule)
    schema: dict[str, Any] = {
        _PAIR: pl.Int64,
        MOMENT: rows.schema[MOMENT],
        _SEEN: pl.Boolean,
        _BEFORE: pl.Boolean,
    }
    return pl.DataFrame(found, schema=schema, orient="row")


def _of_pair(pair: int, rows: pl.DataFrame, rule: Repeats) -> list[tuple[int, int, bool, bool]]:
    moments, weights = rows[MOMENT].to_numpy(), rows[_RELATIVE].to_numpy()
    excludes, times = rows[_EXCLUDES].to_numpy(), rows[_SECONDS].to_numpy()
    found = []
    for moment in np.unique(moments):
        end = int(np.searchsorted(moments, moment))
        stands = standing(*_zeros(end), weights[:end])
        strong = stands & excludes[:end]
        out = rule.recent(times[:end][strong], rows[_NOW][end]).any()
        taken = (weights[:end] < 0).any() and not strong.any()
        found.append((pair, int(moment), bool(stands.any()), bool(out or taken)))
    return found


def _zeros(count: int) -> tuple[NDArray[np.integer[Any]], NDArray[np.integer[Any]]]:
    return np.zeros(count, np.int64), np.zeros(count, np.int64)
