"""Translates requests for the engine and its answers for the wire; decides nothing."""

from collections.abc import Callable
from typing import Any

from typing_extensions import override

from protos.recommender.v1 import recommender_pb2 as pb
from protos.recommender.v1.recommender_pb2_grpc import RecommenderServiceServicer
from serving.engine_thread import EngineThread
from serving.query import Answer, Recommender
from serving.wire import to_filters, to_message, to_query

Request = pb.RecommendRequest | pb.SimilarItemsRequest | pb.RetrieveRequest | pb.RankRequest


class RecommenderServicer(RecommenderServiceServicer):
    """The methods of `RecommenderService`. What they raise, the interceptor makes a status."""

    def __init__(self, engine: EngineThread) -> None:
        self._engine = engine

    @override
    async def Recommend(self, request: pb.RecommendRequest, context: Any) -> pb.RecommendResponse:
        query = to_query(request)
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
        query = to_query(request)
        answer = await self._ask(request, lambda engine: engine.retrieve(query))
        return pb.RetrieveResponse(answer=answer)

    @override
    async def Rank(self, request: pb.RankRequest, context: Any) -> pb.RankResponse:
        query, candidates = to_query(request), tuple(request.candidate_item_ids)
        answer = await self._ask(request, lambda engine: engine.rank(query, candidates))
        return pb.RankResponse(answer=answer)

    async def _ask(self, request: Request, call: Callable[[Recommender], Answer]) -> pb.Answer:
        answer, versions = await self._engine.run(lambda engine: (call(engine), engine.versions))
        return to_message(answer, versions=versions, request_id=request.request_id)
