"""Orders: the one that time gives, and one that means nothing, for ties and for rows."""

from hashlib import blake2b

import numpy as np
import polars as pl

from dataset.prepare.schema import ACTION, ITEM, ORDER, TIME, USER


def stable_hash(column: str) -> pl.Expr:
    """Key of a string column that sorts alike everywhere, and by nothing the strings say."""
    return pl.col(column).map_batches(_digests, return_dtype=pl.UInt64, is_elementwise=True)


def chronology(schema: pl.Schema) -> list[pl.Expr]:
    """Sort keys that put a user's interactions oldest first.

    A stated order goes before the time. A tie in both is broken by a hash of user and item, so that
    the items of a basket are in an order that means nothing, and in another one for another user.
    What a user did to one item at one time is ordered by the name of the action.

    Args:
        schema: Of the interactions.
    """
    stated = [pl.col(name) for name in (ORDER, TIME) if name in schema]
    pair = stable_hash(ITEM) ^ stable_hash(USER)
    mixed = pair.map_batches(_mixed, return_dtype=pl.UInt64, is_elementwise=True)
    return [*stated, mixed, *(pl.col(name) for name in (ACTION,) if name in schema)]


def _mixed(numbers: pl.Series) -> pl.Series:
    """Scatter numbers that differ in few bits (the finaliser of SplitMix64, OOPSLA 2014).

    Without it, items whose hashes begin alike would lie side by side in every basket.
    """
    x = numbers.to_numpy()
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return pl.Series(numbers.name, x ^ (x >> np.uint64(31)))


def _digests(strings: pl.Series) -> pl.Series:
    distinct = strings.unique()
    digests = [
        int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big") for text in distinct
    ]
    return strings.replace_strict(
        distinct, pl.Series(digests, dtype=pl.UInt64), return_dtype=pl.UInt64
    )
