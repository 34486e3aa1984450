"""Records the calls of compiled code that Python's profiler does not report.

A function of the application that makes such calls is traced instruction by instruction. The call
begins at its instruction, and has ended when the next one of this function comes. From Python 3.12
on, a function that is running cannot be traced, so this is done in Python 3.11 only.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

from carboy.dev.explain.call_sites import Sites
from carboy.dev.explain.raised import Raised, ignore, is_traced

IS_POSSIBLE = sys.version_info < (3, 12)


class CompiledCalls:
    """The calls in the functions of one thread.

    `enter` is called with the name and the module of a function that is called and the time, and
    `leave` with the exception with which the call ended, or None, and the time.
    """

    def __init__(
        self,
        raised: Raised,
        enter: Callable[[str, str, int], object],
        leave: Callable[[BaseException | None, int], object],
    ) -> None:
        self._raised = raised
        self._enter = enter
        self._leave = leave
        self._sites: dict[int, Sites] = {}  # of a function, by the id of its code
        self._open: list[FrameType] = []  # functions that have called compiled code
        self._traced = 0  # functions
        self.clock: Callable[[], int] | None = None  # of the thread; None: nothing is recorded

    def watch(self, frame: FrameType, sites: Sites) -> None:
        """Trace a function that is called, or continues."""
        is_ours = frame.f_trace == self._event
        if is_traced() or not (frame.f_trace is None or is_ours):
            return  # by a debugger
        self._sites[id(frame.f_code)] = sites
        frame.f_trace = self._event
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        self._traced += 1
        self._raised.holds = self._traced
        sys.settrace(ignore)

    def _event(self, frame: FrameType, event: str, arg: Any) -> Any:
        began = time.perf_counter_ns()
        when = 0 if self.clock is None else self.clock() - self._raised.spent
        if self._open and self._open[-1] is frame:
            self._open.pop()
            self._leave(arg[1] if event == "exception" else None, when)
        if event == "opcode":
            if site := self._sites[id(frame.f_code)].get(frame.f_lasti):
                self._open.append(frame)
                self._enter(*site, when)
        elif event == "exception":
            self._raised.tell(arg[1], arg[2])
        elif event == "return":
            self._traced -= 1
            self._raised.holds = self._traced
            if not self._traced:
                sys.settrace(None)
        self._raised.spent += time.perf_counter_ns() - began
        return self._event
