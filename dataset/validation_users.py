"""Divides the validation users, so that no user takes part in two choices."""

import logging
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from dataset.arrays import Dataset
from dataset.cases import Cases

logger = logging.getLogger(__name__)
FEWEST = 200
"""Validation users below which one quarter of them makes every choice."""
PARTS = 8


@dataclass(frozen=True, kw_only=True)
class ValidationUsers:
    """Users with a validation target, divided by a hash of their ids.

    Four choices need users whose targets the models have not learnt. Whoever makes one choice makes
    no other, because a choice makes its own users look better than others.
    """

    stop: Cases
    """Stop the trial's towers: two eighths"""
    weigh: Cases
    """Weigh the recall sources: two eighths"""
    choose: Cases
    """Choose the ranker's pass: one eighth"""
    gate: Cases
    """Decide whether ranking pays: one eighth"""
    learn: Cases
    """The ranker learns from them: all who neither choose the pass nor decide whether it pays"""

    @classmethod
    def of(cls, data: Dataset) -> "ValidationUsers":
        """Divide the validation users of a dataset; logs a line if they are too few to divide.

        All parts are empty if the validation split has no user with a history and a new item.
        """
        cases = data.cases("valid")
        if not len(cases):
            return cls(stop=cases, weigh=cases, choose=cases, gate=cases, learn=cases)
        users, of_case = np.unique(cases.user_rows, return_inverse=True)
        hashes = _hashes(data, users)
        if len(users) < FEWEST:
            held = np.zeros(len(users), bool)
            held[np.argsort(hashes)[: max(len(users) // 4, 1)]] = True
            logger.warning(
                "%d validation users are fewer than %d: the same %d of them stop the towers, weigh "
                "the recall sources, choose the ranker's pass and decide whether ranking pays",
                len(users),
                FEWEST,
                held.sum(),
            )
            deciding = cases.select(np.flatnonzero(held[of_case]))
            others = cases.select(np.flatnonzero(~held[of_case]))
            return cls(
                stop=deciding,
                weigh=deciding,
                choose=deciding,
                gate=deciding,
                learn=others if len(others) else deciding,
            )
        parts = (hashes % PARTS)[of_case]

        def those(*wanted: int) -> Cases:
            return cases.select(np.flatnonzero(np.isin(parts, wanted)))

        return cls(
            stop=those(0, 1),
            weigh=those(2, 3),
            choose=those(6),
            gate=those(7),
            learn=those(0, 1, 2, 3, 4, 5),
        )


def _hashes(data: Dataset, user_rows: NDArray[np.int64]) -> NDArray[np.uint64]:
    """(users,) hash of each user's id."""
    ids = (data.user_ids[row].encode(errors="surrogatepass") for row in user_rows.tolist())
    return np.frombuffer(
        b"".join(blake2b(user_id, digest_size=8).digest() for user_id in ids), np.uint64
    )
