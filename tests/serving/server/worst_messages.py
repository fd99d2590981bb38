"""The messages that take longest to read, found by search over the contract's descriptors.

For every place in every request, a message is filled up to a number of bytes with the elements that
cost fewest bytes there: empty messages and strings, distinct keys, packed numbers, unknown fields,
groups. `largest` has the messages that the limits allow instead, each with as much as they allow.
"""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import count, islice

from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor import FieldDescriptor as Field

import shortlist_client.proto.recommender.v1.catalog_pb2 as catalog
import shortlist_client.proto.recommender.v1.feedback_pb2 as feedback
import shortlist_client.proto.recommender.v1.recommender_pb2 as pb
from serving.api.limits import Limits
from serving.api.validation import MESSAGE_ROWS

LEN = 2
UNKNOWN = {
    "unknown numbers": b"\x78\x01",
    "unknown texts": b"\x7a\x00",
    "unknown groups": b"\x7b\x7c",
    "unknown numbers and texts": b"\x78\x01\x7a\x00",
}
FIXED = {Field.TYPE_DOUBLE: 8, Field.TYPE_FLOAT: 4, Field.TYPE_FIXED64: 8, Field.TYPE_FIXED32: 4}
AGAIN = 2
"""How often a path may pass through the same type: structs hold structs."""
Wrap = Callable[[bytes], bytes]
Make = Callable[[], bytes]


def varint(number: int) -> bytes:
    """A number as protobuf encodes it."""
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def held(number: int, content: bytes) -> bytes:
    """A field of bytes, text or a message."""
    return varint(number << 3 | LEN) + varint(len(content)) + content


def filled(root: Descriptor, size: int) -> Iterator[tuple[str, Make]]:
    """Description of messages of one type, and what makes one of at most `size` bytes."""
    for where, descriptor, wrap in _places(root):
        room = size - 8 * (where.count(".") + 1)  # tags and lengths around it
        for what, element in _elements(descriptor):
            yield f"{where}: {what}", partial(_repeated, wrap, element, room)
        for name, field in descriptor.fields_by_name.items():
            if field.type == Field.TYPE_STRING:
                yield f"{where}.{name}: short texts", partial(_distinct, wrap, field.number, room)
            if field.message_type is not None and field.message_type.GetOptions().map_entry:
                make = partial(_distinct, wrap, 1, room, partial(held, field.number))
                yield f"{where}.{name}: distinct keys", make
            if field.is_repeated and field.type not in (Field.TYPE_STRING, Field.TYPE_MESSAGE):
                yield f"{where}.{name}: packed", partial(_packed, wrap, field.number, room)


