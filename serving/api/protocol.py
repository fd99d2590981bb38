"""What the server needs of an engine."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, runtime_checkable

from retrieval.embedding_cache import CacheLookups
from serving.api.request import Request
from shortlist_client.api.answer import Answer
from shortlist_client.api.item import Item, KnownItem
from shortlist_client.api.operations import Counts


class Recommender(Protocol):
    """Answers requests from one unchanging state of a release. One thread at a time may ask."""

    @property
    def versions(self) -> Mapping[str, str]:
        """Fingerprint of every stage, and the `release` where it was published."""

    @property
    def version_token(self) -> object:
        """Identifies the state; a change of items or of the release makes another one."""

    @property
    def actions(self) -> Sequence[str]:
        """Names of the actions in the release's interactions; empty where it has none."""

    @property
    def cache_lookups(self) -> Mapping[str, CacheLookups]:
        """Hits and misses of the engine's caches, by name."""

    def cost(self, request: Request) -> int:
        """Items that an answer reads at most: of a history, and to be ranked."""

    def answers(self, requests: Sequence[Request]) -> Iterator[tuple[int, Answer | Exception]]:
        """Answer some requests together.

        Yields:
            Places among the requests, in any order, and their answers as soon as they are there;
            InvalidRequestError, UnknownItemError or OtherReleaseError where a request cannot be
            answered.
        """


class LiveRecommender(Protocol):
    """Gives the newest state of a release whose items may change. Any thread may ask for it."""

    @property
    def current(self) -> Recommender:
        """The newest state."""

    def hand_over(self, successor: Any) -> AbstractContextManager[None]:
        """Hand item changes over to the engine of another release inside `with`.

        The successor knows every acknowledged change when the block begins. Inside the block
        nothing is acknowledged. Afterwards the successor acknowledges what this one is told.
        """


@runtime_checkable
class LiveCatalogue(Protocol):
    """An engine whose items can be changed, and looked at, from any thread while it is asked."""

    @property
    def counts(self) -> Counts:
        """How many items there are as of now."""

    def check(self, item: Item) -> None:
        """Refuse an item that breaks a rule.

        Raises:
            InvalidRequestError: names the field, the rule and the value.
        """

    def upsert(self, items: Sequence[Item]) -> None:
        """Add items or put new forms in the place of old ones: all of them, or none."""

    def delete(self, item_ids: Sequence[str]) -> None:
        """Take items out of every answer: all of them, or none."""

    def find(self, item_id: str) -> "KnownItem | None":
        """An item as of now; None where there is none, or none any more."""
