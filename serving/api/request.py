"""Requests, as the engine receives them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from enum import Enum

from shortlist_client.api.errors import InvalidRequestError
from shortlist_client.api.event import Event
from shortlist_client.api.request import HONOURED, Shopper, Wishes

ANSWER_STAGES = ("user_tower", "index", "ranker", "reasons", "text_reasons")
"""Stages of an answer whose times it reports, in the order in which they run."""
TEXTS_AT_ONCE = 8
"""Texts of an `Embed` or `Classify` call that are read in one piece, at most."""
DEFAULT_LIMIT = 20
"""Items of an answer to a request without a limit."""
DEFAULT_PRODUCTS = 3
"""Products of an answer to an `Answer` call without a limit."""
DEFAULT_TOP_K = 5
"""Labels of an input in an answer to a `Classify` call without `top_k`."""


class Method(Enum):
    """Kind of a request; the values are the names in `HONOURED`."""

    RECOMMEND = "recommend"
    """Recalls a shortlist, ranks it and returns its head without the history."""
    RETRIEVE = "retrieve"
    """Returns the head of the shortlist in its own order, without the history."""
    RANK = "rank"
    """Orders the given items for the shopper. Unknown candidates are skipped and reported."""
    SIMILAR = "similar"
    """Returns the nearest neighbours of an item among all items."""
    EMBED_SHOPPER = "embed shopper"
    """Returns the embedding of a shopper, or none if nothing is known of the shopper."""
    EMBED_ITEMS = "embed items"
    """Returns the embeddings of the given items. Unknown ones are skipped and reported."""
    EMBED_TEXTS = "embed texts"
    """Returns the embeddings that items with the given texts would have."""
    PROFILE = "profile"
    """Describes the shopper: interests, and likely values of the next item's attributes."""
    ANSWER = "answer"
    """Answers the only one of the given texts, a question, from the FAQ."""
    CLASSIFY_ITEMS = "classify items"
    """Predicts a column of the given items. Unknown ones are skipped and reported."""
    CLASSIFY_TEXTS = "classify texts"
    """Predicts a column of the given texts."""


@dataclass(frozen=True, kw_only=True)
class Labelling:
    """What a classification predicts (`CLASSIFY_ITEMS`, `CLASSIFY_TEXTS`)."""

    target: str = ""
    """Column; empty for the first one of the classifier."""
    top_k: int | None = None
    """Labels wanted for each input; None for `DEFAULT_TOP_K`, and for numbers."""
    level: int | None = None
    """Level of paths, from 1 at the top; None for whole paths, and for numbers."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request."""

    method: Method
    shopper: Shopper = Shopper()
    wishes: Wishes = Wishes()
    candidates: Sequence[str] = ()
    """Item ids to rank (`RANK`), to embed (`EMBED_ITEMS`) or to classify (`CLASSIFY_ITEMS`)."""
    texts: Sequence[str] = ()
    """Texts to embed (`EMBED_TEXTS`) or to classify (`CLASSIFY_TEXTS`), or one question
    (`ANSWER`)."""
    labelling: Labelling = Labelling()
    """What a classification predicts."""
    item_id: str = ""
    """Item whose neighbours are wanted (`SIMILAR`)."""
    with_embedding: bool = False
    """Whether a profile comes with the shopper's embedding (`PROFILE`)."""
    recent: Sequence[Event] = ()
    """The user's events since the release was built, oldest first."""
    now: int | None = None
    """Unix seconds as of which purchases are counted; None for the clock's time."""
    deadline: float = math.inf
    """Deadline of the answer, in seconds of `time.monotonic`."""
    client: str = ""
    """Who asks. Requests of several clients take turns, whichever client has more of them."""

    @property
    def is_long(self) -> bool:
        """Whether the answer takes so long that it is computed in pieces, others in between."""
        explains = self.wishes.explain or self.wishes.explain_texts
        return explains or self.read_texts > TEXTS_AT_ONCE

    @property
    def read_texts(self) -> int:
        """Number of texts that are embedded or classified, those of items included."""
        return len(self.candidates if self.method is Method.CLASSIFY_ITEMS else self.texts)

    @property
    def limit(self) -> int:
        """Number of items wanted; by default 20, 3 products of `ANSWER`, or all of `RANK`."""
        if self.wishes.limit is not None:
            return self.wishes.limit
        if self.method is Method.ANSWER:
            return DEFAULT_PRODUCTS
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
