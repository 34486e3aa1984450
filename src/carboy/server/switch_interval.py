"""The interpreter's switch interval while engines run. It belongs to the whole process.

The first engine that begins notes the interval before it, and the last one that ends restores it.
Between them the interval of the engine that began last applies.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_running: list[list[float]] = []  # a list of one number for each engine, told apart by identity
_before = 0.0
_set_by_us = 0.0


@contextmanager
def switch_interval(seconds: float | None) -> Iterator[None]:
    """Let threads take turns every `seconds`; None leaves everything as it is."""
    if not seconds:
        yield
        return
    own = [seconds]
    try:
        with _lock:
            _begin(own)
        yield
    finally:
        with _lock:
            _end(own)


@contextmanager
def briefly(seconds: float) -> Iterator[None]:
    """Have this interval for a moment, in which no engine begins or ends."""
    with _lock:
        before = sys.getswitchinterval()
        sys.setswitchinterval(seconds + 5e-7)
        short = sys.getswitchinterval()
        try:
            yield
        finally:
            if sys.getswitchinterval() == short:  # otherwise, the application has set it
                sys.setswitchinterval(before + 5e-7)


def _begin(own: list[float]) -> None:
    global _before
    if not _running:
        _before = sys.getswitchinterval()
    _running.append(own)
    _set(own[0])


def _end(own: list[float]) -> None:
    others = [each for each in _running if each is not own]
    if len(others) == len(_running):
        return  # interrupted before it began
    _running[:] = others
    # What the application has set in the meantime stays.
    if sys.getswitchinterval() == _set_by_us:
        _set(_running[-1][0] if _running else _before)


def _set(seconds: float) -> None:
    global _set_by_us
    # Python cuts to whole microseconds, and so 0.007 as it is read becomes 0.006999.
    sys.setswitchinterval(seconds + 5e-7)
    _set_by_us = sys.getswitchinterval()