def _repeated(wrap: Wrap, element: bytes, room: int) -> bytes:
    return wrap(element * (room // len(element)))


def _packed(wrap: Wrap, number: int, room: int) -> bytes:
    return wrap(held(number, b"\x01" * (room - 8)))


def _places(
    descriptor: Descriptor, wrap: Wrap = bytes, where: str = "", seen: tuple[str, ...] = ()
) -> Iterator[tuple[str, Descriptor, Wrap]]:
    """Every message below a type: its path, its type, and what puts content there."""
    if seen.count(descriptor.full_name) >= AGAIN:
        return
    yield where or descriptor.name, descriptor, wrap
    for field in descriptor.fields:
        if field.message_type is not None:
            yield from _places(
                field.message_type,
                lambda content, n=field.number: wrap(held(n, content)),
                f"{where}.{field.name}",
                (*seen, descriptor.full_name),
            )


def _elements(descriptor: Descriptor) -> Iterator[tuple[str, bytes]]:
    """The smallest elements of a message: empty ones, and ones with an empty field in each."""
    yield from UNKNOWN.items()
    for field in descriptor.fields:
        yield field.name, _smallest(field)
        if field.message_type is not None:
            inner = [_smallest(one) for one in field.message_type.fields]
            for one, body in zip(field.message_type.fields, inner, strict=True):
                yield f"{field.name} of {one.name}", held(field.number, body)
            yield f"{field.name} of each field", held(field.number, b"".join(inner))
            yield f"{field.name} of unknown fields", held(field.number, b"\x78\x01")
    if descriptor.fields:
        yield "each field", b"".join(map(_smallest, descriptor.fields))


def _smallest(field: Field) -> bytes:
    if field.type in (Field.TYPE_MESSAGE, Field.TYPE_STRING, Field.TYPE_BYTES):
        return held(field.number, b"")
    if field.type in FIXED:
        size = FIXED[field.type]
        return varint(field.number << 3 | (1 if size == 8 else 5)) + bytes(size)
    return varint(field.number << 3) + b"\x01"


def _distinct(wrap: Wrap, number: int, room: int, each: Wrap = bytes) -> bytes:
    parts, size = list[bytes](), 0
    for n in count():
        part = each(held(number, b"%x" % n))
        if (size := size + len(part)) > room:
            break
        parts.append(part)
    return wrap(b"".join(parts))


def ids(number: int, length: int) -> list[str]:
    """Distinct ids of a length, characters."""
    return [f"{n:0{length}d}" for n in range(number)]


def largest(limits: Limits) -> dict[str, list[bytes]]:
    """Messages that the limits allow, each as large as they allow, by name of the method."""
    answers = [
        message(shopper=shopper, wishes=wishes).SerializeToString()
        for message in (pb.RecommendRequest,)
        for shopper in _shoppers(limits)
        for wishes in _wishes(limits)
    ]
    answers = [wire for wire in answers if len(wire) <= limits.request_bytes]
    candidates = ids(limits.candidates, limits.id_length)
    explained = pb.Wishes(explain=True, explain_texts=True)
    shopper = _shoppers(limits)[1]
    ranked = [
        pb.RankRequest(candidate_item_ids=candidates),
        pb.RankRequest(candidate_item_ids=candidates, shopper=shopper, wishes=explained),
    ]
    texts = ("日" * limits.text_length, "red lamp " * (limits.text_length // 9))
    items = pb.ItemsToEmbed(item_ids=ids(limits.embedded, limits.id_length))
    similar = [pb.SimilarItemsRequest(item_id="a", wishes=one) for one in _wishes(limits)]
    rows = ids(MESSAGE_ROWS, limits.id_length)
    return {
        "Recommend": answers,
        "RecommendStream": answers,
        "Retrieve": answers,
        "Rank": [one.SerializeToString() for one in ranked],
        "SimilarItems": [one.SerializeToString() for one in similar],
        "Embed": [
            *(
                pb.EmbedRequest(
                    texts=pb.TextsToEmbed(texts=[text] * limits.embedded)
                ).SerializeToString()
                for text in texts
            ),
            pb.EmbedRequest(items=items).SerializeToString(),
            *(pb.EmbedRequest(shopper=one).SerializeToString() for one in _shoppers(limits)),
        ],
        "Upsert": list(_upserts(limits)),
        "Delete": [catalog.DeleteRequest(item_ids=rows).SerializeToString()],
        "Get": [catalog.GetRequest(item_ids=rows).SerializeToString()],
        "Record": list(_records(limits)),
    }


def _shoppers(limits: Limits) -> list[pb.Shopper]:
    long = ids(limits.history, 36)
    times = [1_700_000_000 + n for n in range(limits.history)]
    actions = ["view"] * limits.history
    return [
        pb.Shopper(history_item_ids=long, history_times=times),
        pb.Shopper(history_item_ids=ids(limits.history, 8), history_times=times),
        pb.Shopper(history_item_ids=ids(limits.history, 8), history_actions=actions),
        pb.Shopper(history_item_ids=["a"] * limits.history),
        pb.Shopper(vector=[1.0] * limits.vector),
    ]


def _wishes(limits: Limits) -> list[pb.Wishes]:
    each = limits.values // limits.clauses
    value = pb.Value(keyword="a")
    time = pb.Value(number=1.0)
    spread = [
        pb.Clause(attribute="a", any_of=pb.AnyOf(values=[value] * each))
        for _ in range(limits.clauses)
    ]
    one = pb.Clause(attribute="a", any_of=pb.AnyOf(values=[time] * limits.values))
    bounds = pb.Range(gt=time, gte=time, lt=time, lte=time)
    ranges = [pb.Clause(attribute="a", range=bounds) for _ in range(limits.clauses)]
    at_most = [pb.AtMost(attribute=f"{n}", items=1) for n in range(limits.at_most)]
    excluded = ids(limits.excluded, 8)
    return [
        pb.Wishes(explain=True, explain_texts=True, limit=limits.shortlist),
        pb.Wishes(
            filters=pb.Filters(must=spread),
            exclude_item_ids=excluded,
            diversity=pb.Diversity(at_most=at_most),
            explain=True,
        ),
        pb.Wishes(filters=pb.Filters(should=[one]), exclude_item_ids=excluded),
        pb.Wishes(filters=pb.Filters(must_not=ranges), exclude_item_ids=ids(limits.excluded, 36)),
    ]


def _upserts(limits: Limits) -> Iterator[bytes]:
    """Many small items, few large ones, and one of many values."""
    for items, fields in ((MESSAGE_ROWS, 5), (20, 300), (1, 9_000)):
        message = catalog.UpsertRequest()
        for n in range(items):
            item = message.items.add(item_id=f"{n}", title="t")
            item.attributes.update({f"{field:x}": 1 for field in range(fields)})
        yield message.SerializeToString()
    lists = catalog.UpsertRequest()
    for n in range(10):
        lists.items.add(item_id=f"{n}", title="t").texts.update({"a": [""] * 8_000})
    yield lists.SerializeToString()
    nested = b""
    for _ in range(40):
        nested = held(6, held(1, nested))
    texts = held(3, held(1, held(1, b"a") + held(2, nested)))
    item = held(1, held(1, b"a") + held(2, b"t") + texts)
    yield item * min(MESSAGE_ROWS, limits.rows_bytes // len(item))


def _records(limits: Limits) -> Iterator[bytes]:
    for length in (8, 60):
        same = ids(MESSAGE_ROWS, length)
        message = feedback.RecordRequest()
        for one in islice(same, MESSAGE_ROWS):
            message.events.add(
                event_id=one, user_id=one, item_id=one, action="view", request_id=one, position=1
            )
        yield message.SerializeToString()
    message = feedback.RecordRequest()
    for n in range(MESSAGE_ROWS):
        message.events.add(event_id=f"{n}", user_id="")
    yield message.SerializeToString()
