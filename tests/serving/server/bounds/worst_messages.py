"""The messages that take longest to read, found by search over the contract's descriptors.

For every place in every request, a message is filled up to a number of bytes with the elements that
cost fewest bytes there: empty messages and strings, distinct keys, packed numbers, unknown fields,
groups.
"""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import count

from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor import FieldDescriptor as Field

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
