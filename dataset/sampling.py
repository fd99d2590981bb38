"""How likely an item is to be drawn as a negative."""

import polars as pl

from dataset.ordering import stable_hash
from dataset.schema import ITEM, LOG_Q


def sampling_log_probability(events: pl.LazyFrame) -> pl.LazyFrame:
    """Chance of each item turning up as an in-batch negative (Yi et al., RecSys 2019).

    Args:
        events: One row per interaction, of the training split alone.

    Returns:
        `item_id` and `log_q` (nats, at most 0), most popular first.
    """
    return (
        events.group_by(ITEM)
        .len()
        .select(ITEM, (pl.col("len") / pl.col("len").sum()).log().alias(LOG_Q))
        .sort(-pl.col(LOG_Q), stable_hash(ITEM))
    )
