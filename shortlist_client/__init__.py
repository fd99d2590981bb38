"""Typed Python client of a Shortlist server.

Example:
    from shortlist_client import RecommenderClient, Shopper, Wishes

    with RecommenderClient("localhost:50051") as client:
        answer = client.recommend(Shopper(user_id="196"), Wishes(limit=10))
"""

from typing import TYPE_CHECKING, Any

from shortlist_client.api.answer import (
    Answer,
    Basis,
    Coverage,
    Degraded,
    Embedding,
    RankedItem,
    Reason,
    Response,
    Source,
    TextReason,
)
from shortlist_client.api.classification import Label, Prediction
from shortlist_client.api.event import CLICK, IMPRESSION, PURCHASE, Event
from shortlist_client.api.exposure import Exposure
from shortlist_client.api.filters import AnyOf, Filters, Range
from shortlist_client.api.item import Item, KnownItem
from shortlist_client.api.operations import Counts, MethodStatistics, ReleaseFacts, Statistics
from shortlist_client.api.privacy import Erased, PastInteraction
from shortlist_client.api.profile import (
    Interest,
    Preference,
    PreferredValue,
    Profile,
    TypicalItem,
)
from shortlist_client.api.reply import FaqEntry, FoundProduct, Reply
from shortlist_client.api.request import Diversity, Shopper, Wishes

if TYPE_CHECKING:
    from shortlist_client.calling import (
        Classified,
        Deleted,
        Embedded,
        OverloadedError,
        Profiled,
        RecommenderClient,
        Recorded,
        RefusedRow,
        ReleaseChangedError,
        Replied,
        Upserted,
        client_credentials,
    )

__all__ = [
    "CLICK",
    "IMPRESSION",
    "PURCHASE",
    "Answer",
    "AnyOf",
    "Basis",
    "Classified",
    "Counts",
    "Coverage",
    "Degraded",
    "Deleted",
    "Diversity",
    "Embedded",
    "Embedding",
    "Erased",
    "Event",
    "Exposure",
    "FaqEntry",
    "Filters",
    "FoundProduct",
    "Interest",
    "Item",
    "KnownItem",
    "Label",
    "MethodStatistics",
    "OverloadedError",
    "PastInteraction",
    "Prediction",
    "Preference",
    "PreferredValue",
    "Profile",
    "Profiled",
    "Range",
    "RankedItem",
    "Reason",
    "RecommenderClient",
    "Recorded",
    "RefusedRow",
    "ReleaseChangedError",
    "ReleaseFacts",
    "Replied",
    "Reply",
    "Response",
    "Shopper",
    "Source",
    "Statistics",
    "TextReason",
    "TypicalItem",
    "Upserted",
    "Wishes",
    "client_credentials",
]


def __getattr__(name: str) -> Any:
    """Load the client, and with it grpc, only for those who call a server."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from shortlist_client import calling

    return getattr(calling, name)
