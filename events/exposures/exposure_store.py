"""The protocol of the part of an event store that holds exposures."""

from collections.abc import Collection, Iterator, Sequence
from typing import Protocol

from shortlist_client.api.exposure import Exposure

PLAIN = (
    "request_id",
    "time",
    "client",
    "user_id",
    "placement",
    "method",
    "release",
    "experiment",
    "arm",
    "policy",
)
"""Fields of an exposure, and columns, with one value"""
LISTS = ("item_ids", "scores", "propensities")
"""Those with a value for each item; they follow"""
BATCH = 500
"""Exposures of one query of a scan."""
PRUNED = 1_000
"""Exposures of one transaction of `prune`."""
END = 2**62
"""A time after all others, Unix seconds"""


class ExposureStore(Protocol):
    """Holds exposures for many threads and processes at once; the event store closes it.

    Users are erased and renamed by the event store, in one transaction with their events. Every
    method raises StoreError if the store cannot do its work.
    """

    def append(
        self, exposures: Sequence[Exposure], *, digests: Sequence[Collection[str]] = ()
    ) -> int:
        """Store exposures in their order, all or none, except those of erased users.

        They must keep the rules of `check_exposure`. An append that fails is not tried again.

        Args:
            exposures: The exposures.
            digests: Digests of the user of each: it is left out if one of them was erased at its
                time or later. By default nobody was.

        Returns:
            Number of stored exposures.
        """

    def scan(self, *, since: int = 0, until: int = END) -> Iterator[Exposure]:
        """Yield the exposures of a range of time, oldest first; within a second as recorded.

        What is recorded meanwhile may be missing.

        Args:
            since: Unix seconds, inclusive.
            until: Unix seconds, exclusive.
        """

    def of_user(self, user_id: str) -> Iterator[Exposure]:
        """Yield all exposures of a user, in the order of recording."""

    def count(self) -> int:
        """Number of stored exposures."""

    def prune(self, *, before: int, rows: int) -> int:
        """Remove some of the oldest exposures that are too old or too many; call until it is 0.

        One call is one transaction, which blocks others briefly.

        Args:
            before: Unix seconds; older exposures go.
            rows: How many exposures may stay.

        Returns:
            Number of removed exposures.
        """
