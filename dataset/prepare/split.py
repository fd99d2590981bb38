"""Splits interactions into training, validation and test."""

import polars as pl

from dataset.arrays import TEST, TRAIN, VALID
from dataset.config import DataConfig
from dataset.prepare.ordering import chronology
from dataset.prepare.schema import SPLIT, TIME, USER

CODES = {"train": TRAIN, "valid": VALID, "test": TEST}


def assign_split(interactions: pl.LazyFrame, config: DataConfig) -> pl.LazyFrame:
    """Give every interaction its split: the stated one, or that of the configured strategy.

    Args:
        interactions: Canonical columns; `time-cut` needs `time`.
        config: The strategy and its shares.

    Returns:
        The interactions with `split` as a code: 0 train, 1 valid, 2 test.
    """
    if SPLIT in interactions.collect_schema():
        code = pl.col(SPLIT).replace_strict(CODES, return_dtype=pl.UInt8)
        return interactions.with_columns(code)
    if config.split == "leave-one-out":
        return leave_one_out(interactions)
    return time_cut(interactions, valid_share=config.valid_share, test_share=config.test_share)


def leave_one_out(interactions: pl.LazyFrame) -> pl.LazyFrame:
    """Assign each user's last interaction to the test and the second last to validation.

    All interactions of users with fewer than three are training.
    """
    keys = chronology(interactions.collect_schema())
    length = pl.len().over(USER)
    from_end = length - pl.int_range(pl.len()).over(USER)  # 1 = the newest
    return interactions.sort(USER, *keys).with_columns(
        pl.when((length < 3) | (from_end > 2))
        .then(pl.lit(TRAIN, pl.UInt8))
        .when(from_end == 2)
        .then(pl.lit(VALID, pl.UInt8))
        .otherwise(pl.lit(TEST, pl.UInt8))
        .alias(SPLIT)
    )


def time_cut(interactions: pl.LazyFrame, *, valid_share: float, test_share: float) -> pl.LazyFrame:
    """Assign interactions before one time to training, and from a later time on to the test.

    Interactions at the time of a cut belong to the later split, so training never sees them.

    Args:
        interactions: Have `time` (Unix seconds).
        valid_share: Share of the interactions between the two times.
        test_share: Share of the interactions from the second time on.
    """
    time = pl.col(TIME)
    first_valid = time.quantile(1 - valid_share - test_share, interpolation="higher")
    first_test = time.quantile(1 - test_share, interpolation="higher")
    return interactions.with_columns(
        pl.when(time < first_valid)
        .then(pl.lit(TRAIN, pl.UInt8))
        .when(time < first_test)
        .then(pl.lit(VALID, pl.UInt8))
        .otherwise(pl.lit(TEST, pl.UInt8))
        .alias(SPLIT)
    )
