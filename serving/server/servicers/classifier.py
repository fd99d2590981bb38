"""The ClassifierService: translates requests and answers; decides nothing."""

from typing import Any

from typing_extensions import override

from serving.api.limits import DEFAULT_LIMITS, Limits
from serving.api.request import Labelling, Method, Request
from serving.api.validation import check_count
from serving.batching.engine_thread import EngineThread
from serving.server.caller import caller_of, deadline_of
from shortlist_client.api.errors import InvalidRequestError
from shortlist_client.api.request import Wishes
from shortlist_client.proto.recommender.v1 import classifier_pb2 as pb
from shortlist_client.proto.recommender.v1.classifier_pb2_grpc import ClassifierServiceServicer
from shortlist_client.wire.classifier import classify_response


class ClassifierServicer(ClassifierServiceServicer):
    """The methods of `ClassifierService`. ErrorInterceptor turns their errors into statuses."""

    def __init__(self, engine: EngineThread, *, limits: Limits = DEFAULT_LIMITS) -> None:
        """Take the thread of the engine and the limits on one request."""
        self._engine, self._limits = engine, limits

    @override
    async def Classify(self, request: pb.ClassifyRequest, context: Any) -> pb.ClassifyResponse:
        check_count("texts", len(request.texts), self._limits.embedded, "texts")
        check_count("item_ids", len(request.item_ids), self._limits.embedded, "item ids")
        answer, versions = await self._engine.answer(_request(request, context))
        return classify_response(answer, versions=versions, request_id=request.request_id)


def _request(message: pb.ClassifyRequest, context: Any) -> Request:
    """The request of a message, before any other rule is checked.

    Raises:
        InvalidRequestError: the message has neither texts nor items, or both.
    """
    if bool(message.texts) == bool(message.item_ids):
        got = "both" if message.texts else "none"
        raise InvalidRequestError(f"texts or item_ids must be given, got {got}")
    return Request(
        method=Method.CLASSIFY_TEXTS if message.texts else Method.CLASSIFY_ITEMS,
        wishes=Wishes(release=message.release, request_id=message.request_id),
        candidates=tuple(message.item_ids),
        texts=tuple(message.texts),
        labelling=Labelling(
            target=message.target,
            top_k=message.top_k if message.HasField("top_k") else None,
            level=message.level if message.HasField("level") else None,
        ),
        deadline=deadline_of(context),
        client=caller_of(context),
    )
