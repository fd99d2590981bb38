"""Pieces of HTTP/2 and gRPC, well-formed or not; sessions made of them, and how to play one."""

import socket
import ssl
import struct
import time
from dataclasses import dataclass, field

from hpack import Decoder, HPACKError

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RESET, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
END_STREAM, END_HEADERS, PADDED, PRIORITISED = 1, 4, 8, 32
ACK = 1
CONNECT_SECONDS, WRITE_SECONDS = 5.0, 2.0
ANSWER_SECONDS = 10.0
"""Longest wait for the answers that a session expects."""


@dataclass(frozen=True)
class Session:
    """One connection: what is written to it, and what the server must not answer."""

    kind: str
    writes: tuple[bytes, ...]
    forbidden: dict[int, frozenset[int]] = field(default_factory=dict)
    """By number of a stream: gRPC statuses that it must not end with; it must end"""
    linger: float = 0.03
    """Time to read on after the writes if no stream is expected to end, seconds"""

    @property
    def requests(self):
        """Number of requests, whole or not; at least the connection itself."""
        marks = sum(write.count(b":path") for write in self.writes)
        return max(marks, 1)


def frame(kind, flags=0, stream=0, payload=b"", *, length=None):
    """A frame; `length` is what it claims, by default the truth."""
    size = len(payload) if length is None else length
    return struct.pack(">I", size)[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def setting(*pairs):
    return frame(SETTINGS, payload=b"".join(struct.pack(">HI", *pair) for pair in pairs))


OPENING = PREFACE + setting((4, 1 << 20)) + frame(WINDOW, payload=struct.pack(">I", 1 << 28))
"""Start of a connection whose peer may send much."""


def integer(value, bits, first=0):
    """An HPACK integer with a prefix of some bits."""
    most = (1 << bits) - 1
    if value < most:
        return bytes([first | value])
    value -= most
    encoded = bytearray([first | most])
    while value >= 128:
        encoded.append(128 | value % 128)
        value //= 128
    return bytes([*encoded, value])


def literal(name, value):
    """A header that enters no table, so that every block of headers stands alone."""
    return b"\0" + integer(len(name), 7) + name + integer(len(value), 7) + value


def block(path, *more, method=b"POST", scheme=b"http"):
    """Headers of a call, well-formed unless an argument is not."""
    pairs = [(b":method", method), (b":scheme", scheme), (b":path", path), (b":authority", b"x")]
    pairs += [(b"te", b"trailers"), (b"content-type", b"application/grpc")]
    return b"".join(literal(*pair) for pair in (*pairs, *more))


def message(content, *, compressed=0, length=None):
    """A gRPC message; `length` is what it claims."""
    size = len(content) if length is None else length
    return bytes([compressed]) + struct.pack(">I", size) + content


def call(stream, headers, *messages):
    """The frames of one call, each DATA frame within the largest size."""
    body = b"".join(messages)
    parts = [body[at : at + 16_384] for at in range(0, len(body), 16_384)] or [b""]
    frames = [frame(HEADERS, END_HEADERS, stream, headers)]
    frames += [
        frame(DATA, END_STREAM if at == len(parts) - 1 else 0, stream, part)
        for at, part in enumerate(parts)
    ]
    return b"".join(frames)


class Connection:
    """Reads the statuses of streams from a server's frames."""

    def __init__(self):
        self._left, self._decoder = b"", Decoder()
        self.statuses, self.words, self.ended = {}, {}, set()

    def read(self, received):
        self._left += received
        while len(self._left) >= 9:
            size = int.from_bytes(self._left[:3], "big")
            if len(self._left) < 9 + size:
                return
            kind, flags = self._left[3], self._left[4]
            stream = int.from_bytes(self._left[5:9], "big") & 0x7FFFFFFF
            self._take(kind, flags, stream, self._left[9 : 9 + size])
            self._left = self._left[9 + size :]

    def _take(self, kind, flags, stream, payload):
        if kind == HEADERS:
            headers = dict(self._decoder.decode(payload, raw=True))
            if (status := headers.get(b"grpc-status")) is not None:
                self.statuses[stream] = int(status)
                self.words[stream] = headers.get(b"grpc-message", b"")
        if kind == RESET or (kind in (HEADERS, DATA) and flags & END_STREAM):
            self.ended.add(stream)


def play(session, port, tls=None):
    """Play a session against a server on this machine.

    Returns:
        Statuses by stream, and what was wrong with them; an empty text if nothing was.
    """
    connection = Connection()
    try:
        with _opened(port, tls) as opened:
            _exchange(session, opened, connection)
    except OSError:
        pass  # the server may hang up on anybody; whether it lives, a probe finds out
    except HPACKError as error:
        return {}, f"the server's headers cannot be decoded: {error}"
    for stream, forbidden in session.forbidden.items():
        if (status := connection.statuses.get(stream)) in forbidden:
            words = connection.words[stream]
            return connection.statuses, f"stream {stream} ended with status {status}: {words!r}"
    left = sorted(set(session.forbidden) - connection.ended)
    return connection.statuses, f"streams {left[:5]} got no answer" if left else ""


def _opened(port, tls):
    opened = socket.create_connection(("127.0.0.1", port), timeout=CONNECT_SECONDS)
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if tls is None:
        return opened
    try:
        return tls.wrap_socket(opened, server_hostname="localhost")
    except ssl.SSLError:
        opened.close()
        raise


def _exchange(session, opened, connection):
    opened.settimeout(WRITE_SECONDS)
    for write in session.writes:
        opened.sendall(write)
    wanted = set(session.forbidden)
    end = time.monotonic() + (ANSWER_SECONDS if wanted else session.linger)
    while (left := end - time.monotonic()) > 0 and not (wanted and wanted <= connection.ended):
        opened.settimeout(left)
        received = opened.recv(65_536)
        if not received:
            return
        connection.read(received)
