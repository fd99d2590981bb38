"""The PrivacyService: exports and erases users."""

import asyncio
from collections.abc import AsyncIterator
from itertools import islice
from typing import Any

from typing_extensions import override

from serving.batching.engine_thread import EngineThread
from serving.server.access.about_users import check_user
from serving.server.users.user_privacy import UserPrivacy
from shortlist_client.api.errors import InvalidRequestError
from shortlist_client.api.event import ID_LENGTH
from shortlist_client.proto.recommender.v1 import privacy_pb2 as pb
from shortlist_client.proto.recommender.v1.privacy_pb2_grpc import PrivacyServiceServicer
from shortlist_client.wire.privacy import past_message, shown_message, stored_message

ROWS = 200
"""Most events or interactions of a message: with the longest ids, less than a megabyte"""
EXPOSURES = 10
"""Most exposures of a message: with 200 items of the longest ids each, 2 megabytes"""


class PrivacyServicer(PrivacyServiceServicer):
    """The methods of `PrivacyService`. ErrorInterceptor turns their errors into statuses."""

    def __init__(self, engine: EngineThread, privacy: UserPrivacy) -> None:
        self._engine, self._privacy = engine, privacy

    @override
    async def Erase(self, request: pb.EraseRequest, context: Any) -> pb.EraseResponse:
        _check(request.user_id)
        past = await self._past(request.user_id)
        removed = await self._privacy.erase(request.user_id)
        return pb.EraseResponse(
            events=removed.events, exposures=removed.exposures, interactions=len(past)
        )

    @override
    async def Export(
        self, request: pb.ExportRequest, context: Any
    ) -> AsyncIterator[pb.ExportResponse]:
        _check(request.user_id)
        events = await self._privacy.read(lambda: self._privacy.export(request.user_id))
        while stored := await self._privacy.read(lambda: list(islice(events, ROWS))):
            yield pb.ExportResponse(events=map(stored_message, stored))
        exposures = await self._privacy.read(lambda: self._privacy.exposures(request.user_id))
        while shown := await self._privacy.read(lambda: list(islice(exposures, EXPOSURES))):
            yield pb.ExportResponse(exposures=map(shown_message, shown))
        interactions = iter(await self._past(request.user_id))
        while past := list(islice(interactions, ROWS)):
            yield pb.ExportResponse(interactions=past)

    async def _past(self, user_id: str) -> list[pb.PastInteraction]:
        """The history of a user in the live release."""
        if self._engine.version_token is None:
            await self._engine.ready()
        current = self._engine.engine.current
        return await asyncio.to_thread(lambda: list(map(past_message, current.past(user_id))))


def _check(user_id: str) -> None:
    if not 1 <= len(user_id) <= ID_LENGTH or "\0" in user_id:
        raise InvalidRequestError(
            f"user_id must have 1 to {ID_LENGTH} characters without NUL, got {len(user_id)}"
        )
    check_user(user_id)
