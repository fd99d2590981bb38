"""Opens a gRPC channel: token, TLS, retries."""

import json
from typing import Any

import grpc

QUESTIONS = (
    {"service": "recommender.v1.RecommenderService"},
    {"service": "recommender.v1.CatalogService", "method": "Get"},
    {"service": "recommender.v1.CatalogService", "method": "Delete"},
    {"service": "recommender.v1.AdminService", "method": "ListReleases"},
    {"service": "recommender.v1.AdminService", "method": "GetStatistics"},
)


RETRIES = {
    "methodConfig": [
        {
            "name": QUESTIONS,
            "retryPolicy": {
                "maxAttempts": 4,
                "initialBackoff": "0.1s",
                "maxBackoff": "1s",
                "backoffMultiplier": 3,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ]
}
"""What may be asked twice is asked again within its deadline, when no server could be reached. Not
streams: gRPC 1.85 never ends one that it tries again after its server was killed."""


OPTIONS = (
    ("grpc.service_config", json.dumps(RETRIES)),
    ("grpc.enable_http_proxy", 0),  # by default even 127.0.0.1 is sought behind $http_proxy
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.max_receive_message_length", -1),
)


class _Bearer(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    """Sends a token with every call."""

    def __init__(self, token: str) -> None:
        self._sent = ("authorization", f"Bearer {token}")

    def _call(self, continuation: Any, details: Any, request: Any) -> Any:
        sent = [*(details.metadata or ()), self._sent]
        return continuation(details._replace(metadata=sent), request)

    # gRPC's types want four signatures of what is one and the same
    intercept_unary_unary = _call  # type: ignore[assignment]
    intercept_unary_stream = _call  # type: ignore[assignment]
    intercept_stream_unary = _call  # type: ignore[assignment]
    intercept_stream_stream = _call  # type: ignore[assignment]


def open_channel(
    target: str, *, token: str | None = None, credentials: grpc.ChannelCredentials | None = None
) -> grpc.Channel:
    """A channel to a server, which connects when it is first used.

    Args:
        target: `host:port`.
        token: Sent with every call.
        credentials: For TLS; None for none.
    """
    if credentials is None:
        channel = grpc.insecure_channel(target, options=OPTIONS)
    else:
        channel = grpc.secure_channel(target, credentials, options=OPTIONS)
    return grpc.intercept_channel(channel, _Bearer(token)) if token else channel
