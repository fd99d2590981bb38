"""Whose turn a call takes, and until when: clients share the engine and the stores fairly."""

import time
from typing import Any

from serving.server.access.client import current_client_name


def caller_of(context: Any) -> str:
    """Name of the call's client; without tokens, the host that it comes from.

    A client that opens more connections is still one client, and so is a host.

    Args:
        context: Context of the call.
    """
    peer: str = context.peer()  # ipv4:10.0.0.7:49152, ipv6:[::1]:49152 or unix:path
    host = peer if peer.startswith("unix") else peer.rpartition(":")[0]
    return current_client_name() or host


def deadline_of(context: Any) -> float:
    """Deadline of a call, in seconds of `time.monotonic`; infinite if it has none.

    Args:
        context: Context of the call.
    """
    left = context.time_remaining()
    return float("inf") if left is None else time.monotonic() + left
