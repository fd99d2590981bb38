"""Splits interactions into training, validation and test; no split divides a moment."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import polars as pl

from dataset.arrays import TEST, TRAIN, VALID
from dataset.config import DataConfig
from dataset.interaction_codes import MICROSECONDS
from dataset.prepare.actions import with_weights
from dataset.prepare.moments import divided_moments, with_moments
from dataset.prepare.no_interactions import NOTE
from dataset.prepare.schema import ITEM, MOMENT, ORDER, SPLIT, TIME, USER, WEIGHT
from dataset.prepare.timestamps import from_date

CODES = {"train": TRAIN, "valid": VALID, "test": TEST}
COLUMN, LEAVE_ONE_OUT, TIME_CUT = "the column `split`", "leave-one-out", "time-cut"


@dataclass(frozen=True, kw_only=True)
class Splitted:
    """Interactions with their splits, and how they were found."""

    interactions: pl.LazyFrame
    """Canonical columns with `moment`, the `weight` of the action, and `split` as a code: 0 train,
    1 valid, 2 test."""
    by: str
    """What decided: the column, or the strategy."""
    notes: tuple[str, ...] = ()
    """What the report says: why it was not the configured strategy, and moments divided."""
    cuts: tuple[int, ...] = ()
    """First moments of the validation and of the test, Unix microseconds; of `time-cut` alone."""


def assign_split(interactions: pl.LazyFrame, config: DataConfig) -> Splitted:
    """Give every interaction its moment and its split: the stated one, or the strategy's.

    Args:
        interactions: Canonical columns; `time-cut` needs `time`.
        config: The strategy and its options.
    """
    moments = with_moments(interactions, basket_minutes=config.basket_minutes)
    rows, notes = with_weights(moments, config.actions).collect(), list[str]()
    if rows.is_empty():
        return Splitted(interactions=leave_one_out(rows.lazy()), by=LEAVE_ONE_OUT, notes=(NOTE,))
    if TIME in rows.columns and ordered_by_time(rows.lazy()):
        rows, divided = divided_moments(rows)
        notes += [divided] if divided else []
    events = rows.lazy()
    if SPLIT in rows.columns:
        code = pl.col(SPLIT).replace_strict(CODES, return_dtype=pl.UInt8)
        if config.split != "auto":
            notes.append(f"{COLUMN} decides, and the option split: {config.split} does not count")
        return Splitted(interactions=events.with_columns(code), by=COLUMN, notes=tuple(notes))
    cut = _cut_or_why_not(events, config)
    if isinstance(cut, str):
        notes += [cut] if cut else []
        return Splitted(interactions=leave_one_out(events), by=LEAVE_ONE_OUT, notes=tuple(notes))
    cuts = cuts_of(events, config)
    return Splitted(interactions=cut, by=TIME_CUT, cuts=cuts, notes=tuple(notes))


def _cut_or_why_not(events: pl.LazyFrame, config: DataConfig) -> pl.LazyFrame | str:
    """The interactions cut by time, or the reason for leave-one-out; empty if it is configured."""
    if config.split == LEAVE_ONE_OUT:
        return ""
    if TIME not in events.collect_schema():
        return f"{LEAVE_ONE_OUT}, because there are no times to cut by"
    if config.split == TIME_CUT:
        return time_cut(events, cuts_of(events, config))
    if not ordered_by_time(events):
        return f"{LEAVE_ONE_OUT}, because the column `{ORDER}` contradicts the times"
    cut = time_cut(events, cuts_of(events, config))
    for code, name in ((TRAIN, "train"), (VALID, "valid"), (TEST, "test")):
        if not _usable(cut, code):
            return f"{LEAVE_ONE_OUT}, because a cut by time leaves nothing to predict in {name}"
    return cut


def ordered_by_time(interactions: pl.LazyFrame) -> bool:
    """Whether no time decreases within the stated order of a user."""
    if ORDER not in interactions.collect_schema():
        return True
    back = (pl.col(TIME).sort_by(ORDER, TIME).diff() < 0).any().over(USER)
    return not interactions.select(back.any()).collect().item()


def _usable(events: pl.LazyFrame, code: int) -> bool:
    """Whether a split has a target: an item that is new to a user who has a history."""
    new = (pl.col(SPLIT) == code) & (pl.col(MOMENT) > 0) & _is_new()
    return bool(events.select(new.any()).collect().item())


def leave_one_out(interactions: pl.LazyFrame) -> pl.LazyFrame:
    """Assign each user's last moment with new items to the test, and that before to validation.

    An item is new if no earlier moment of the user has it, and the action does not take it away. A
    moment without new items belongs to the split of the moment before. Users with fewer than three
    moments with new items are training.

    Args:
        interactions: Have `moment` and `weight`.
    """
    moment = pl.col(MOMENT)
    new, test, valid = (pl.col(name) for name in ("new", "test", "valid"))
    return (
        interactions.with_columns(new=pl.when(_is_new()).then(moment))
        .with_columns(test=new.max().over(USER))
        .with_columns(new=pl.when(new < test).then(new))
        .with_columns(valid=new.max().over(USER))
        .with_columns(
            pl.when((valid > 0) & (moment >= test))
            .then(pl.lit(TEST, pl.UInt8))
            .when((valid > 0) & (moment >= valid))
            .then(pl.lit(VALID, pl.UInt8))
            .otherwise(pl.lit(TRAIN, pl.UInt8))
            .alias(SPLIT)
        )
        .drop("new", "test", "valid")
    )


def _is_new() -> pl.Expr:
    return (pl.col(MOMENT) == pl.col(MOMENT).min().over(USER, ITEM)) & (pl.col(WEIGHT) > 0)


def cuts_of(interactions: pl.LazyFrame, config: DataConfig) -> tuple[int, int]:
    """Times at which the validation and the test begin, Unix microseconds.

    Args:
        interactions: Have `time` (Unix microseconds) and `moment`.
        config: The two days, or the shares of the interactions that follow each time.
    """
    if config.cuts:
        valid, test = map(from_date, config.cuts)
        return valid, test
    begin = pl.col(TIME).min().over(USER, MOMENT)
    shares = (config.valid_share + config.test_share, config.test_share)
    at = [begin.quantile(1 - share, interpolation="higher") for share in shares]
    valid, test = interactions.select(valid=at[0], test=at[1]).collect().row(0)
    return int(valid), int(test)


def time_cut(interactions: pl.LazyFrame, cuts: tuple[int, int]) -> pl.LazyFrame:
    """Assign moments before one time to training, and from a later time on to the test.

    A moment belongs to the split in which it ends, so no row at or after a cut is in an earlier
    split.

    Args:
        interactions: Have `time` (Unix microseconds) and `moment`.
        cuts: Times at which the validation and the test begin.
    """
    first_valid, first_test = cuts
    end = pl.col(TIME).max().over(USER, MOMENT)
    return interactions.with_columns(
        pl.when(end < first_valid)
        .then(pl.lit(TRAIN, pl.UInt8))
        .when(end < first_test)
        .then(pl.lit(VALID, pl.UInt8))
        .otherwise(pl.lit(TEST, pl.UInt8))
        .alias(SPLIT)
    )


def cut_times(cuts: tuple[int, ...]) -> Mapping[str, str]:
    """Times at which validation and test begin, ISO 8601, by name; none without cuts.

    Args:
        cuts: Unix microseconds.
    """
    times = (datetime.fromtimestamp(cut // MICROSECONDS, UTC).isoformat() for cut in cuts)
    return dict(zip(("valid", "test"), times, strict=False))
