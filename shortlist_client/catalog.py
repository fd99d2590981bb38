"""Client of the CatalogService."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import grpc

from shortlist_client.api.checks import STRING, Kind
from shortlist_client.api.item import Item, KnownItem
from shortlist_client.calls import Calls, encodable, in_parts
from shortlist_client.errors import OverloadedError
from shortlist_client.proto.recommender.v1 import catalog_pb2
from shortlist_client.proto.recommender.v1.catalog_pb2_grpc import CatalogServiceStub
from shortlist_client.wire.catalog import item_message, to_item

ITEM = Kind("an Item", "Items", (Item,))


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

    def __init__(self, channel: grpc.Channel, calls: Calls) -> None:
        self._stub, self._calls = CatalogServiceStub(channel), calls

    def upsert(self, items: Iterable[Item], *, timeout: float | None = None) -> Upserted:
        """Add or replace items; they can be found when this returns.

        Args:
            items: Any number, sent in parts; if an id occurs twice, the last one counts.
            timeout: Deadline of each part, seconds; by default the client's.

        Raises:
            TypeError: a member is not an Item.
            ValueError: a text or an attribute is not a plain JSON value, or no message can hold
                it; names the position and the field.
            grpc.RpcError: the server failed or is out of reach; some items may be upserted.
        """
        upserted = 0
        rejected: dict[int, str] = {}
        for first, part in in_parts("items", items, ITEM, item_message):
            request = catalog_pb2.UpsertRequest(items=part)
            response = self._calls.acknowledged(self._stub.Upsert, request, timeout)
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
        for _, part in in_parts("item_ids", item_ids, STRING, encodable):
            request = catalog_pb2.DeleteRequest(item_ids=part)
            response = self._calls.unary(self._stub.Delete, request, timeout)
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
        for _, part in in_parts("item_ids", item_ids, STRING, encodable):
            for known in self._get(part, timeout):
                found[known.item.item_id] = known
        return found

    def _get(self, item_ids: Sequence[str], timeout: float | None) -> Iterator[KnownItem]:
        """The known items; asks for half of them at a time if all are too large for an answer."""
        try:
            request = catalog_pb2.GetRequest(item_ids=item_ids)
            response = self._calls.unary(self._stub.Get, request, timeout)
        except grpc.RpcError as error:
            code = getattr(error, "code", lambda: None)()
            overloaded = isinstance(error, OverloadedError)
            too_large = code is grpc.StatusCode.RESOURCE_EXHAUSTED and not overloaded
            if not too_large or len(item_ids) < 2:
                raise
        else:
            for known in response.items:
                yield KnownItem(item=to_item(known.item), changed=known.changed)
            return
        half = len(item_ids) // 2
        yield from self._get(item_ids[:half], timeout)
        yield from self._get(item_ids[half:], timeout)
