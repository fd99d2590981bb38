"""Counts, times, traces and logs every call; never records who the shopper is."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import grpc
from grpc import aio
from opentelemetry import propagate, trace
from opentelemetry.trace import Span, SpanKind
from typing_extensions import override

from serving.api.request import ANSWER_STAGES
from serving.server.access.client import current_client_name
from serving.server.interceptors.refusal import refused
from serving.server.interceptors.statuses import UnknownMethodError
from serving.server.interceptors.wrapping import Call, wrap
from serving.server.metrics import Metrics
from serving.server.transport.methods import MethodNames

logger = logging.getLogger("serving.calls")
LOGGED = 128
"""Characters of a text of the caller's in a log line."""
STATUSES = {status.value[0]: status.name for status in grpc.StatusCode}


class TelemetryInterceptor(aio.ServerInterceptor):
    """Observes calls as the caller sees them; must be the outermost interceptor.

    Spans go to the exporter that OpenTelemetry is configured with; without one, nowhere.
    """

    def __init__(self, metrics: Metrics, names: MethodNames) -> None:
        """Take the metrics, and the names under which methods are counted."""
        self._metrics, self._names = metrics, names
        self._tracer = trace.get_tracer("shortlist")

    @override
    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        method = self._names.name_of(handler_call_details.method)
        handler = await continuation(handler_call_details) or refused(UnknownMethodError(), method)
        sent = dict(handler_call_details.invocation_metadata or ())

        @asynccontextmanager
        async def observed(call: Call) -> AsyncIterator[None]:
            with self._span(method, sent) as span:
                started, status = time.time_ns(), "UNKNOWN"
                self._metrics.in_flight.inc()
                try:
                    yield
                    status = _status(call)
                except (asyncio.CancelledError, aio.InternalError):  # or the caller left first
                    status = "CANCELLED"
                    raise
                except BaseException:
                    status = _status(call, failed=True)
                    raise
                finally:
                    self._metrics.in_flight.dec()
                    end = time.time_ns()
                    span.set_attribute("rpc.grpc.status", status)
                    # in the loop's next turn, so that the answer is sent first
                    asyncio.get_running_loop().call_soon(
                        self._report, call, method, status, started, end
                    )

        return wrap(handler, observed)

    def _report(self, call: Call, method: str, status: str, started: int, end: int) -> None:
        """Count, trace and log a finished call; `started` and `end` are in ns."""
        client, seconds = current_client_name(), (end - started) / 1e9
        self._metrics.count_call(method, status, client, seconds)
        stages = _stages(call)
        for stage, milliseconds in stages.items():
            self._metrics.count_stage(stage, milliseconds / 1e3)
        self._trace_stages(stages, end)
        logger.debug(
            "%s %s",
            method,
            status,
            extra={
                "method": method,
                "status": status,
                "milliseconds": round(1e3 * seconds, 3),
                "client": client,
                "request_id": _request_id(call),
            },
        )

    @contextmanager
    def _span(self, method: str, sent: Mapping[str, Any]) -> Iterator[Span]:
        parent = propagate.extract({k: v for k, v in sent.items() if isinstance(v, str)})
        with self._tracer.start_as_current_span(
            method, context=parent, kind=SpanKind.SERVER, record_exception=False
        ) as span:
            yield span

    def _trace_stages(self, milliseconds: Mapping[str, float], end: int) -> None:
        """Add a span for each stage; the stages ran one after another until `end`, ns."""
        for stage in reversed([name for name in ANSWER_STAGES if name in milliseconds]):
            start = end - round(1e6 * milliseconds[stage])
            self._tracer.start_span(stage, start_time=start).end(end)
            end = start


def _request_id(call: Call) -> str:
    """The caller's name for the request, cut; the log's formatter escapes it."""
    named = getattr(call.request, "wishes", call.request)
    return str(getattr(named, "request_id", ""))[:LOGGED]


def _stages(call: Call) -> Mapping[str, float]:
    if call.stages is not None:
        return call.stages
    answer = getattr(call.response, "answer", call.response)
    return dict(getattr(answer, "milliseconds", {}))


def _status(call: Call, *, failed: bool = False) -> str:
    code = call.context.code()
    number = code.value[0] if isinstance(code, grpc.StatusCode) else int(code or 0)
    return "UNKNOWN" if failed and not number else STATUSES[number]
