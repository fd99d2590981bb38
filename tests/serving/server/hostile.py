"""Hypothesis strategies for hostile requests, generated from the contract's descriptors.

Most values are valid in the tiny shop, so that a request gets far before an invalid value stops it.
"""

import importlib
import pkgutil
import time
from dataclasses import dataclass
from functools import cache

from google.protobuf import message_factory
from google.protobuf.descriptor import FieldDescriptor as Field
from hypothesis import strategies as st

import shortlist_client.proto.recommender.v1 as contract

NEW = [f"new-{n}" for n in range(20)]
KNOWN = [
    *(f"i{row}" for row in range(0, 240, 7)),
    *NEW,
    *(f"u{row}" for row in range(0, 200, 20)),
    *("colour", "thing", "price", "new", "since", "brand"),
    *("red", "pink", "shirt", "red shirt", "buy", "view", "purchase", "click"),
]
"""Ids, attributes and words of the shop, put into any string field."""
VALID = {
    "item_id": st.sampled_from([f"i{row}" for row in range(0, 240, 7)] + NEW),
    "user_id": st.sampled_from([f"u{row}" for row in range(30)] + ["stranger"]),
    "attribute": st.sampled_from(["colour", "thing", "price", "new", "since"]),
    "action": st.sampled_from(["buy", "view", "purchase", "click", "impression"]),
    "event_id": st.integers(0, 10**6).map("event-{}".format),
    "title": st.sampled_from(["red shirt", "teal rug shirt", "lamp"]),
    "keyword": st.sampled_from(["red", "pink", "shirt", "lamp"]),
    "limit": st.integers(1, 12),
}
"""Valid values by the end of a field's name."""
LENGTHS = (255, 256, 257, 1_000, 1_001, 10_000, 70_000)
TEXTS = ["", " ", "\0", "a\0b", "\t\r\n", "\uffff", "\ufdd0", "\u202eabc\u202c", "e\u0301" * 9]
TEXTS += ["\U0001f9d1\u200d\U0001f4bb", "\U0010ffff", "%s%n{0}{x}", "'; DROP TABLE events; --"]
TEXTS += ["../../etc/passwd", "NaN", "1e999", "2026-05-01T09:00+02:00", "9999-12-31T23:59:59-23:59"]
TEXTS += ["0001-01-01T00:00:00+23:59", "2026-13-45", "[CLS]", "[MASK] [SEP]", "<script>"]
DOUBLES = [float("nan"), float("inf"), float("-inf"), -0.0, 5e-324, -1.8e308 / 1.1, 3.5e38, 2.0**63]
DOUBLES += [0.0, 0.5, 1.0, 200.0, -1.0, 1e308]
WHOLE = [0, 1, 2, 12, 13, 200, 201, 1_000, 1_001, 2**31 - 1, 2**31, 2**32 - 1, 2**53 + 1]
WHOLE += [2**63 - 1, 2**63, 2**64 - 1, 253_402_300_799, 253_402_300_800]
RANGES = {
    **dict.fromkeys((Field.TYPE_INT32, Field.TYPE_SINT32, Field.TYPE_SFIXED32), (-(2**31), 2**31)),
    **dict.fromkeys((Field.TYPE_INT64, Field.TYPE_SINT64, Field.TYPE_SFIXED64), (-(2**63), 2**63)),
    **dict.fromkeys((Field.TYPE_UINT32, Field.TYPE_FIXED32), (0, 2**32)),
    **dict.fromkeys((Field.TYPE_UINT64, Field.TYPE_FIXED64), (0, 2**64)),
}
DEPTH = 5
"""Maximum depth of nested messages; only NESTED is deeper."""
MOST_BYTES = 6_000_000
"""Maximum size of a list; more than a server accepts."""
NESTED = b""
for _ in range(90):  # lists nested as deep as protobuf decodes
    NESTED = b"\x32" + bytes([128 | (len(NESTED) + 6) % 128, (len(NESTED) + 6) // 128]) + NESTED
GARBAGE = [b"", b"\x00", b"\xff" * 9, b"\x08", b"\x0a\xff\xff\xff\xff\x0f", b"\x0a\x02\xc3\x28"]
GARBAGE += [b"\x0a\x03\xed\xa0\x80", b"\x12\x02\xff\xfe", b"\x0b\x0c", b"\x0b", b"\x0c"]
GARBAGE += [b"\xc2\x3e\x03abc", b"\xf8\xff\xff\xff\x0f\x01", b"\x1a\x05\x0a\x03\xed\xa0\x80"]


@dataclass(frozen=True)
class Sent:
    """One call: the path of a method and the bytes of its messages."""

    method: str
    messages: tuple[bytes, ...]

    def __repr__(self):
        parts = [f"{message[:300]!r}, {len(message)} bytes" for message in self.messages]
        return f"Sent({self.method!r}, {'; '.join(parts)})"


def methods():
    """Descriptors of all methods of the contract, by path."""
    found = {}
    for module in pkgutil.iter_modules(contract.__path__, f"{contract.__name__}."):
        if module.name.endswith("_pb2"):
            services = importlib.import_module(module.name).DESCRIPTOR.services_by_name
            for service in services.values():
                for method in service.methods:
                    found[f"/{service.full_name}/{method.name}"] = method
    return found


@st.composite
def calls(draw, chosen):
    """A call of one of the chosen methods."""
    path = draw(st.sampled_from(sorted(chosen)))
    method = chosen[path]
    most = 3 if method.client_streaming else 1
    of = _message(method.input_type, DEPTH)
    wire = of.map(lambda message: message.SerializePartialToString()).flatmap(_corrupted)
    return Sent(path, tuple(draw(st.lists(wire, min_size=1, max_size=most))))


def _corrupted(wire):
    """The bytes, mostly unchanged, sometimes corrupted."""
    place = st.integers(0, max(len(wire) - 1, 0))
    other = st.one_of(
        place.map(lambda end: wire[:end]),
        st.tuples(place, st.integers(1, 255)).map(lambda where: _flipped(wire, *where)),
        st.sampled_from(GARBAGE).map(lambda more: wire + more),
        st.sampled_from(GARBAGE),
        st.binary(max_size=40),
        st.just(wire + wire),
        st.integers(1, 8).map(lambda number: _field(number, NESTED) + wire),
    )
    return _mostly(st.just(wire), other, often=9)


def _flipped(wire, place, bits):
    return wire[:place] + bytes([wire[place] ^ bits]) + wire[place + 1 :] if wire else b"\x07"


def _field(number, content):
    size = len(content)
    return bytes([8 * number + 2, 128 | size % 128, size // 128]) + content


@st.composite
def _mostly(draw, usual, other, often=7):
    return draw(other if draw(st.integers(0, often)) == often // 2 else usual)


@st.composite
def _message(draw, descriptor, depth):
    message = message_factory.GetMessageClass(descriptor)()
    length = draw(_mostly(st.integers(0, 4), st.sampled_from([16, 17, 1_000, 1_001])))
    for field in descriptor.fields:
        needed = field.name in ("shopper", "wishes", "limit", "item_id", "attribute")
        needed = needed and draw(st.integers(0, 7)) != 4  # not every call honours a limit
        one_message = field.message_type is not None and not field.is_repeated
        if needed or draw(st.integers(0, 3)) > (1 if one_message else 0):
            _fill(draw, message, field, depth, length)
    return message


def _fill(draw, message, field, depth, length):
    inner = field.message_type
    if inner is not None and depth == 0:
        return
    if inner is not None and inner.GetOptions().map_entry:
        _fill_map(draw, getattr(message, field.name), inner, depth)
    elif field.is_repeated:
        _fill_list(draw, getattr(message, field.name), field, depth, length)
    elif inner is not None:
        getattr(message, field.name).CopyFrom(draw(_message(inner, depth - 1)))
    else:
        setattr(message, field.name, draw(_scalar(field)))


def _fill_map(draw, held, entry, depth):
    key, value = entry.fields_by_name["key"], entry.fields_by_name["value"]
    for name in draw(st.lists(_scalar(key), max_size=3)):
        if value.message_type is None:
            held[name] = draw(_scalar(value))
        else:
            held[name].CopyFrom(draw(_message(value.message_type, depth - 1)))


def _fill_list(draw, held, field, depth, length):
    """Fill a list; mostly all lists of a message have one length, and numbers ascend."""
    if draw(st.integers(0, 7)) == 4:
        length = draw(st.integers(0, 4))
    if field.message_type is not None:
        one = st.builds(lambda made: made, _message(field.message_type, depth - 1))
        some = [draw(one) for _ in range(min(length, 3))]
    else:
        some = [draw(_scalar(field)) for _ in range(min(length, 5))]
    length = min(length, MOST_BYTES // max(map(_bytes, some), default=1))
    every = (some * (length // max(len(some), 1) + 1))[:length]
    if field.type in RANGES and draw(st.integers(0, 7)) != 4:
        every = sorted(every)
    held.extend(every)


def _bytes(value):
    if isinstance(value, str | bytes):
        return 1 + 4 * len(value)
    return 1 + value.ByteSize() if hasattr(value, "ByteSize") else 8


@cache
def _scalar(field):
    if field.type in RANGES:
        least, beyond = RANGES[field.type]
        hostile = st.sampled_from(WHOLE).flatmap(lambda n: st.sampled_from([n, -n]))
        usual = _valid(field.name, st.integers(0, 20))
        if field.name.endswith(("time", "times", "seconds")):
            usual = st.integers(int(time.time()) - 10**6, int(time.time()))
        return _mostly(usual, hostile.filter(lambda n: least <= n < beyond))
    if field.type == Field.TYPE_STRING:
        long = st.tuples(st.sampled_from("aé日\U0001f9d1"), st.sampled_from(LENGTHS))
        odd = st.one_of(st.sampled_from(TEXTS), long.map(lambda two: two[0] * two[1]), st.text())
        return _mostly(_valid(field.name, st.sampled_from(KNOWN)), odd)
    if field.type in (Field.TYPE_DOUBLE, Field.TYPE_FLOAT):
        limit = st.floats(width=64 if field.type == Field.TYPE_DOUBLE else 32)
        return _mostly(st.integers(-2, 240).map(float), st.one_of(st.sampled_from(DOUBLES), limit))
    if field.type == Field.TYPE_ENUM:
        known = st.sampled_from([value.number for value in field.enum_type.values])
        return _mostly(known, st.sampled_from([-1, 99, 2**31 - 1, -(2**31)]))
    return st.booleans() if field.type == Field.TYPE_BOOL else st.binary(max_size=40)


def _valid(name, otherwise):
    ends = (end for end in VALID if name.removesuffix("s").endswith(end))
    return next((VALID[end] for end in ends), otherwise)
