"""What the server needs of an engine."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, runtime_checkable

from retrieval.embedding_cache import Lookups
from serving.api.request import Request
from shortlist_client.api.answer import Answer
from shortlist_client.api.item import Item, Known
from shortlist_client.api.operations import Counts


class Recommender(Protocol):
    """What the wire needs of an engine. Questions are asked from one thread at a time."""

    @property
    def versions(self) -> Mapping[str, str]:
        """Fingerprints of `data`, `towers`, `index` and `ranker`."""

    def cost(self, request: Request) -> int:
        """Items that an answer reads at most: of a history, and to be ranked."""

    @property
    def moment(self) -> object:
        """Stands for all that answers hang on beside the question; another one after a change."""

    @property
    def lookups(self) -> Mapping[str, Lookups]:
        """How often what the engine keeps was found, by name."""

    @property
    def actions(self) -> Sequence[str]:
        """What the release's interactions call what users do; none where they do not say."""

    def answers(self, requests: Sequence[Request]) -> Iterator[tuple[int, Answer | Exception]]:
        """Answer some requests together.

        Yields:
            Places among the requests, in any order, and their answers as soon as they are there;
            InvalidRequestError, UnknownItemError or OtherReleaseError where a request cannot be
            answered.
        """

    def handing_over(self, successor: Any) -> AbstractContextManager[None]:
        """Let another engine, of another release, take this one's place inside `with`.

        What was acknowledged by this one is known to the other inside the block, and nothing is
        acknowledged there; afterwards the other acknowledges what this one is told.
        """


@runtime_checkable
class Changeable(Protocol):
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

    def find(self, item_id: str) -> "Known | None":
        """An item as of now; None where there is none, or none any more."""
