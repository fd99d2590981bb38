"""Keeps out of the logs what gRPC's own code says about the faults of callers."""

import logging

GRPC = "grpc._cython.cygrpc"
FAULTS_OF_CALLERS = (
    "Invalid encoding on",  # with the value of metadata that is not UTF-8: maybe of a token
    "ExecuteBatchError raised in core",  # the caller left before it took the answer
    "Failed sending error status from server",  # the same, for a refusal
)
"""Starts of messages that come with a traceback for every such call"""


def hide_faults_of_callers() -> None:
    """Drop gRPC's log lines about calls that are refused, or whose callers have left.

    Its core writes to standard error by itself; `serving/__init__.py` sets the level.
    """
    logging.getLogger(GRPC).addFilter(_is_fault_of_ours)


def _is_fault_of_ours(record: logging.LogRecord) -> bool:
    # raised before any of our code, for a path that is not UTF-8
    is_path = record.exc_info is not None and record.exc_info[0] is UnicodeDecodeError
    return not is_path and not str(record.msg).startswith(FAULTS_OF_CALLERS)
