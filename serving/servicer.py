"""Translates requests for the engine and its answers for the wire; decides nothing."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from typing_extensions import override

from protos.recommender.v1 import recommender_pb2 as pb
from protos.recommender.v1.recommender_pb2_grpc import RecommenderServiceServicer
from serving.engine_thread import EngineThread
from serving.histories import Histories
from serving.query import Answer, Query, Recommender
from serving.wire import to_filters, to_message, to_query

Request = pb.RecommendRequest | pb.SimilarItemsRequest | pb.RetrieveRequest | pb.RankRequest


class RecommenderServicer(RecommenderServiceServicer):
    """The methods of `RecommenderService`. What they raise, the interceptor makes a status."""

    def __init__(self, engine: EngineThread, histories: Histories | None = None) -> None:
        self._engine, self._histories = engine, histories

    @override
    async def Recommend(self, request: pb.RecommendRequest, context: Any) -> pb.RecommendResponse:
        query = await self._query(request)
        answer = await self._ask(request, lambda engine: engine.recommend(query))
        return pb.RecommendResponse(answer=answer)

    @override
    async def SimilarItems(
        self, request: pb.SimilarItemsRequest, context: Any
    ) -> pb.SimilarItemsResponse:
        filters, exclude = to_filters(request.filters), tuple(request.exclude_item_ids)
        answer = await self._ask(
            request,
            lambda engine: engine.similar(
                request.item_id, request.limit, filters=filters, exclude=exclude
            ),
        )
        return pb.SimilarItemsResponse(answer=answer)

    @override
    async def Retrieve(self, request: pb.RetrieveRequest, context: Any) -> pb.RetrieveResponse:
        query = await self._query(request)
        answer = await self._ask(request, lambda engine: engine.retrieve(query))
        return pb.RetrieveResponse(answer=answer)

    @override
    async def Rank(self, request: pb.RankRequest, context: Any) -> pb.RankResponse:
        query, candidates = await self._query(request), tuple(request.candidate_item_ids)
        answer = await self._ask(request, lambda engine: engine.rank(query, candidates))
        return pb.RankResponse(answer=answer)

    async def _query(
        self, request: pb.RecommendRequest | pb.RetrieveRequest | pb.RankRequest
    ) -> Query:
        """What is asked; of a user whose history is not given, with what was recorded of them."""
        query = to_query(request)
        if self._histories is None or query.user_id is None or query.history:
            return query
        return replace(query, recent=await self._histories.of(query.user_id))

    async def _ask(self, request: Request, call: Callable[[Recommender], Answer]) -> pb.Answer:
        answer, versions = await self._engine.run(lambda engine: (call(engine), engine.versions))
        return to_message(answer, versions=versions, request_id=request.request_id)
