"""Typed Python client of a Shortlist server.

Example:
    from shortlist_client import RecommenderClient, Shopper, Wishes

    with RecommenderClient("localhost:50051") as client:
        answer = client.recommend(Shopper(user_id="196"), Wishes(limit=10))
"""

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
from shortlist_client.api.event import CLICK, IMPRESSION, PURCHASE, Event
from shortlist_client.api.filters import AnyOf, Filters, Range
from shortlist_client.api.item import Item, KnownItem
from shortlist_client.api.operations import Counts, MethodStatistics, ReleaseFacts, Statistics
from shortlist_client.api.request import Diversity, Shopper, Wishes
from shortlist_client.catalog import Deleted, Upserted
from shortlist_client.channel import client_credentials
from shortlist_client.client import RecommenderClient
from shortlist_client.embed import Embedded
from shortlist_client.errors import OverloadedError, ReleaseChangedError
from shortlist_client.feedback import Recorded
from shortlist_client.stream import RefusedRow

__all__ = [
    "CLICK",
    "IMPRESSION",
    "PURCHASE",
    "Answer",
    "AnyOf",
    "Basis",
    "Counts",
    "Coverage",
    "Degraded",
    "Deleted",
    "Diversity",
    "Embedded",
    "Embedding",
    "Event",
    "Filters",
    "Item",
    "KnownItem",
    "MethodStatistics",
    "OverloadedError",
    "Range",
    "RankedItem",
    "Reason",
    "RecommenderClient",
    "Recorded",
    "RefusedRow",
    "ReleaseChangedError",
    "ReleaseFacts",
    "Response",
    "Shopper",
    "Source",
    "Statistics",
    "TextReason",
    "Upserted",
    "Wishes",
    "client_credentials",
]
