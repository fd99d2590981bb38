"""Which interactions are learnt from, tuned on and tested on."""

import polars as pl

from dataset.arrays import TEST, TRAIN, VALID
from dataset.config import DataConfig
from dataset.prepare.ordering import chronology
from dataset.prepare.schema import SPLIT, TIME, USER

CODES = {"train": TRAIN, "valid": VALID, "test": TEST}


def assign_split(interactions: pl.LazyFrame, config: DataConfig) -> pl.LazyFrame:
    """Give every interaction its split: the stated one, else the configured strategy's.

    Args:
        interactions: Canonical columns; `time-cut` needs `time`.
        config: Names the strategy and its shares.

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
    """A user's last interaction is for the test, the last but one for validation.

    Users with fewer than three are for training alone.
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
    """Everything before one moment is for training, everything after a later one for the test.

    What happened at the very moment of a cut goes to the later side, so training never sees it.

    Args:
        interactions: With `time` (Unix seconds).
        valid_share: Share of the interactions between the two moments.
        test_share: Share of the interactions from the second moment on.
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
