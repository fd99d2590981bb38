import pickle
from types import SimpleNamespace

import grpc
import pytest

from serving.api.limits import Limits
from shortlist_client.api.event import Event
from shortlist_client.api.filters import AnyOf, Filters, Range
from shortlist_client.api.item import ITEM_BYTES, Item
from shortlist_client.api.request import Diversity, Shopper, Wishes
from shortlist_client.calls import UPLOAD_BYTES, UPLOAD_ROWS, encodable, in_parts
from shortlist_client.catalog import ITEM
from shortlist_client.errors import OverloadedError, ReleaseChangedError
from shortlist_client.feedback import EVENT
from shortlist_client.wire.catalog import item_message
from shortlist_client.wire.feedback import event_message
from shortlist_client.wire.request import shopper_message, wishes_message

HALF = "\ud800"
"""Half of a pair of surrogates, which UTF-8 cannot hold."""
EVENT_OF = {"user_id": "u", "item_id": "i", "action": "view"}


@pytest.mark.parametrize(
    ("build", "named"),
    [
        (lambda: event_message(Event(**EVENT_OF, time=2**63)), "time must fit"),
        (lambda: event_message(Event(**EVENT_OF, position=2**31)), "position must fit"),
        (lambda: event_message(Event(**{**EVENT_OF, "item_id": HALF})), "item_id must be valid"),
        (lambda: shopper_message(Shopper(history=["a", HALF])), r"history\[1\] must be valid"),
        (
            lambda: shopper_message(Shopper(history=["a"], history_times=[-(2**63) - 1])),
            r"history_times\[0\] must fit",
        ),
        (lambda: shopper_message(Shopper(vector=[1, 10**400])), r"vector\[1\] must fit"),
        (lambda: wishes_message(Wishes(limit=2**31)), "limit must fit"),
        (lambda: wishes_message(Wishes(exclude=[HALF])), r"exclude\[0\] must be valid"),
        (lambda: wishes_message(Wishes(diversity=Diversity(at_most={"a": 2**31}))), "items must"),
        (
            lambda: wishes_message(Wishes(filters=Filters(must=[AnyOf("a", [HALF])]))),
            "keyword must be valid",
        ),
        (
            lambda: wishes_message(Wishes(filters=Filters(must=[Range("a", gt=10**400)]))),
            "number must fit",
        ),
        (lambda: item_message(Item(item_id="a", title=HALF)), "title must be valid"),
        (lambda: item_message(Item(item_id="a", title="t", texts={"b": HALF})), r"texts\['b'\]"),
        (
            lambda: item_message(Item(item_id="a", title="t", attributes={HALF: 1})),
            "a key of attributes must be valid",
        ),
        (
            lambda: item_message(Item(item_id="a", title="t", attributes={"b": 10**400})),
            r"attributes\['b'\] must fit",
        ),
        (
            lambda: item_message(Item(item_id="a", title="t", attributes={"b": object()})),
            r"attributes\['b'\] must be a plain JSON value",
        ),
    ],
)
def test_a_value_that_no_message_can_hold_is_named(build, named):
    with pytest.raises(ValueError, match=named):
        build()


def test_the_position_of_a_row_that_no_message_can_hold_is_named():
    events = [Event(**EVENT_OF), Event(**EVENT_OF, time=2**63)]

    with pytest.raises(ValueError, match=r"events\[1\]: time must fit"):
        list(in_parts("events", events, EVENT, event_message))
    with pytest.raises(ValueError, match=r"ids\[1\]: must be valid Unicode"):
        list(in_parts("ids", ["a", HALF], ITEM._replace(types=(str,)), encodable))


def test_uploads_are_split_by_rows_and_by_bytes():
    sizes = [60_000] * 9 + [10] * 500 + [60_000]
    items = [Item(item_id=f"i{n}", title="t", texts={"a": "x" * s}) for n, s in enumerate(sizes)]

    parts = list(in_parts("items", items, ITEM, item_message))

    assert [first for first, _ in parts] == [
        sum(len(part) for _, part in parts[:place]) for place in range(len(parts))
    ]
    assert [row.item_id for _, part in parts for row in part] == [item.item_id for item in items]
    for _, part in parts:
        assert len(part) <= UPLOAD_ROWS
        assert sum(row.ByteSize() for row in part) <= UPLOAD_BYTES
    assert len(parts) <= 7


def test_the_largest_item_fits_a_message_of_its_own():
    numbers = [1] * (ITEM_BYTES // 3)  # 3 bytes each as JSON, 11 in the message
    item = Item(item_id="i", title="t", attributes={"a": numbers})

    ((_, part),) = in_parts("items", [item], ITEM, item_message)

    assert Limits().rows_bytes > UPLOAD_BYTES
    assert part[0].ByteSize() < Limits().rows_bytes


def test_errors_can_be_handed_to_another_process():
    code = grpc.StatusCode.RESOURCE_EXHAUSTED
    error = SimpleNamespace(code=lambda: code, details=lambda: "busy")

    for sent in (OverloadedError(error, 0.25), ReleaseChangedError(error, "r1")):
        received = pickle.loads(pickle.dumps(sent))

        assert type(received) is type(sent)
        assert vars(received) == vars(sent)
        assert (received.code(), received.details(), str(received)) == (code, "busy", "busy")
