import math

import polars as pl

from dataset.sampling import sampling_log_probability


def test_log_q_is_the_log_share_of_each_item_most_popular_first():
    events = pl.LazyFrame({"item_id": ["b", "a", "b", "c", "b", "a"]})

    found = sampling_log_probability(events).collect()

    assert found["item_id"].to_list() == ["b", "a", "c"]
    expected = [math.log(3 / 6), math.log(2 / 6), math.log(1 / 6)]
    assert all(map(math.isclose, found["log_q"], expected))


def test_the_chances_add_up_to_one():
    events = pl.LazyFrame({"item_id": [f"i{n * n % 37}" for n in range(500)]})

    total = sampling_log_probability(events).select(pl.col("log_q").exp().sum()).collect().item()

    assert math.isclose(total, 1)
