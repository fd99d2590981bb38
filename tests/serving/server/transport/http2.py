"""Raw HTTP/2, for what no gRPC client sends."""

import socket

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, SETTINGS = 0, 1, 4
END_HEADERS = 4


def frame(kind, flags, stream, payload):
    head = len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big")
    return head + payload


def field(name, value):
    """A header, neither indexed nor compressed (RFC 7541, 6.2.2)."""
    return b"\0" + _length(name) + name + _length(value) + value


def headers(stream=1, *, path=b"/a.B/C", authority=b"x", method=b"POST", extra=()):
    sent = [
        (b":method", method),
        (b":scheme", b"http"),
        (b":path", path),
        (b":authority", authority),
        (b"te", b"trailers"),
        *(() if b"content-type" in dict(extra) else ((b"content-type", b"application/grpc"),)),
        *extra,
    ]
    return frame(HEADERS, END_HEADERS, stream, b"".join(field(*one) for one in sent))


def data(payload, stream=1):
    return frame(DATA, 0, stream, payload)


def message(body, stream=1):
    return data(b"\0" + len(body).to_bytes(4, "big") + body, stream)


def connected(port, *, wrap=lambda plain: plain):
    connection = wrap(socket.create_connection(("127.0.0.1", port), timeout=5))
    connection.sendall(PREFACE + frame(SETTINGS, 0, 0, b""))
    return connection


def _length(text):
    left = len(text)
    if left < 127:
        return bytes([left])
    out, left = [127], left - 127
    while left >= 128:
        out.append(left % 128 + 128)
        left //= 128
    return bytes([*out, left])
