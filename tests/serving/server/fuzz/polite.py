"""Sessions whose HTTP/2 is well-formed: calls with hostile messages, metadata and tokens."""

import base64
import gzip
from functools import cache

from tests.serving.server.fuzz import wire
from tests.serving.server.fuzz.corpus import CONTRACT, PUBLIC, overfull
from tests.serving.server.fuzz.wire import Session

OK, CANCELLED, UNKNOWN, DEADLINE = 0, 1, 2, 4
INTERNAL, UNAVAILABLE, DATA_LOSS = 13, 14, 15
FAILURES = frozenset({CANCELLED, UNKNOWN, DEADLINE, INTERNAL, UNAVAILABLE, DATA_LOSS})
"""Statuses that no well-formed call may end with"""
ALLOWED_TO = {"Recommender": "reader", "Catalog": "keeper", "Feedback": "writer"}
ALLOWED_TO |= {"Admin": "ops", "Classifier": "reader", "Privacy": "ops"}
TOKENS = ("reader", "keeper", "writer", "ops")
"""Clients of the server under attack; each name is its token, and `gone` has expired."""
REFLECTION = next(path for path in PUBLIC if "Reflection" in path)
HEALTH = [path for path in PUBLIC if "Health" in path and not path.endswith("Watch")]
CALLS = 12
ODD = [
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"\0",
    b"\r\nx: y",
    b"\x1b[2J",
    b"\x7f",
    b"%00%0a",
    "é日".encode(),
]


def token_of(path):
    """The token that a method asks for."""
    return ALLOWED_TO[path.split(".")[2].partition("Service")[0]]


def bearer(token):
    return b"authorization", b"Bearer " + token.encode()


def session(kind, made):
    """A session of calls: (path, more headers, messages, forbidden statuses) each."""
    writes, forbidden = [wire.OPENING], {}
    size = 0
    for number, (path, headers, messages, never) in enumerate(made):
        body = b"".join(messages)
        if size + len(body) > 60_000:  # beyond this, the server must have read some
            continue
        size += len(body)
        stream = 2 * number + 1
        writes.append(wire.call(stream, wire.block(path.encode(), *headers), body))
        if never is not None:
            forbidden[stream] = never
    return Session(kind, tuple(writes), forbidden)


def contract(random, corpus):
    """Messages of the contract with the right token."""
    made = []
    for _ in range(CALLS):
        path = random.choice(sorted(CONTRACT))
        most = 3 if CONTRACT[path].client_streaming else 1
        messages = [wire.message(corpus.pick(random, path)) for _ in range(random.randint(1, most))]
        never = FAILURES - ({UNAVAILABLE} if path.endswith("/Erase") else set())  # says: again
        made.append((path, [bearer(token_of(path))], messages, never))
    return session("contract", made)


def overfull_lists(random, corpus):
    """One legal message of a few KiB that unpacks to 4 MiB of a single list."""
    path = random.choice(sorted(CONTRACT))
    packed = overfull(random, path)
    if packed is None or len(packed) > 55_000:
        return contract(random, corpus)
    headers = [bearer(token_of(path)), (b"grpc-encoding", b"gzip")]
    made = [(path, headers, [wire.message(packed, compressed=1)], FAILURES)]
    return session("overfull list", made)


def wrong_tokens(random, corpus):
    """Tokens that are missing, wrong, expired, doubled, odd or of another role: never answered."""
    made = []
    for _ in range(CALLS):
        path = random.choice([*sorted(CONTRACT), REFLECTION])
        right = "" if path == REFLECTION else token_of(path)
        others = [token for token in TOKENS if token != right]
        other = bearer(random.choice(others)) if path != REFLECTION else bearer("gone")
        odd = random.choice(ODD[4:])  # bytes that gRPC itself lets through
        headers = random.choice(
            [
                [],
                [bearer("wrong")],
                [bearer("gone")],
                [other],
                [other, bearer("wrong")],
                [(b"authorization", b"Basic " + base64.b64encode(right.encode()))],
                [(b"authorization", right.encode())],
                [(b"authorization-bin", base64.b64encode(b"Bearer " + right.encode()))],
                [(b"authorization", b"Bearer " + odd + right.encode())],
                [(b"x-authorization", b"Bearer " + right.encode())],
                [(b"authorization", b"Bearer " + b"x" * 4_000)],
            ]
        )
        messages = [wire.message(corpus.pick(random, path))]
        made.append((path, headers, messages, frozenset({OK, UNKNOWN, INTERNAL})))
    return session("wrong tokens", made)


