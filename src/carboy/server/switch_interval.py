"""The interpreter's switch interval while engines run: it belongs to the whole process.

The first engine in notes what was set before, the last one out sets it again. In between the
engine that came last has its way.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_wanted: list[list[float]] = []  # one cell for each engine, so that equal wishes are told apart
_before = 0.0
_ours = 0.0


@contextmanager
def switch_interval(seconds: float | None) -> Iterator[None]:
    """Let threads take turns every `seconds`; None leaves everything as it is."""
    if not seconds:
        yield
        return
    cell = [seconds]
    with _lock:
        _enter(cell)
    try:
        yield
    finally:
        with _lock:
            _leave(cell)


def _enter(cell: list[float]) -> None:
    global _before
    if not _wanted:
        _before = sys.getswitchinterval()
    _wanted.append(cell)
    _set(cell[0])


def _leave(cell: list[float]) -> None:
    _wanted[:] = [other for other in _wanted if other is not cell]
    # What the application has set in the meantime is the application's.
    if sys.getswitchinterval() == _ours:
        _set(_wanted[-1][0] if _wanted else _before)


def _set(seconds: float) -> None:
    global _ours
    # Python cuts to whole microseconds, and so 0.007 as it is read becomes 0.006999.
    sys.setswitchinterval(seconds + 5e-7)
    _ours = sys.getswitchinterval()
