"""Python's recursion limit while calls are recorded.

At the limit, Python cannot call the function that records either. It then drops it, and nothing
that follows is recorded. So the limit is raised, and a function that is called at the depth of the
limit before is traced: the trace function raises the error in it.
"""

from __future__ import annotations

import sys
from types import FrameType
from typing import ClassVar

from carboy.dev.explain.raised import is_traced

SAID = "maximum recursion depth exceeded"  # by Python
TIMES = 3  # calls that are not recorded count for Python's limit, too


class RecursionLimit:
    """The limit of the application. It belongs to the process, as the limit of Python does."""

    limit = sys.maxsize
    holders: ClassVar[set[int]] = set()  # that have lifted it

    def lift(self) -> None:
        """Raise the limit of Python, unless it is raised already."""
        if not self.holders:
            RecursionLimit.limit = sys.getrecursionlimit()
            sys.setrecursionlimit(self.limit * TIMES)
        self.holders.add(id(self))

    def restore(self) -> None:
        """Set the limit of Python back."""
        if self.holders == {id(self)}:
            sys.setrecursionlimit(self.limit)
        self.holders.discard(id(self))

    def check(self, frame: FrameType, depth: int) -> None:
        """Make the function fail that is called, if its recorded callers are as deep as the limit.

        Where a debugger traces the thread, the limit is that of Python.
        """
        if depth >= self.limit and not is_traced():
            frame.f_trace = _exceeded
            sys.settrace(_exceeded)


def _exceeded(frame: FrameType, event: str, arg: object) -> None:
    """A trace function that raises Python's error, at the first line or in the next call."""
    sys.settrace(None)
    raise RecursionError(SAID)
