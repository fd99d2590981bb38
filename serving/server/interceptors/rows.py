"""Rows of a message: what it counts against a client's budget."""

from collections.abc import Callable, Mapping
from typing import Any

from shortlist_client.proto.recommender.v1 import catalog_pb2, feedback_pb2, recommender_pb2

ROWS: Mapping[type, Callable[[Any], int]] = {
    feedback_pb2.RecordRequest: lambda message: len(message.events),
    catalog_pb2.UpsertRequest: lambda message: len(message.items),
    catalog_pb2.DeleteRequest: lambda message: len(message.item_ids),
    catalog_pb2.GetRequest: lambda message: len(message.item_ids),
    recommender_pb2.EmbedRequest: lambda message: (
        len(message.items.item_ids) + len(message.texts.texts)
    ),
}
"""Messages that carry several rows. Any other message is one row."""


def rows_of(message: Any) -> int:
    """Rows of a message, at least 1."""
    count = ROWS.get(type(message))
    return 1 if count is None else max(count(message), 1)
