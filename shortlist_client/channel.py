"""Opens a gRPC channel: token, TLS, retries."""

import json
from pathlib import Path
from typing import Any

import grpc

RETRIED = (
    {"service": "recommender.v1.RecommenderService"},
    {"service": "recommender.v1.ClassifierService"},
    {"service": "recommender.v1.CatalogService", "method": "Get"},
    {"service": "recommender.v1.CatalogService", "method": "Delete"},
    {"service": "recommender.v1.AdminService", "method": "ListReleases"},
    {"service": "recommender.v1.AdminService", "method": "GetStatistics"},
)
"""Idempotent methods, which gRPC retries. The streams of items and events are not among them: gRPC
1.85 never ends a stream that it retries after its server was killed."""
SERVICE_CONFIG = {
    "methodConfig": [
        {
            "name": RETRIED,
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
OPTIONS = (
    ("grpc.service_config", json.dumps(SERVICE_CONFIG)),
    ("grpc.enable_http_proxy", 0),  # by default gRPC looks for 127.0.0.1 behind $http_proxy
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

    # gRPC's types require a different signature for each of the four
    intercept_unary_unary = _call  # type: ignore[assignment]
    intercept_unary_stream = _call  # type: ignore[assignment]
    intercept_stream_unary = _call  # type: ignore[assignment]
    intercept_stream_stream = _call  # type: ignore[assignment]


def open_channel(
    target: str, *, token: str | None = None, credentials: grpc.ChannelCredentials | None = None
) -> grpc.Channel:
    """Open a channel, which connects when it is first used.

    Args:
        target: `host:port`.
        token: Sent with every call.
        credentials: For TLS; without them, nothing is encrypted.
    """
    if credentials is None:
        channel = grpc.insecure_channel(target, options=OPTIONS)
    else:
        channel = grpc.secure_channel(target, credentials, options=OPTIONS)
    return grpc.intercept_channel(channel, _Bearer(token)) if token else channel


def client_credentials(
    *, ca: Path | None = None, certificate: Path | None = None, key: Path | None = None
) -> grpc.ChannelCredentials:
    """Credentials for TLS.

    Args:
        ca: PEM certificates of the server's authority; None for the authorities that the system
            trusts.
        certificate: PEM chain of the client, if the server asks for one (mutual TLS).
        key: PEM private key of that certificate.

    Raises:
        OSError: a file cannot be read.
    """
    return grpc.ssl_channel_credentials(
        ca.read_bytes() if ca else None,
        key.read_bytes() if key else None,
        certificate.read_bytes() if certificate else None,
    )
