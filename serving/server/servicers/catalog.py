"""The CatalogService: upserts, deletes and returns items, off the event loop."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from typing_extensions import override

from lineage.journal import JournalHeldError
from lineage.manifest import ArtifactError
from serving.api.errors import MessageTooLargeError, UnavailableError, UnknownItemError
from serving.api.protocol import LiveRecommender
from serving.api.validation import check_rows
from serving.batching.engine_thread import EngineThread
from serving.batching.fair_slots import FairSlots
from serving.batching.micro_batcher import MicroBatcher
from serving.server.caller import caller_of
from serving.server.interceptors.statuses import shortened
from serving.server.servicers.streaming import answered
from shortlist_client.api.errors import InvalidRequestError
from shortlist_client.api.item import Item
from shortlist_client.proto.recommender.v1 import catalog_pb2 as pb
from shortlist_client.proto.recommender.v1.catalog_pb2_grpc import CatalogServiceServicer
from shortlist_client.wire.catalog import item_message, to_item

logger = logging.getLogger(__name__)
BATCH_ITEMS = 256
"""Maximum number of items encoded together, from all waiting messages."""
CALLS = 4
"""Calls of Get and Delete in progress; others wait for their client's turn."""
GET_BYTES = 2 << 20
"""Maximum size of the items of an answer to `Get`, bytes."""


class CatalogServicer(CatalogServiceServicer):
    """The methods of `CatalogService`. ErrorInterceptor turns their errors into statuses."""

    def __init__(self, engine: EngineThread, draining: asyncio.Event) -> None:
        self._engine, self._draining = engine, draining
        self._upserts = MicroBatcher(self._upsert, most=BATCH_ITEMS, name="catalogue")
        self._calls = FairSlots(CALLS)
        self._is_following = False

    async def start(self) -> None:
        """Follow the item changes of other servers; the engine must be loaded."""
        await asyncio.to_thread(self._engine.engine.follow)
        self._is_following = True

    async def close(self) -> None:
        """Finish the accepted upserts, and let other servers change items."""
        await self._upserts.close()
        if self._is_following:
            await asyncio.to_thread(self._engine.engine.close)

    @override
    async def Upsert(
        self, request_iterator: AsyncIterator[pb.UpsertRequest], context: Any
    ) -> AsyncIterator[pb.UpsertResponse]:
        upsert = partial(self._upsert_message, caller_of(context))
        async for response in answered(request_iterator, upsert, draining=self._draining):
            yield response

    @override
    async def Delete(self, request: pb.DeleteRequest, context: Any) -> pb.DeleteResponse:
        check_rows("item_ids", len(request.item_ids))
        item_ids = list(dict.fromkeys(request.item_ids))
        async with self._calls.one_for(caller_of(context)):
            unknown = await asyncio.to_thread(self._delete, item_ids)
        return pb.DeleteResponse(deleted=len(item_ids) - len(unknown), unknown_item_ids=unknown)

    @override
    async def Get(self, request: pb.GetRequest, context: Any) -> pb.GetResponse:
        check_rows("item_ids", len(request.item_ids))
        async with self._calls.one_for(caller_of(context)):
            return await asyncio.to_thread(self._get, list(dict.fromkeys(request.item_ids)))

    async def _upsert_message(self, client: str, request: pb.UpsertRequest) -> pb.UpsertResponse:
        check_rows("items", len(request.items))
        reasons = await self._upserts(request.items, client=client)
        rejected = [
            pb.RejectedItem(row=row, item_id=message.item_id, reason=shortened(reason))
            for row, (message, reason) in enumerate(zip(request.items, reasons, strict=True))
            if reason is not None
        ]
        return pb.UpsertResponse(upserted=len(reasons) - len(rejected), rejected=rejected)

    def _upsert(self, messages: Sequence[pb.CatalogItem]) -> Sequence[str | None]:
        """Upsert the valid items. Returns for each item the rule that it breaks, or None."""
        engine = self._engine.engine
        items = [to_item(message) for message in messages]  # long for the event loop
        reasons = [_broken_rule(engine, item) for item in items]
        valid = {
            item.item_id: item
            for item, reason in zip(items, reasons, strict=True)
            if reason is None
        }
        with _failures_as_unavailable():
            engine.upsert(list(valid.values()))
        return reasons

    def _delete(self, item_ids: Sequence[str]) -> Sequence[str]:
        """Delete the known items; returns the unknown ids."""
        engine = self._engine.engine
        while True:
            known = [item_id for item_id in item_ids if engine.find(item_id) is not None]
            with suppress(UnknownItemError), _failures_as_unavailable():
                engine.delete(known)
                deleted = set(known)
                return [item_id for item_id in item_ids if item_id not in deleted]
            # another call deleted one of them in between; look again

    def _get(self, item_ids: Sequence[str]) -> pb.GetResponse:
        engine, response, size = self._engine.engine, pb.GetResponse(), 0
        for item_id in item_ids:
            known = engine.find(item_id)
            if known is None:
                response.unknown_item_ids.append(item_id)
                continue
            found = response.items.add(item=item_message(known.item), changed=known.changed)
            if (size := size + found.ByteSize()) > GET_BYTES:
                raise MessageTooLargeError(
                    f"items of an answer must have at most {GET_BYTES:,} bytes, "
                    f"got more; ask for fewer than {len(item_ids)}"
                )
        return response


def _broken_rule(engine: LiveRecommender, item: Item) -> str | None:
    try:
        engine.check(item)
    except InvalidRequestError as error:
        return str(error)
    return None


@contextmanager
def _failures_as_unavailable() -> Iterator[None]:
    """Log failures of the disk and of the lock; callers only learn that a retry may help."""
    try:
        yield
    except JournalHeldError as error:
        logger.error("%s", error)
        raise UnavailableError(
            "items cannot be changed by this server while another one writes the journal of its "
            "folder; send item changes to that one"
        ) from error
    except (ArtifactError, OSError) as error:
        logger.error("%s", error)
        raise UnavailableError("items cannot be changed now") from error
