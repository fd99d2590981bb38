"""Converts shoppers and wishes to messages and back."""

from shortlist_client.api.checks import Kind, check
from shortlist_client.api.request import Shopper, Wishes
from shortlist_client.proto.recommender.v1 import recommender_pb2 as pb
from shortlist_client.wire.build import built
from shortlist_client.wire.filters import (
    diversity_message,
    filters_message,
    to_diversity,
    to_filters,
)

SHOPPER = Kind("a Shopper", "Shoppers", (Shopper,))
WISHES = Kind("Wishes", "Wishes", (Wishes,))


def shopper_message(shopper: Shopper) -> pb.Shopper:
    """The message of a shopper.

    Raises:
        TypeError: the value is not a Shopper.
        ValueError: a field does not fit the contract's type; names it.
    """
    check("shopper", shopper, SHOPPER)
    return built(
        pb.Shopper,
        user_id=shopper.user_id,
        history_item_ids=shopper.history,
        history_times=shopper.history_times,
        history_actions=shopper.history_actions,
        search=shopper.search,
        vector=shopper.vector,
    )


def to_shopper(message: pb.Shopper) -> Shopper:
    """The shopper of a message, before any rule is checked."""
    return Shopper(
        user_id=message.user_id if message.HasField("user_id") else None,
        history=tuple(message.history_item_ids),
        history_times=tuple(message.history_times),
        history_actions=tuple(message.history_actions),
        search=message.search,
        vector=tuple(message.vector),
    )


def wishes_message(wishes: Wishes) -> pb.Wishes:
    """The message of wishes.

    Raises:
        TypeError: the value is not Wishes.
        ValueError: a field does not fit the contract's type; names it.
    """
    check("wishes", wishes, WISHES)
    return built(
        pb.Wishes,
        limit=wishes.limit,
        filters=filters_message(wishes.filters) if wishes.filters else None,
        exclude_item_ids=wishes.exclude,
        diversity=diversity_message(wishes.diversity) if wishes.diversity else None,
        explain=wishes.explain,
        explain_texts=wishes.explain_texts,
        release=wishes.release,
        request_id=wishes.request_id,
        min_probability=wishes.min_probability,
        placement=wishes.placement,
    )


def to_wishes(message: pb.Wishes) -> Wishes:
    """The wishes of a message, before any rule is checked.

    Raises:
        InvalidRequestError: a filter has no value, a time is out of range, or an attribute of the
            diversity occurs twice.
    """
    return Wishes(
        limit=message.limit if message.HasField("limit") else None,
        filters=to_filters(message.filters),
        exclude=tuple(message.exclude_item_ids),
        diversity=to_diversity(message.diversity),
        explain=message.explain,
        explain_texts=message.explain_texts,
        release=message.release,
        request_id=message.request_id,
        min_probability=message.min_probability,
        placement=message.placement,
    )
