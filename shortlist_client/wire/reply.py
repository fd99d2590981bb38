"""Converts replies to messages and back."""

from collections.abc import Mapping

from shortlist_client.api.answer import Answer
from shortlist_client.api.classification import Label
from shortlist_client.api.reply import FaqEntry, FoundProduct, Reply
from shortlist_client.proto.recommender.v1 import recommender_pb2 as pb
from shortlist_client.wire.answer import TO_DEGRADED


def reply_response(
    answer: Answer, *, versions: Mapping[str, str], request_id: str
) -> pb.AnswerResponse:
    """The message of a reply."""
    reply = answer.reply
    assert reply is not None
    return pb.AnswerResponse(
        answered=reply.answered,
        text=reply.text,
        entry=pb.FaqEntry(**vars(reply.entry)),
        threshold=reply.threshold,
        intent=None if reply.intent is None else pb.Intent(**vars(reply.intent)),
        products=[pb.FoundProduct(**vars(product)) for product in reply.products],
        milliseconds=answer.milliseconds,
        versions=versions,
        request_id=request_id,
        degraded=TO_DEGRADED[answer.degraded],
    )


def to_reply(response: pb.AnswerResponse) -> Reply:
    """The reply of a message."""
    entry, intent = response.entry, None
    if response.HasField("intent"):
        intent = Label(label=response.intent.label, probability=response.intent.probability)
    return Reply(
        answered=response.answered,
        text=response.text,
        entry=FaqEntry(
            entry_id=entry.entry_id,
            title=entry.title,
            text=entry.text,
            probability=entry.probability,
        ),
        threshold=response.threshold,
        intent=intent,
        products=tuple(
            FoundProduct(
                item_id=product.item_id,
                title=product.title,
                price=product.price,
                score=product.score,
            )
            for product in response.products
        ),
    )
