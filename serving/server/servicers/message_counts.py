"""Checks how much a message holds before any object is built from it.

The length of a repeated field is known without reading it, so a message full of empty elements is
refused at once. `serving.api.validation` checks the rest in the engine's thread.
"""

from serving.api.limits import Limits
from serving.api.validation import check_count
from shortlist_client.api.errors import InvalidRequestError
from shortlist_client.proto.recommender.v1 import recommender_pb2 as pb

RecommenderMessage = (
    pb.RecommendRequest
    | pb.RecommendStreamRequest
    | pb.RetrieveRequest
    | pb.RankRequest
    | pb.SimilarItemsRequest
    | pb.EmbedRequest
    | pb.ProfileRequest
    | pb.AnswerRequest
)


def check_counts(message: RecommenderMessage, limits: Limits) -> None:
    """Refuse a message with more elements than any request may have.

    Raises:
        InvalidRequestError: names the field, the limit and the number.
    """
    _check_wishes(message.wishes, limits)
    if isinstance(message, pb.SimilarItemsRequest | pb.AnswerRequest):
        return
    _check_shopper(message.shopper, limits)
    if isinstance(message, pb.RankRequest):
        check_count("candidates", len(message.candidate_item_ids), limits.candidates, "item ids")
    if isinstance(message, pb.EmbedRequest):
        check_count("item_ids", len(message.items.item_ids), limits.embedded, "item ids")
        check_count("texts", len(message.texts.texts), limits.embedded, "texts")


def _check_shopper(shopper: pb.Shopper, limits: Limits) -> None:
    check_count("history", len(shopper.history_item_ids), limits.history, "item ids")
    for name, given in (
        ("history_times", shopper.history_times),
        ("history_actions", shopper.history_actions),
    ):
        if len(given) not in (0, len(shopper.history_item_ids)):
            raise InvalidRequestError(
                f"{name} must be as many as the {len(shopper.history_item_ids)} items of the "
                f"history, or none, got {len(given)}"
            )
    check_count("vector", len(shopper.vector), limits.vector, "numbers")


def _check_wishes(wishes: pb.Wishes, limits: Limits) -> None:
    check_count("exclude", len(wishes.exclude_item_ids), limits.excluded, "item ids")
    check_count("at_most", len(wishes.diversity.at_most), limits.at_most, "attributes")
    groups = (wishes.filters.must, wishes.filters.should, wishes.filters.must_not)
    check_count("filters", sum(map(len, groups)), limits.clauses, "clauses")
    values = sum(len(clause.any_of.values) for group in groups for clause in group)
    check_count("filters", values, limits.values, "values")
