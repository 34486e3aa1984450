"""Python's recursion limit while calls are recorded.

At the limit, Python cannot call the function that records either. It then drops it, and nothing
that follows is recorded. So the limit is raised, and a function that is called at the depth of the
limit before is traced: the trace function raises the error in it.
"""

from __future__ import annotations

import sys
from types import FrameType

SAID = "maximum recursion depth exceeded"  # by Python
TIMES = 3  # calls that are not recorded count for Python's limit, too


class RecursionLimit:
    """The limit of the application."""

    def __init__(self) -> None:
        self._limit = sys.maxsize

    def lift(self) -> None:
        """Raise the limit of Python."""
        self._limit = sys.getrecursionlimit()
        sys.setrecursionlimit(self._limit * TIMES)

    def restore(self) -> None:
        """Set the limit of Python back."""
        sys.setrecursionlimit(self._limit)

    def check(self, frame: FrameType, depth: int) -> None:
        """Make the function fail that is called, if its recorded callers are as deep as the limit.

        Where a debugger traces the thread, the limit is that of Python.
        """
        if depth >= self._limit and sys.gettrace() is None:
            frame.f_trace = _exceeded
            sys.settrace(_exceeded)


def _exceeded(frame: FrameType, event: str, arg: object) -> None:
    """A trace function that raises Python's error, at the first line or in the next call."""
    sys.settrace(None)
    raise RecursionError(SAID)
