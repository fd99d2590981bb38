"""Sessions whose HTTP/2 is hostile: headers, frames, windows, floods, lengths."""

import struct

from tests.serving.server.fuzz import polite, rude_headers, wire
from tests.serving.server.fuzz.polite import bearer
from tests.serving.server.fuzz.rude_headers import EMPTY, END, RECOMMEND, begun, good
from tests.serving.server.fuzz.wire import Session, block, call, frame, setting


def frames_out_of_order(random):
    """Frames of the right form at the wrong time, on the wrong stream or of the wrong size."""
    headers = block(RECOMMEND, bearer("reader"))
    four = struct.pack(">I", random.choice([0, 1, 1 << 31, (1 << 31) - 1, (1 << 32) - 1]))
    pool = [
        frame(wire.DATA, 0, 1, b"early"),
        frame(wire.DATA, 1, 0, b"x"),
        frame(wire.DATA, wire.PADDED, 1, b"\xffx"),
        frame(wire.HEADERS, END, 0, headers),
        frame(wire.HEADERS, END, 2, headers),
        frame(wire.HEADERS, END, 1, headers),
        frame(wire.HEADERS, wire.END_HEADERS, 5, headers),
        frame(wire.HEADERS, END, (1 << 31) - 1, headers),
        frame(wire.HEADERS, 0, 7, headers[:20]),
        frame(wire.HEADERS, END | wire.PADDED, 9, b"\xff" + headers),
        frame(wire.HEADERS, END | wire.PRIORITISED, 11, b"\x80\0\0\x0b\xff" + headers),
        frame(wire.CONTINUATION, wire.END_HEADERS, 1, headers),
        frame(wire.PRIORITY, 0, 3, b"\0\0\0\x03\x10"),
        frame(wire.PRIORITY, 0, 0, b"\0"),
        frame(wire.RESET, 0, 1, four),
        frame(wire.RESET, 0, 77, four),
        frame(wire.RESET, 0, 0, b""),
        frame(wire.PUSH, wire.END_HEADERS, 1, b"\0\0\0\x02" + headers),
        frame(wire.PING, 0, 0, b"1234567"),
        frame(wire.PING, wire.ACK, 0, b"12345678"),
        frame(wire.GOAWAY, 0, 0, four * 2 + b"\xff" * 900),
        frame(wire.GOAWAY, 0, 3, b""),
        frame(wire.WINDOW, 0, random.choice([0, 1, 3]), four),
        frame(wire.WINDOW, 0, 0, b"\0"),
        frame(wire.SETTINGS, wire.ACK, 0, b"x" * 6),
        frame(wire.SETTINGS, 0, 1, b""),
        frame(wire.SETTINGS, 0, 0, b"x" * 7),
        frame(random.randrange(10, 256), random.randrange(256), random.randrange(9), b"?" * 40),
        frame(random.randrange(10), random.randrange(256), 1, random.randbytes(30)),
        frame(random.randrange(10), 0, 1, b"x" * 30, length=random.choice([0, 29, 31, 1 << 23])),
        wire.PREFACE,
        good(21),
    ]
    return begun("frames out of order", *random.choices(pool, k=random.randint(1, 10)))


def settings_of_the_peer(random):
    """Settings with values that are extreme, forbidden, unknown or change all the time."""
    values = [0, 1, 16_383, 16_385, (1 << 31) - 1, 1 << 31, (1 << 32) - 1]
    pairs = [(random.choice([*range(10), 0xFE03]), random.choice(values)) for _ in range(6)]
    writes = [setting(*pairs), good(1), setting((4, 0)), setting((4, (1 << 31) - 1)), good(3)]
    return Session("settings", (wire.PREFACE, *random.sample(writes, 4)))


def zero_windows(random):
    """Calls whose answers the peer never lets through, or one byte at a time."""
    first = wire.PREFACE + setting((4, random.choice([0, 0, 1])))
    calls = [good(stream) for stream in range(1, 2 * random.choice([2, 20, 60]), 2)]
    drips = [frame(wire.WINDOW, 0, stream, struct.pack(">I", 1)) for stream in range(1, 20, 2)]
    return Session("zero windows", (first, *calls, *random.choice([[], drips * 3])), linger=0.1)


