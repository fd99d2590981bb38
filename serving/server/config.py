"""Configuration of the gRPC server."""

from dataclasses import dataclass, field
from pathlib import Path

from retrieval.cache_config import CacheConfig
from serving.batching.request_queue import QueueConfig
from serving.server.transport.addresses import without_brackets
from serving.server.transport.tls import TlsConfig


@dataclass(frozen=True, kw_only=True)
class ServerConfig:
    """Address, limits and security of the server."""

    host: str = "127.0.0.1"
    """Address or name to listen on, such as `::1`; `0.0.0.0` and `::` are every interface. Beyond
    this machine's loopback it needs `tokens` and `tls`, or `insecure`."""
    port: int = 50051
    """TCP port; 0 takes a free one."""
    insecure: bool = False
    """Listen beyond this machine's loopback although clients need no token, or although nothing is
    encrypted: only behind something that does both."""
    grace_seconds: float = 10.0
    """Time for requests in flight to finish after SIGTERM or SIGINT, seconds."""
    max_message_bytes: int = 4 << 20
    """Size limit of a request and of an answer, bytes; `limits` bounds requests further."""
    reload_seconds: float = 1.0
    """Interval between checks for a new live release, seconds; SIGHUP checks at once."""
    connections: int = 512
    """Connections at once; a further one is closed at once. Each takes a file descriptor."""
    queue: QueueConfig = field(default_factory=QueueConfig)
    """Queue of requests in front of the engine."""
    tokens: Path | None = None
    """YAML file of the clients, with entries from `python -m serving token`: tokens, certificates
    or both. Read again when it changes; deleting it revokes every client. Without it, everyone who
    reaches the port may call everything."""
    tls: TlsConfig = field(default_factory=TlsConfig)
    """Certificates; without them, nothing is encrypted."""
    cache: CacheConfig = field(default_factory=CacheConfig)
    """Caches of answers and of shoppers' embeddings."""
    metrics_port: int | None = None
    """TCP port that Prometheus reads; by default none."""
    reflection: bool = True
    """Whether the server describes its calls to tools such as grpcurl; with `tokens`, to clients
    that have one."""

    def __post_init__(self) -> None:
        if not without_brackets(self.host):
            raise ValueError(f"host must be an address or a name, got {self.host!r}")
        for name in ("port", "metrics_port"):
            port = getattr(self, name)
            if port is not None and not 0 <= port <= 65535:
                raise ValueError(f"{name} must be within 0 and 65535, got {port}")
        if self.grace_seconds < 0:
            raise ValueError(f"grace_seconds must be at least 0, got {self.grace_seconds}")
        if self.reload_seconds <= 0:
            raise ValueError(f"reload_seconds must be positive, got {self.reload_seconds}")
        for name in ("max_message_bytes", "connections"):
            if (number := getattr(self, name)) < 1:
                raise ValueError(f"{name} must be at least 1, got {number}")
