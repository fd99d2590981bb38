"""Sort keys: chronological order, and a hash order without information for ties and rows."""

from hashlib import blake2b

import numpy as np
import polars as pl

from dataset.prepare.schema import ACTION, ITEM, ORDER, TIME, USER, WEIGHT


def stable_hash(column: str) -> pl.Expr:
    """Hash of a string column: sorts the same on every machine, independently of the meaning."""
    return pl.col(column).map_batches(_digests, return_dtype=pl.UInt64, is_elementwise=True)


def chronology(schema: pl.Schema) -> list[pl.Expr]:
    """Sort keys that put a user's interactions oldest first.

    A stated order precedes the time. A hash of user and item breaks ties in both. So the order of
    items within a basket carries no information and differs between users. Several actions of a
    user on one item at one time are ordered by name, those that take away last.

    Args:
        schema: Schema of the interactions.
    """
    stated = [pl.col(name) for name in (ORDER, TIME) if name in schema]
    pair = stable_hash(ITEM) ^ stable_hash(USER)
    mixed = pair.map_batches(_mixed, return_dtype=pl.UInt64, is_elementwise=True)
    takes_away = [pl.col(WEIGHT) < 0] if WEIGHT in schema else []
    return [*stated, mixed, *takes_away, *(pl.col(name) for name in (ACTION,) if name in schema)]


def _mixed(numbers: pl.Series) -> pl.Series:
    """Scatter numbers that differ in few bits (the finaliser of SplitMix64, OOPSLA 2014).

    Otherwise items whose hashes share leading bits would be adjacent in every basket.
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
