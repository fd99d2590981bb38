"""Client of `Answer`."""

from collections.abc import Mapping
from dataclasses import dataclass

from shortlist_client.api.answer import Degraded
from shortlist_client.api.checks import STRING, check
from shortlist_client.api.reply import Reply
from shortlist_client.api.request import Wishes
from shortlist_client.proto.recommender.v1 import recommender_pb2 as pb
from shortlist_client.wire.answer import FROM_DEGRADED
from shortlist_client.wire.build import built
from shortlist_client.wire.reply import to_reply
from shortlist_client.wire.request import wishes_message


@dataclass(frozen=True, kw_only=True)
class Replied(Reply):
    """A reply as a client receives it."""

    degraded: Degraded | None
    """What the products lack; None if they are complete."""
    milliseconds: Mapping[str, float]
    """Wall time by stage; `answers` is the time of the FAQ."""
    versions: Mapping[str, str]
    """Fingerprint of each stage of the release that answered."""
    request_id: str
    """As in the wishes."""


def answer_request(question: str, wishes: Wishes) -> pb.AnswerRequest:
    """The message of a question.

    Raises:
        TypeError: a part is of another type.
        ValueError: a field does not fit the contract's type; names it.
    """
    check("question", question, STRING)
    return built(pb.AnswerRequest, question=question, wishes=wishes_message(wishes))


def to_replied(response: pb.AnswerResponse) -> Replied:
    """The reply of a response, with what the response says of itself."""
    return Replied(
        **vars(to_reply(response)),
        degraded=FROM_DEGRADED[response.degraded],
        milliseconds=dict(response.milliseconds),
        versions=dict(response.versions),
        request_id=response.request_id,
    )