def odd_metadata(random, corpus):
    """Metadata as odd as HTTP/2 allows; the call may end in any way."""
    made = []
    for _ in range(CALLS):
        path, odd = random.choice(sorted(CONTRACT)), random.choice(ODD)
        headers = random.choice(
            [
                [
                    (
                        b"grpc-timeout",
                        random.choice([b"0n", b"1n", b"-1S", b"99999999H", b"1x", odd]),
                    )
                ],
                [(b"grpc-encoding", random.choice([b"zzz", b"gzip", b"identity", odd]))],
                [(b"grpc-accept-encoding", odd)],
                [(b"traceparent", random.choice([odd * 20, b"00-" + b"0" * 32 + b"-0-00"]))],
                [(b"baggage", b",".join([b"a=b"] * 900))],
                [(b"user-agent", odd)],
                [(b"odd-bin", random.choice([b"!!!!", b"AA", b"AAAAA", odd]))],
                [(b"grpc-trace-bin", odd), (b"grpc-tags-bin", b"AAAA" * 99)],
                [(b"grpc-status", b"0"), (b"grpc-message", odd)],
                [(b"authorization", b"Bearer " + odd)],
                [bearer("wrong"), bearer(token_of(path))],
                [(b"x" * 900, odd)] * 3,
            ]
        )
        token = [] if random.random() < 0.3 else [bearer(token_of(path))]
        made.append((path, headers + token, [wire.message(corpus.pick(random, path))], None))
    return session("odd metadata", made)


def health(random, corpus):
    """Health without a token, and watches that are left open."""
    made = []
    for _ in range(CALLS):
        path = random.choice(HEALTH)
        content = corpus.pick(random, path)
        if random.random() < 0.3:
            content = _field(1, random.choice(ODD[5:]) * random.choice([1, 90, 3_000]))
        made.append((path, [], [wire.message(content)], frozenset({UNKNOWN, INTERNAL})))
    watched = wire.message(_field(1, b"w%d" % random.randrange(1 << 30)))
    made.append(("/grpc.health.v1.Health/Watch", [], [watched], None))
    return session("health", made)


def reflection(random, corpus):
    """Reflection with a token: files, symbols and extensions that exist or not."""
    names = [b"", b"recommender.v1.RecommenderService", b"recommender/v1/catalog.proto", b"x" * 900]
    made = []
    for _ in range(CALLS):
        messages = [
            wire.message(_field(random.choice([3, 4, 6, 7]), random.choice([*names, *ODD[4:]])))
            for _ in range(random.randint(1, 3))
        ]
        if random.random() < 0.5:
            messages = [wire.message(corpus.pick(random, REFLECTION))]
        made.append((REFLECTION, [bearer("reader")], messages, None))
    return session("reflection", made)


def unknown_methods(random, _):
    """Methods and services that do not exist, with and without a token."""
    made = []
    for _ in range(CALLS):
        service = random.choice([b"recommender.v1.RecommenderService", b"a.B", b"%x", b"a" * 500])
        path = b"/" + service + b"/M%d" % random.randrange(1 << 40)
        token = random.choice([[], [bearer("reader")], [bearer("wrong")]])
        made.append((path.decode(), token, [wire.message(b"")], frozenset({OK, UNKNOWN})))
    return session("unknown methods", made)


def bombs(random, _):
    """Compressed messages that unpack to more than the server accepts."""
    path, size = random.choice(sorted(CONTRACT)), random.choice([5, 20, 60])
    token = [bearer(token_of(path))] if random.random() < 0.5 else []
    body = wire.message(_bomb(size), compressed=1)[:60_000]
    return session("bombs", [(path, [*token, (b"grpc-encoding", b"gzip")], [body], None)])


@cache
def _bomb(mebibytes):
    return gzip.compress(bytes(mebibytes << 20), 9)


def _field(number, content):
    size = len(content)
    return bytes([8 * number + 2, 128 | size % 128, size // 128]) + content


KINDS = {contract: 8, overfull_lists: 1, wrong_tokens: 4, odd_metadata: 4, health: 2}
KINDS |= {reflection: 2, unknown_methods: 2, bombs: 1}
"""The kinds of session, and how often each is drawn"""
