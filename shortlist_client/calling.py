"""Everything of the package that needs grpc; `shortlist_client` exports it on demand."""

from shortlist_client.catalog import Deleted, Upserted
from shortlist_client.channel import client_credentials
from shortlist_client.classify import Classified
from shortlist_client.client import RecommenderClient
from shortlist_client.embed import Embedded
from shortlist_client.errors import OverloadedError, ReleaseChangedError
from shortlist_client.feedback import Recorded
from shortlist_client.profile import Profiled
from shortlist_client.reply import Replied
from shortlist_client.stream import RefusedRow

__all__ = [
    "Classified",
    "Deleted",
    "Embedded",
    "OverloadedError",
    "Profiled",
    "RecommenderClient",
    "Recorded",
    "RefusedRow",
    "ReleaseChangedError",
    "Replied",
    "Upserted",
    "client_credentials",
]
