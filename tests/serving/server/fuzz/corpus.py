"""Messages of the contract, of health and of reflection: valid, hostile, mutated and overfull."""

import gzip
from dataclasses import dataclass

from google.protobuf.descriptor import FieldDescriptor as Field
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2
from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.serving.server.hostile import GARBAGE, calls, methods

LARGEST = 60_000
"""Bytes that a peer accepts before it has read any."""
EXPANDED = 4 << 20
"""Size of a message that is as large as the server accepts, bytes"""
SCALARS = {Field.CPPTYPE_STRING: b"", Field.CPPTYPE_MESSAGE: b""}
CONTRACT = methods()
PUBLIC = {
    f"/{service.full_name}/{method.name}": method
    for module in (health_pb2, reflection_pb2)
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}


@dataclass(frozen=True)
class Corpus:
    """Messages by method, as bytes."""

    messages: dict[str, list[bytes]]

    def pick(self, random, path):
        """A message of a method, mostly mutated a little."""
        wire = random.choice(self.messages[path])
        return wire if random.random() < 0.4 else mutated(random, wire)


def build(number, count):
    """The messages that some seed draws from the contract, `count` calls of all methods."""
    every = {**CONTRACT, **PUBLIC}
    messages = {path: [b""] for path in every}

    def add(call):
        messages[call.method] += [wire for wire in call.messages if len(wire) <= LARGEST]

    rules = settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    seed(number)(rules(given(calls(every))(add)))()
    return Corpus(messages)


def mutated(random, wire):
    """The bytes with a few of them changed, removed, repeated or added."""
    changed = bytearray(wire)
    for _ in range(random.randint(1, 4)):
        at = random.randint(0, len(changed))
        kind = random.randrange(4)
        if kind == 0 and at < len(changed):
            changed[at] ^= 1 << random.randrange(8)
        elif kind == 1:
            del changed[at : at + random.randint(1, 8)]
        elif kind == 2:
            changed[at:at] = changed[at : at + random.randint(1, 32)]
        else:
            changed[at:at] = random.choice(GARBAGE)
    return bytes(changed[:LARGEST])


def overfull(random, path):
    """A legal message with one list as long as the size allows, compressed."""
    descriptor, tags = {**CONTRACT, **PUBLIC}[path].input_type, []
    while True:
        fields = [field for field in descriptor.fields if field.is_repeated or field.message_type]
        if not fields or len(tags) > 5:
            return None
        field = random.choice(fields)
        if field.is_repeated and (field.message_type is None or random.random() < 0.6):
            return gzip.compress(_nested(tags, _many(random, field)), 1)
        tags.append(8 * field.number + 2)
        descriptor = field.message_type


def _many(random, field):
    """As many elements of a repeated field as a message holds."""
    length_delimited = field.cpp_type in SCALARS
    if length_delimited:
        content = random.choice([b"", b"a", b"\x0a\x00", b"x" * 100])
        if field.cpp_type == Field.CPPTYPE_MESSAGE and content in (b"a", b"x" * 100):
            content = b""
        one = varint(8 * field.number + 2) + varint(len(content)) + content
        return one * (EXPANDED // len(one) - 20)
    packed = bytes(EXPANDED - 100)
    return varint(8 * field.number + 2) + varint(len(packed)) + packed


def _nested(tags, content):
    for tag in reversed(tags):
        content = varint(tag) + varint(len(content)) + content
    return content[:EXPANDED]


def varint(value):
    """A whole number as protobuf writes it."""
    encoded = bytearray()
    while value >= 128:
        encoded.append(128 | value % 128)
        value //= 128
    return bytes([*encoded, value])
