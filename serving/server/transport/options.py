"""Options of gRPC's core: what a connection may hold, and for how long."""

from collections.abc import Sequence

KEEP_ALIVE = (
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),  # then frees what a vanished client holds
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.max_connection_idle_ms", 600_000),  # its client opens a new one with its next call
)
LIMITS = (
    # bytes of a message that nobody reads yet; by default 4 MB, and more on a fast network
    ("grpc.http2.lookahead_bytes", 16 << 10),
    ("grpc.http2.bdp_probe", 0),
    ("grpc.max_concurrent_streams", 128),  # of one connection; a client waits with further ones
    ("grpc.max_metadata_size", 16 << 10),
    ("grpc.absolute_max_metadata_size", 16 << 10),
    ("grpc.server_handshake_timeout_ms", 10_000),  # also for the first bytes without TLS
)


def server_options(
    max_message_bytes: int, *, request_bytes: int, connections: int
) -> Sequence[tuple[str, int]]:
    """Options of the server.

    Args:
        max_message_bytes: Size limit of a request and of an answer.
        request_bytes: Size of the largest request that any method takes. A slow sender of a larger
            one would only make the server hold more of it.
        connections: Connections at once.
    """
    return (
        *KEEP_ALIVE,
        *LIMITS,
        ("grpc.max_receive_message_length", min(max_message_bytes, request_bytes)),
        ("grpc.max_send_message_length", max_message_bytes),
        ("grpc.max_allowed_incoming_connections", connections),
        ("grpc.so_reuseport", 0),  # by default, a second server shares the port silently
    )