def rapid_reset(random):
    """Calls that are cancelled as soon as they begin."""
    count = random.choice([20, 100, 200])
    headers = block(RECOMMEND, *random.choice([[], [bearer("reader")]]))
    reset = struct.pack(">I", 8)
    flags = random.choice([END, wire.END_HEADERS])
    made = [
        frame(wire.HEADERS, flags, stream, headers) + frame(wire.RESET, 0, stream, reset)
        for stream in range(1, 2 * count, 2)
    ]
    return begun("rapid reset", *_together(made, 10))


def floods(random):
    """Many small frames that each ask for work or for an answer."""
    one = random.choice(
        [
            frame(wire.PING, 0, 0, b"12345678"),
            setting((3, 100)),
            setting(),
            frame(wire.SETTINGS, wire.ACK),
            frame(wire.PRIORITY, 0, 3, b"\0\0\0\0\x10"),
            frame(wire.WINDOW, 0, 0, struct.pack(">I", 1)),
            frame(99, 0, 0, b"?"),
            frame(wire.DATA, 0, 1, b""),
            frame(wire.DATA, wire.PADDED, 1, b"\x00"),
        ]
    )
    opened = frame(wire.HEADERS, wire.END_HEADERS, 1, block(RECOMMEND, bearer("reader")))
    return begun("floods", opened, *_together([one] * random.choice([100, 3_000]), 100))


def lying_lengths(random):
    """gRPC messages whose prefixes claim another length, compression or number."""
    content = random.randbytes(random.choice([0, 3, 50]))
    length = random.choice([0, 1, len(content) + 1, 4 << 20, 5 << 20, (1 << 31), (1 << 32) - 1])
    flag = random.choice([0, 0, 1, 2, 255])
    body = wire.message(content, compressed=flag, length=length) + random.choice([b"", EMPTY * 3])
    encoding = random.choice([[], [(b"grpc-encoding", random.choice([b"gzip", b"deflate"]))]])
    headers = block(RECOMMEND, *encoding, *random.choice([[], [bearer("reader")]]))
    cut = random.choice([len(body), random.randint(0, len(body))])
    if random.random() < 0.7:
        return begun("lying lengths", call(1, headers, body[:cut]), good(3))
    opened = frame(wire.HEADERS, wire.END_HEADERS, 1, headers)
    return begun("lying lengths", opened, frame(wire.DATA, 0, 1, body[:cut]), good(3))


def other_protocols(random):
    """What is no HTTP/2 at all, or stops in the middle of its preface."""
    other = random.choice(
        [
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            b"POST /a HTTP/1.1\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
            wire.PREFACE[: random.randint(1, 23)],
            wire.PREFACE + b"\0" * random.randint(1, 99),
            wire.PREFACE + b"\xff" * random.randint(1, 99),
            wire.PREFACE,
            random.randbytes(random.randint(1, 2_000)),
            b"SSH-2.0-x\r\n",
            b"",
        ]
    )
    return Session("other protocols", (other,) if other else ())


def mutated_sessions(random, corpus):
    """A well-formed session with some bits changed, or bytes lost, anywhere."""
    session = random.choice(list(polite.KINDS))(random, corpus)
    changed = bytearray(b"".join(session.writes))
    for _ in range(random.choice([1, 3, 30])):
        at = random.randrange(24, len(changed))
        if random.random() < 0.2:
            del changed[at : at + random.randint(1, 20)]
        else:
            changed[at - 1] ^= 1 << random.randrange(8)
    return Session("mutated session", (bytes(changed),))


def _together(frames, count):
    return [b"".join(frames[at : at + count]) for at in range(0, len(frames), count)]


KINDS = {
    rude_headers.paths: 3,
    rude_headers.pseudo_headers: 3,
    rude_headers.many_headers: 1,
    rude_headers.bad_hpack: 3,
    frames_out_of_order: 4,
}
KINDS |= {settings_of_the_peer: 2, zero_windows: 1, rapid_reset: 1, floods: 1, lying_lengths: 3}
KINDS |= {other_protocols: 2}
"""The kinds of session that need no messages, and how often each is drawn"""
