"""Lets the answering thread go first while another thread works."""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

NICE = 10
"""Niceness of threads that work beside the answering thread"""
SWITCH_SECONDS = 2e-4
"""Switch interval of the interpreter lock meanwhile, seconds; the default is 5 ms"""
_changing = threading.Lock()
_usual: list[float] = []


def yield_processor() -> None:
    """Lower the priority of this thread for good, where the system allows it."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)


@contextmanager
def short_switch_interval() -> Iterator[None]:
    """Shorten the switch interval, so that the answering thread gets the interpreter lock soon."""
    with _changing:
        _usual.append(_usual[0] if _usual else sys.getswitchinterval())
        sys.setswitchinterval(SWITCH_SECONDS)
    try:
        yield
    finally:
        with _changing:
            usual = _usual.pop()
            if not _usual:  # no other thread wants it short
                sys.setswitchinterval(usual)
