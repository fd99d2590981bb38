"""Client of the CatalogService."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

import grpc

from shortlist_client.api.checks import STRING, Kind, check, check_iterable
from shortlist_client.api.item import Item, KnownItem
from shortlist_client.proto.recommender.v1 import catalog_pb2
from shortlist_client.proto.recommender.v1.catalog_pb2_grpc import CatalogServiceStub
from shortlist_client.wire.catalog import item_message, to_item

T = TypeVar("T")
ITEM = Kind("an Item", "Items", (Item,))
PAUSE_SECONDS, LAST_PAUSE = 0.1, 1.0
"""First and longest pause before a retry, seconds; each is three times the one before."""
ROWS = 200
"""Events or items in a message; each message has its own deadline."""


@dataclass(frozen=True, kw_only=True)
class Upserted:
    """The result of an upsert."""

    upserted: int
    """How many items were accepted."""
    rejected: Mapping[int, str]
    """The reason for each other item, by position."""


@dataclass(frozen=True, kw_only=True)
class Deleted:
    """The result of a deletion."""

    deleted: int
    """How many items were removed."""
    unknown_item_ids: Sequence[str]
    """Ids that the catalogue does not have."""


class CatalogClient:
    """Changes and returns items. Errors are those of `RecommenderClient`."""

    def __init__(self, channel: grpc.Channel, *, timeout: float) -> None:
        self._stub, self._timeout = CatalogServiceStub(channel), timeout

    def upsert(self, items: Iterable[Item], *, timeout: float | None = None) -> Upserted:
        """Add or replace items; they can be found when this returns.

        Args:
            items: Any number, sent in parts; if an id occurs twice, the last one counts.
            timeout: Deadline of each part, seconds; by default the client's.

        Raises:
            TypeError: a member is not an Item.
            ValueError: a text or an attribute is not a plain JSON value.
            grpc.RpcError: the server failed or is out of reach; some items may be upserted.
        """
        upserted = 0
        rejected: dict[int, str] = {}
        for first, part in in_parts("items", items, ITEM):
            request = catalog_pb2.UpsertRequest(items=map(item_message, part))
            response = acknowledged(self._stub.Upsert, request, self._seconds(timeout))
            upserted += response.upserted
            rejected |= {first + row.row: row.reason for row in response.rejected}
        return Upserted(upserted=upserted, rejected=rejected)

    def delete(self, item_ids: Iterable[str], *, timeout: float | None = None) -> Deleted:
        """Remove items from every answer.

        Args:
            item_ids: Any number, sent in parts.
            timeout: Deadline of each part, seconds; by default the client's.

        Raises:
            TypeError: an id is not a string.
            grpc.RpcError: an id breaks a rule, or the server failed or is out of reach.
        """
        deleted, unknown = 0, list[str]()
        for _, part in in_parts("item_ids", item_ids, STRING):
            request = catalog_pb2.DeleteRequest(item_ids=part)
            response = self._stub.Delete(request, timeout=self._seconds(timeout))
            deleted += response.deleted
            unknown += response.unknown_item_ids
        return Deleted(deleted=deleted, unknown_item_ids=unknown)

    def get(self, item_ids: Iterable[str], *, timeout: float | None = None) -> dict[str, KnownItem]:
        """The known items among some ids, by id.

        Args:
            item_ids: Any number, sent in parts.
            timeout: Deadline of each part, seconds; by default the client's.

        Raises:
            TypeError: an id is not a string.
            grpc.RpcError: an id breaks a rule, or the server failed or is out of reach.
        """
        found: dict[str, KnownItem] = {}
        for _, part in in_parts("item_ids", item_ids, STRING):
            request = catalog_pb2.GetRequest(item_ids=part)
            response = self._stub.Get(request, timeout=self._seconds(timeout))
            for known in response.items:
                found[known.item.item_id] = KnownItem(
                    item=to_item(known.item), changed=known.changed
                )
        return found

    def _seconds(self, timeout: float | None) -> float:
        return self._timeout if timeout is None else timeout


def acknowledged(method: Any, request: Any, seconds: float) -> Any:
    """Send the one message of a stream, retry within the deadline, return its acknowledgement."""
    end, pause = time.monotonic() + seconds, PAUSE_SECONDS
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


def in_parts(name: str, rows: Iterable[T], kind: Kind) -> Iterator[tuple[int, list[T]]]:
    """The rows in parts of one message each, with the position of each part's first row.

    Raises:
        TypeError: the rows are one string, or one is of another kind.
    """
    check_iterable(name, rows, kind)
    rows, first = iter(rows), 0
    while part := list(islice(rows, ROWS)):
        for place, row in enumerate(part, first):
            check(f"{name}[{place}]", row, kind)
        yield first, part
        first += len(part)
