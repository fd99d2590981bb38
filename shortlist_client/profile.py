"""Client of `Profile`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shortlist_client.api.answer import Degraded, Embedding
from shortlist_client.api.checks import FLAG, check
from shortlist_client.api.profile import Profile
from shortlist_client.api.request import Shopper, Wishes
from shortlist_client.proto.recommender.v1 import recommender_pb2 as pb
from shortlist_client.wire.answer import FROM_DEGRADED
from shortlist_client.wire.profile import to_profile
from shortlist_client.wire.request import shopper_message, wishes_message


@dataclass(frozen=True, kw_only=True)
class Profiled(Profile):
    """A profile as a client receives it."""

    embedding: Embedding | None
    """The user tower's embedding; None unless asked for, and without a history."""
    unknown_item_ids: Sequence[str]
    """Ids of the request that the catalogue does not have; they were skipped."""
    unknown_user: bool
    """Whether neither the release nor any event knows the user."""
    degraded: Degraded | None
    """What the profile lacks; None if it is complete."""
    milliseconds: Mapping[str, float]
    """Wall time by stage; `profile` is the time after recall."""
    versions: Mapping[str, str]
    """Fingerprint of each stage of the release that answered."""
    request_id: str
    """As in the wishes."""


def profile_request(shopper: Shopper, wishes: Wishes, *, with_embedding: bool) -> pb.ProfileRequest:
    """The message of a request.

    Raises:
        TypeError: a part is of another type.
        ValueError: a field does not fit the contract's type; names it.
    """
    check("with_embedding", with_embedding, FLAG)
    return pb.ProfileRequest(
        shopper=shopper_message(shopper),
        wishes=wishes_message(wishes),
        with_embedding=with_embedding,
    )


def to_profiled(response: Any) -> Profiled:
    """The profile of a response, with what the response says of itself."""
    embedding = None
    if response.HasField("embedding"):
        embedding = Embedding(values=tuple(response.embedding.values))
    return Profiled(
        **vars(to_profile(response)),
        embedding=embedding,
        unknown_item_ids=tuple(response.unknown_item_ids),
        unknown_user=response.unknown_user,
        degraded=FROM_DEGRADED[response.degraded],
        milliseconds=dict(response.milliseconds),
        versions=dict(response.versions),
        request_id=response.request_id,
    )
