"""Serves metrics over HTTP to Prometheus, with a bounded number of connections and no threads.

The server of `prometheus_client` starts a thread for each connection and waits for ever for the
rest of a request.
"""

import asyncio
from collections import deque
from email.message import Message
from email.parser import BytesParser
from types import TracebackType

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from serving.server.transport.addresses import opened, without_brackets

CONNECTIONS = 32
"""Connections at once that have not asked yet, of which one more closes the oldest; and requests
at once that wait for their answer."""
SECONDS = 5.0
"""Time for a whole request and its answer."""
REQUEST_BYTES = 8 << 10
"""Maximum size of a request."""
PATHS = ("/", "/metrics")


class MetricsPort:
    """Answers `GET /metrics` inside `async with`; any other request gets an error."""

    def __init__(self, registry: CollectorRegistry, host: str, port: int | None) -> None:
        """Take the metrics and the address.

        Args:
            registry: The metrics.
            host: Address or name to listen on.
            port: TCP port; 0 takes a free one, None serves nothing.
        """
        self._registry, self._host, self._port = registry, without_brackets(host), port
        self._server: asyncio.Server | None = None
        self._asking: deque[asyncio.StreamWriter] = deque()
        self._answering, self._waiting = asyncio.Semaphore(1), 0

    @property
    def port(self) -> int:
        """TCP port; only while it is open."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    async def __aenter__(self) -> "MetricsPort":
        """Open the port.

        Raises:
            ValueError: the port is taken, or the host is not an address of this machine.
        """
        if self._port is not None:
            listening = opened(self._host, self._port, name="metrics_port")
            self._server = await asyncio.start_server(
                self._serve, sock=listening, limit=REQUEST_BYTES
            )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the port and every connection that has not asked yet."""
        if self._server is not None:
            self._server.close()
            for writer in list(self._asking):
                writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._asking) >= CONNECTIONS:
            self._asking.popleft().transport.abort()
        self._asking.append(writer)
        try:
            async with asyncio.timeout(SECONDS):
                request = await reader.readuntil(b"\r\n\r\n")
                self._asking.remove(writer)
                answer = await self._answer(request)
                if not writer.is_closing():  # or the caller left
                    writer.write(answer)
                    await writer.drain()
                writer.close()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            writer.transport.abort()
        finally:
            if writer in self._asking:
                self._asking.remove(writer)

    async def _answer(self, request: bytes) -> bytes:
        """The whole answer to the head of a request."""
        line, _, rest = request.partition(b"\r\n")
        method, _, target = line.partition(b" ")
        path = target.partition(b" ")[0].partition(b"?")[0].decode("latin-1")
        if method not in (b"GET", b"HEAD"):
            return _response("405 Method Not Allowed", "text/plain", b"")
        if path not in PATHS:
            return _response("404 Not Found", "text/plain", b"")
        headers: Message = BytesParser().parsebytes(rest, headersonly=True)
        try:
            encode, kind = choose_encoder(str(headers.get("Accept", "")))
        except (TypeError, ValueError):  # a version that is no number: as if none were named
            encode, kind = choose_encoder("")
        if self._waiting == CONNECTIONS:
            return _response("503 Service Unavailable", "text/plain", b"")
        self._waiting += 1
        try:
            async with self._answering:
                body = await asyncio.to_thread(encode, self._registry)
        finally:
            self._waiting -= 1
        return _response("200 OK", kind, body, head=method == b"HEAD")


def _response(status: str, kind: str, body: bytes, *, head: bool = False) -> bytes:
    headers = (
        f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
        "Connection: close\r\n\r\n"
    )
    return headers.encode("latin-1") + (b"" if head else body)
