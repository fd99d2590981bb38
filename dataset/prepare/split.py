"""Splits interactions into training, validation and test; no split divides a moment."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import polars as pl

from dataset.arrays import TEST, TRAIN, VALID
from dataset.config import DataConfig
from dataset.interaction_codes import MICROSECONDS
from dataset.prepare.actions import with_weights
from dataset.prepare.moments import divided_moments, divided_searches, with_moments
from dataset.prepare.no_interactions import NOTE
from dataset.prepare.schema import MOMENT, ORDER, SPLIT, TIME, USER
from dataset.prepare.stated_order import settled_order
from dataset.prepare.targets import TARGET, with_targets
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
    """What the report says: why it was not the configured strategy, what a split lacks, what of the
    order does not count, moments divided."""
    cuts: tuple[int, ...] = ()
    """First moments of the validation and of the test, Unix microseconds; of `time-cut` alone."""


def assign_split(interactions: pl.LazyFrame, config: DataConfig) -> Splitted:
    """Give every interaction its moment and its split: the stated one, or the strategy's.

    Args:
        interactions: Canonical columns; `time-cut` needs `time`.
        config: The strategy and its options.
    """
    ordered, contradicted = settled_order(interactions)
    weighted = with_weights(ordered, config.actions)
    rows = with_moments(weighted, basket_minutes=config.basket_minutes).collect()
    if rows.is_empty():
        events = rows.lazy().with_columns(pl.lit(TRAIN, pl.UInt8).alias(SPLIT))
        return Splitted(interactions=events, by=LEAVE_ONE_OUT, notes=(NOTE,))
    timed, divided = TIME in rows.columns and ordered_by_time(rows.lazy()), ""
    if timed:
        rows, divided = divided_moments(rows)
    rows = divided_searches(rows)
    if SPLIT in rows.columns:
        code = pl.col(SPLIT).replace_strict(CODES, return_dtype=pl.UInt8)
        said = f"{COLUMN} decides, and the option split: {config.split} does not count"
        notes: tuple[str, ...] = () if config.split == "auto" else (said,)
        splitted = Splitted(interactions=rows.lazy().with_columns(code), by=COLUMN, notes=notes)
    else:
        splitted = _by_strategy(with_targets(rows, config, timed=timed), config, timed=timed)
    kept = splitted.interactions.drop(TARGET, strict=False)
    notes = tuple(note for note in (contradicted, divided, *splitted.notes) if note)
    return replace(splitted, interactions=kept, notes=notes)


def _by_strategy(rows: pl.DataFrame, config: DataConfig, *, timed: bool) -> Splitted:
    """The interactions, which have `target`, split as configured, or as is possible."""
    events = rows.lazy()
    by_users = Splitted(interactions=leave_one_out(events), by=LEAVE_ONE_OUT)
    if config.split == LEAVE_ONE_OUT:
        return by_users
    if TIME not in rows.columns:
        return replace(by_users, notes=(f"{LEAVE_ONE_OUT}, because there are no times to cut by",))
    if not timed and config.split != TIME_CUT:
        reason = f"because the column `{ORDER}` contradicts the times"
        return replace(by_users, notes=(f"{LEAVE_ONE_OUT}, {reason}",))
    cuts = cuts_of(events, config)
    cut = time_cut(events, cuts)
    lacking = [name for name, code in CODES.items() if not _usable(cut, code)]
    notes: tuple[str, ...] = ()
    if lacking:
        said = f"a cut by time leaves nothing to predict in {' and '.join(lacking)}"
        if config.split != TIME_CUT:
            return replace(by_users, notes=(f"{LEAVE_ONE_OUT}, because {said}; {_remedy(rows)}",))
        notes = (f"{said}; {_remedy(rows)}",)
    return Splitted(interactions=cut, by=TIME_CUT, cuts=cuts, notes=notes)


def _remedy(rows: pl.DataFrame) -> str:
    first, last = (
        datetime.fromtimestamp(at // MICROSECONDS, UTC).date()
        for at in rows.select(first=pl.col(TIME).min(), last=pl.col(TIME).max()).row(0)
    )
    return (
        f"the data reach from {first} to {last}: `cuts`, or `valid_share` and `test_share`, in "
        "data.yaml choose other times"
    )


def ordered_by_time(interactions: pl.LazyFrame) -> bool:
    """Whether no time decreases within the stated order of a user."""
    if ORDER not in interactions.collect_schema():
        return True
    back = (pl.col(TIME).sort_by(ORDER, TIME).diff() < 0).any().over(USER)
    return not interactions.select(back.any()).collect().item()


def _usable(events: pl.LazyFrame, code: int) -> bool:
    """Whether a split has a target."""
    found = (pl.col(SPLIT) == code) & pl.col(TARGET)
    return bool(events.select(found.any()).collect().item())


def leave_one_out(interactions: pl.LazyFrame) -> pl.LazyFrame:
    """Assign each user's last moment with targets to the test, and that before to validation.

    A moment without targets belongs to the split of the moment before. Users with fewer than two
    moments with targets are training.

    Args:
        interactions: Have `moment` and `target`, see `dataset.prepare.targets`.
    """
    moment = pl.col(MOMENT)
    of_target, test, valid = (pl.col(name) for name in ("of target", "test", "valid"))
    return (
        interactions.with_columns(pl.when(TARGET).then(moment).alias("of target"))
        .with_columns(test=of_target.max().over(USER))
        .with_columns(pl.when(of_target < test).then(of_target).alias("of target"))
        .with_columns(valid=of_target.max().over(USER))
        .with_columns(
            pl.when(valid.is_not_null() & (moment >= test))
            .then(pl.lit(TEST, pl.UInt8))
            .when(moment >= valid)
            .then(pl.lit(VALID, pl.UInt8))
            .otherwise(pl.lit(TRAIN, pl.UInt8))
            .alias(SPLIT)
        )
        .drop("of target", "test", "valid")
    )


def cuts_of(interactions: pl.LazyFrame, config: DataConfig) -> tuple[int, int]:
    """Times at which the validation and the test begin, Unix microseconds.

    Where the share of the newest moment, such as a day, is larger than a split's, the cut is the
    nearest one that leaves moments on both sides.

    Args:
        interactions: Have `time` (Unix microseconds) and `moment`.
        config: The two days, or the shares of the interactions that follow each time.
    """
    if config.cuts:
        first, last = map(from_date, config.cuts)
        return first, last
    begin = interactions.select(pl.col(TIME).min().over(USER, MOMENT)).collect()[TIME]
    shares = (config.valid_share + config.test_share, config.test_share)
    valid, test = (begin.quantile(1 - share, interpolation="higher") for share in shares)
    begins = begin.unique().sort()
    if len(begins) < 3:
        return int(valid or 0), int(test or 0)
    test_at = max(int(begins.search_sorted(test)), 2)
    valid_at = min(max(int(begins.search_sorted(valid)), 1), test_at - 1)
    return begins[valid_at], begins[test_at]


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
