"""The half of the client that changes things: items, and what is known of users."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

import grpc

from protos.recommender.v1 import catalog_pb2
from protos.recommender.v1.catalog_pb2_grpc import CatalogServiceStub
from shortlist_client.api.item import Item, Known
from shortlist_client.wire.catalog import item_message, to_item

T = TypeVar("T")
PAUSE_SECONDS, LAST_PAUSE = 0.1, 1.0
"""Before a call that reached no server is made again: the first, each next three times as long, and
the longest"""
ROWS = 200
"""Events or items of a message; each has the deadline of a request"""


@dataclass(frozen=True, kw_only=True)
class Upserted:
    """What became of items."""

    upserted: int
    """Found from now on."""
    rejected: Mapping[int, str]
    """Why not, by place among those that were sent."""


@dataclass(frozen=True, kw_only=True)
class Deleted:
    """What became of items that were to go."""

    deleted: int
    """Found no more."""
    unknown_item_ids: Sequence[str]
    """Of which there were none, or none any more."""


class CatalogClient:
    """Changes items. Errors are those of `RecommenderClient`."""

    def __init__(self, channel: grpc.Channel, *, timeout: float) -> None:
        self._stub, self._timeout = CatalogServiceStub(channel), timeout

    def upsert(self, items: Iterable[Item]) -> Upserted:
        """Add items or put new forms in the place of old ones; found when this returns.

        Args:
            items: Any number of them, sent some at a time; of an id that comes twice, the last
                counts.

        Raises:
            ValueError: a text or an attribute is no plain JSON value.
            grpc.RpcError: the server failed or is out of reach; some may be upserted.
        """
        upserted = 0
        rejected: dict[int, str] = {}
        for first, part in _parts(items):
            request = catalog_pb2.UpsertRequest(items=map(item_message, part))
            response = _acknowledged(self._stub.Upsert, request, self._timeout)
            upserted += response.upserted
            rejected |= {first + row.row: row.reason for row in response.rejected}
        return Upserted(upserted=upserted, rejected=rejected)

    def delete(self, item_ids: Iterable[str]) -> Deleted:
        """Take items out of every answer.

        Raises:
            grpc.RpcError: an id breaks a rule, or the server failed or is out of reach.
        """
        deleted, unknown = 0, list[str]()
        for _, part in _parts(item_ids):
            request = catalog_pb2.DeleteRequest(item_ids=part)
            response = self._stub.Delete(request, timeout=self._timeout)
            deleted += response.deleted
            unknown += response.unknown_item_ids
        return Deleted(deleted=deleted, unknown_item_ids=unknown)

    def get(self, item_ids: Iterable[str]) -> dict[str, Known]:
        """The known ones of some items, by id.

        Raises:
            grpc.RpcError: an id breaks a rule, or the server failed or is out of reach.
        """
        found: dict[str, Known] = {}
        for _, part in _parts(item_ids):
            request = catalog_pb2.GetRequest(item_ids=part)
            response = self._stub.Get(request, timeout=self._timeout)
            for known in response.items:
                found[known.item.item_id] = Known(item=to_item(known.item), changed=known.changed)
        return found


def _acknowledged(method: Any, request: Any, timeout: float) -> Any:
    """The answer to a stream's one message, sent again within the deadline: it counts once."""
    end, pause = time.monotonic() + timeout, PAUSE_SECONDS
    while True:
        try:
            (response,) = method(iter((request,)), timeout=max(0.0, end - time.monotonic()))
        except grpc.RpcError as error:
            left = end - time.monotonic()
            if error.code() is not grpc.StatusCode.UNAVAILABLE or pause > min(left, LAST_PAUSE):
                raise
            time.sleep(pause)
            pause *= 3
        else:
            return response


def _parts(rows: Iterable[T]) -> Iterator[tuple[int, list[T]]]:
    """Rows some at a time, each time with the place of the first."""
    rows, first = iter(rows), 0
    while part := list(islice(rows, ROWS)):
        yield first, part
        first += len(part)
