"""Sessions whose headers are hostile: paths, pseudo-headers, floods of headers, HPACK."""

from hpack.huffman import HuffmanEncoder
from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH

from tests.serving.server.fuzz import wire
from tests.serving.server.fuzz.polite import bearer
from tests.serving.server.fuzz.wire import Session, block, call, frame, literal

RECOMMEND = b"/recommender.v1.RecommenderService/Recommend"
END = wire.END_STREAM | wire.END_HEADERS
EMPTY = wire.message(b"")
ODD_PATHS = [b"", b"/", b"*", b"//", b"/a", b"/a/b/c", b"a/b", RECOMMEND + b"?x=1", b"/\0/\0"]
ODD_PATHS += [b"/" + b"a" * 9_000, b"/a\nFORGED 00:00:00 root: hello/b", b'/a"} 1\nevil{x="/b']
ODD_PATHS += [b"/\x1b[2J/b", "/é/日".encode(), b"/%ff/%00", b"http://x/a/b", RECOMMEND + b"/"]
NOT_UTF8 = [b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf8\x88\x80\x80\x80", b"\x80", b"\xfe\xff"]
HUFFMAN = HuffmanEncoder(REQUEST_CODES, REQUEST_CODES_LENGTH)


def good(stream):
    """A call that the server answers."""
    return call(stream, block(RECOMMEND, bearer("reader")), EMPTY)


def begun(kind, *writes, **options):
    """A session that opens the connection as it should."""
    return Session(kind, (wire.OPENING, *writes), **options)


def paths(random):
    """A path that is odd, or not UTF-8, before or after a good call."""
    path = random.choice(ODD_PATHS)
    if random.random() < 0.4:
        path = b"/" + random.choice(NOT_UTF8) + random.choice([b"/x", b"", RECOMMEND])
    made = [call(stream, block(path), EMPTY) for stream in range(1, random.choice([3, 9]), 2)]
    return begun("paths", *made, good(99))


def pseudo_headers(random):
    """Pseudo-headers that are missing, doubled, unknown, late or of another protocol."""
    known = [
        literal(b":method", b"POST"),
        literal(b":scheme", b"http"),
        literal(b":path", RECOMMEND),
    ]
    known += [literal(b":authority", b"x"), literal(b"te", b"trailers")]
    known.append(literal(b"content-type", b"application/grpc"))
    odd = [literal(b":status", b"200"), literal(b":protocol", b"websocket"), literal(b":x", b"y")]
    odd += [literal(b"content-type", b"text/html"), literal(b"connection", b"close")]
    odd += [literal(b":method", random.choice([b"GET", b"CONNECT", b"\xff", b""]))]
    odd += [literal(b"host", b"\xff"), literal(b"content-length", b"-1"), literal(b"", b"")]
    for _ in range(random.randint(1, 3)):
        if random.random() < 0.5:
            known.remove(random.choice(known))
        known.insert(random.randint(0, len(known)), random.choice(odd + known))
    return begun("pseudo-headers", call(1, b"".join(known), EMPTY), good(3))


def many_headers(random):
    """Thousands of headers or long ones, in continuations that may never end."""
    name, value = random.choice([(b"a", b""), (b"a" * 200, b"b" * 200), (b"a-bin", b"AAAA" * 900)])
    headers = block(RECOMMEND) + literal(name, value) * random.choice([50, 1_000, 5_000])
    parts = [headers[at : at + 16_384] for at in range(0, min(len(headers), 400_000), 16_384)]
    writes = [frame(wire.HEADERS, 0, 1, parts[0])]
    writes += [frame(wire.CONTINUATION, 0, 1, part) for part in parts[1:]]
    if random.random() < 0.3:
        writes += [frame(wire.CONTINUATION, 0, 1)] * random.choice([10, 2_000])
    if random.random() < 0.7:
        writes.append(frame(wire.CONTINUATION, wire.END_HEADERS, 1))
    return begun("many headers", *writes)


def bad_hpack(random):
    """Blocks of headers that no decoder may accept, or that ask it for much."""
    grown = b"\x40\x01a" + wire.integer(4_000, 7) + b"b" * 4_000
    odd = random.choice(
        [
            b"\x80",
            b"\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
            wire.integer(62, 7, 128),
            wire.integer(1 << 60, 7, 128),
            b"\x00\x7f\xff\xff\xff\xff\x0fa",
            b"\x00\x05ab",
            b"\x00\x01a\x81\xff",
            b"\x00\x01a\x84\xff\xff\xff\xff",
            wire.integer(1 << 30, 5, 32),
            b"\x3f\xe1\xff\x03" * 20,
            grown + wire.integer(62, 7, 128) * 4_000,
            b"\x00" + bytes([128 | 1]) + b"\x00" + b"\x00",
            random.randbytes(random.randint(1, 300)),
            b"\x00\x04Name" + bytes([128 | 3]) + HUFFMAN.encode(b"\xff\xfe\xfd\x00")[:3],
        ]
    )
    headers = odd + block(RECOMMEND) if random.random() < 0.5 else block(RECOMMEND) + odd
    return begun("bad HPACK", frame(wire.HEADERS, END, 1, headers), good(3))
