"""What the client of a call may ask and learn about a user id.

A client without the role `explain` gets items to show to a user, but not what they rest on: neither
whether the user is known, nor numbers from which a history could be read back.
"""

from serving.api.request import Method, Request
from serving.server.access.client import CLIENT
from serving.server.access.errors import PermissionDeniedError
from serving.server.access.roles import Role
from shortlist_client.proto.recommender.v1 import recommender_pb2 as pb


def broken_user_rule(user_id: str) -> str | None:
    """The rule that the client of the call breaks by naming a user; None if it may."""
    client = CLIENT.get()
    if client is None or client.may_name(user_id):
        return None
    prefixes = " or ".join(map(repr, client.users or ()))
    return f"user_id must begin with {prefixes}" if prefixes else "user_id must be absent"


def check_user(user_id: str) -> None:
    """Refuse a user whom the client of the call may not name.

    Raises:
        PermissionDeniedError: gives the rule.
    """
    if rule := broken_user_rule(user_id):
        raise PermissionDeniedError(f"{rule}, for this client")


def check_about_user(request: Request) -> None:
    """Refuse a request about a user whom the client may not name, or for what it may not learn.

    Raises:
        PermissionDeniedError: gives the rule.
    """
    if request.shopper.user_id is not None:
        check_user(request.shopper.user_id)
    if not is_withheld(request):
        return
    if (
        request.wishes.explain
        or request.wishes.explain_texts
        or request.wishes.min_probability
        or request.method in (Method.EMBED_SHOPPER, Method.PROFILE)
    ):
        raise PermissionDeniedError(
            "token must have the role 'explain' to explain, embed or profile a user_id, or for "
            "min_probability; a history in the request needs no such role"
        )


def is_withheld(request: Request) -> bool:
    """Whether the client of the call may not learn what the answer to a request rests on."""
    client, shopper = CLIENT.get(), request.shopper
    by_id = shopper.user_id is not None and not shopper.history
    return by_id and client is not None and Role.EXPLAIN not in client.roles


def withhold(answer: pb.Answer) -> None:
    """Remove from an answer all that tells what it rests on."""
    answer.unknown_user = False
    answer.basis = pb.BASIS_UNSPECIFIED
    answer.ClearField("coverage")
    for stage in set(answer.milliseconds) - {"total", "queue", "cache"}:
        del answer.milliseconds[stage]
    for item in answer.items:
        item.ClearField("tower_score")
        item.ClearField("neighbour_score")
        item.ClearField("sources")
        item.ClearField("shortlist_rank")
        item.ClearField("ranker_score")
        item.ClearField("probability")
