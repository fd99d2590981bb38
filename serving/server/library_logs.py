"""Keeps out of the logs what gRPC's own code says about the faults of callers."""

import logging
import traceback
from types import ModuleType
from typing import Any

from grpc._cython import cygrpc  # type: ignore[attr-defined]  # has no types
from typing_extensions import override

GRPC = "grpc._cython.cygrpc"
TRACE_HEADERS = ("opentelemetry.baggage.propagation", "opentelemetry.trace.span")
"""Loggers that warn of each malformed member of a caller's headers: 100 lines and more a call, also
before any token is looked at"""
FAULTS_OF_CALLERS = (
    "Invalid encoding on",  # with the value of metadata that is not UTF-8: maybe of a token
    "ExecuteBatchError raised in core",  # the caller left before it took the answer
    "Failed sending error status from server",  # the same, for a refusal
)
"""Starts of messages that come with a traceback for every such call"""


def hide_faults_of_callers() -> None:
    """Drop libraries' log lines about calls that are refused, and what callers put into headers.

    Its core writes to standard error by itself; `serving/__init__.py` sets the level.
    """
    logging.getLogger(GRPC).addFilter(_is_fault_of_ours)
    cygrpc.traceback = _NothingPrinted("traceback")
    for name in TRACE_HEADERS:
        logging.getLogger(name).setLevel(logging.ERROR)


class _NothingPrinted(ModuleType):
    """The module `traceback` for gRPC, which prints some errors beside logging them."""

    def print_exc(self) -> None:
        """Print nothing."""

    @override
    def __getattr__(self, name: str) -> Any:
        return getattr(traceback, name)


def _is_fault_of_ours(record: logging.LogRecord) -> bool:
    # raised before any of our code, for a path that is not UTF-8
    is_path = record.exc_info is not None and record.exc_info[0] is UnicodeDecodeError
    return not is_path and not str(record.msg).startswith(FAULTS_OF_CALLERS)
