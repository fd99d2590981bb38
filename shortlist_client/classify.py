"""Client of the ClassifierService."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import grpc

from shortlist_client.api.checks import STRING, WHOLE_NUMBER, check, members
from shortlist_client.api.classification import Prediction
from shortlist_client.calls import Calls
from shortlist_client.proto.recommender.v1 import classifier_pb2 as pb
from shortlist_client.proto.recommender.v1.classifier_pb2_grpc import ClassifierServiceStub
from shortlist_client.wire.build import built
from shortlist_client.wire.classifier import to_predictions


@dataclass(frozen=True, kw_only=True)
class Classified:
    """Predictions, and the release that made them."""

    predictions: Sequence[Prediction]
    """One for each text or known item, in order."""
    target: str
    """The column that was predicted."""
    unknown_item_ids: Sequence[str]
    """Ids that the catalogue does not have; they were skipped."""
    milliseconds: Mapping[str, float]
    """Wall time by stage."""
    versions: Mapping[str, str]
    """Fingerprint of each stage; `classifier` has that of the classifier."""
    request_id: str
    """As in the request."""


class ClassifyClient:
    """Predicts labels and numbers of texts and items. Errors are those of `RecommenderClient`."""

    def __init__(self, channel: grpc.Channel, calls: Calls) -> None:
        self._stub, self._calls = ClassifierServiceStub(channel), calls

    def __call__(
        self,
        *,
        texts: Sequence[str] = (),
        item_ids: Sequence[str] = (),
        target: str = "",
        top_k: int | None = None,
        level: int | None = None,
        release: str = "",
        request_id: str = "",
        timeout: float | None = None,
    ) -> Classified:
        """The most probable labels of texts or items, or a number for each.

        Args:
            texts: The texts; or else
            item_ids: Items of the catalogue. Unknown ones are skipped and reported.
            target: The column to predict; by default the first one of the classifier.
            top_k: Labels wanted for each input; by default 5. Not for numbers.
            level: Level of paths, from 1 at the top; by default whole paths. Not for numbers.
            release: Id of the release that must answer; by default the live one.
            request_id: The caller's name for this request.
            timeout: Deadline of this call, seconds; by default the client's.

        Raises:
            TypeError: an argument is of another type.
            ValueError: a value does not fit the contract's type.
            grpc.RpcError: a rule is broken, the release has no classifier (FAILED_PRECONDITION), or
                the server failed or is out of reach.
        """
        for name, text in (("target", target), ("release", release), ("request_id", request_id)):
            check(name, text, STRING)
        for name, number in (("top_k", top_k), ("level", level)):
            if number is not None:
                check(name, number, WHOLE_NUMBER)
        request = built(
            pb.ClassifyRequest,
            texts=members("texts", texts, STRING),
            item_ids=members("item_ids", item_ids, STRING),
            target=target,
            top_k=top_k,
            level=level,
            release=release,
            request_id=request_id,
        )
        response: pb.ClassifyResponse = self._calls.unary(self._stub.Classify, request, timeout)
        return Classified(
            predictions=to_predictions(response),
            target=response.target,
            unknown_item_ids=tuple(response.unknown_item_ids),
            milliseconds=dict(response.milliseconds),
            versions=dict(response.versions),
            request_id=response.request_id,
        )
