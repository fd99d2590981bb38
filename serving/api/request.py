"""A request as the server works on it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from enum import Enum

from shortlist_client.api.errors import InvalidRequestError
from shortlist_client.api.event import Event
from shortlist_client.api.request import HONOURED, Shopper, Wishes

DEFAULT_LIMIT = 20
"""Items of an answer where the request has no limit."""


class Method(Enum):
    """What a request asks for, by the names of `HONOURED`."""

    RECOMMEND = "recommend"
    """Recall a shortlist, rank it, return its head without the history."""
    RETRIEVE = "retrieve"
    """Return the head of the shortlist in its own order, without the history."""
    RANK = "rank"
    """Order the given items for the shopper. Unknown candidates are skipped and reported."""
    SIMILAR = "similar"
    """Nearest neighbours of an item among all items."""
    EMBED_SHOPPER = "embed shopper"
    """The embedding of a shopper; none where nothing is known."""
    EMBED_ITEMS = "embed items"
    """The embeddings of given items. Unknown ones are skipped and reported."""
    EMBED_TEXTS = "embed texts"
    """The embeddings that items with the given texts would have."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request."""

    method: Method
    shopper: Shopper = Shopper()
    wishes: Wishes = Wishes()
    candidates: Sequence[str] = ()
    """Item ids to rank, of `RANK`, or to embed, of `EMBED_ITEMS`."""
    texts: Sequence[str] = ()
    """Texts to embed, of `EMBED_TEXTS`."""
    item_id: str = ""
    """The item whose neighbours are wanted, of `SIMILAR`."""
    recent: Sequence[Event] = ()
    """What the user did since the release was built, oldest first."""
    deadline: float = math.inf
    """When the answer must be there, in seconds of `time.monotonic`."""

    @property
    def limit(self) -> int:
        """Items wanted; where the request says nothing, 20 or all candidates."""
        if self.wishes.limit is not None:
            return self.wishes.limit
        return len(self.candidates) if self.method is Method.RANK else DEFAULT_LIMIT


def check_honoured(request: Request) -> None:
    """Refuse a request with a field that its call cannot honour.

    Raises:
        InvalidRequestError: names the field, the call and the value.
    """
    for part, absent in ((request.shopper, Shopper()), (request.wishes, Wishes())):
        if part == absent:
            continue
        for name in (one.name for one in fields(part)):
            value = getattr(part, name)
            if value != getattr(absent, name) and name not in HONOURED[request.method.value]:
                raise InvalidRequestError(
                    f"{name} must be absent, for `{request.method.value}` cannot honour it"
                )
