"""Converts predictions to messages and back."""

from collections.abc import Mapping

from shortlist_client.api.answer import Answer
from shortlist_client.api.classification import Label, Prediction
from shortlist_client.proto.recommender.v1 import classifier_pb2 as pb


def classify_response(
    answer: Answer, *, versions: Mapping[str, str], request_id: str
) -> pb.ClassifyResponse:
    """The message of predictions."""
    return pb.ClassifyResponse(
        predictions=[
            pb.Prediction(
                item_id=one.item_id,
                labels=[pb.Label(**vars(label)) for label in one.labels],
                number=one.number,
            )
            for one in answer.predictions
        ],
        target=answer.target,
        unknown_item_ids=answer.unknown_item_ids,
        milliseconds=answer.milliseconds,
        versions=versions,
        request_id=request_id,
    )


def to_predictions(response: pb.ClassifyResponse) -> list[Prediction]:
    """The predictions of a message."""
    return [
        Prediction(
            labels=tuple(
                Label(label=label.label, probability=label.probability) for label in one.labels
            ),
            number=one.number if one.HasField("number") else None,
            item_id=one.item_id,
        )
        for one in response.predictions
    ]
