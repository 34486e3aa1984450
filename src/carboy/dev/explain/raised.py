"""Names the exceptions with which calls end.

`sys.setprofile` reports that a call ended with an exception, but not with which one. From Python
3.12 on, `sys.monitoring` tells. In Python 3.11, only a trace function of the calling frame gets the
exception. Tracing all the time would slow the request down, so a frame is traced only after a call
in it has ended with an exception, until its next event.

C code may catch the exception of a function that it calls, as `getattr` with a default does. Python
3.11 does not pass on such an exception; its type is concluded from the function.
"""

from __future__ import annotations

import opcode
import sys
import time
from collections.abc import Callable, Iterator
from types import CodeType, FrameType, TracebackType
from typing import Any, Protocol

from carboy.dev.explain.values import exception

CAUGHT = "an exception that C code caught"
CLOSED = "generator.close"
# Exceptions that C code catches, by the function that raises or the function in C that calls it.
EXPECTED = {
    "__next__": "StopIteration",
    "__anext__": "StopAsyncIteration",
    "__getattr__": "AttributeError",
    "__getattribute__": "AttributeError",
    "getattr": "AttributeError",
    "hasattr": "AttributeError",
    "next": "StopIteration",
    CLOSED: "GeneratorExit",
    "coroutine.close": "GeneratorExit",
}
MOST = 100  # calls that are kept in case their exception is raised again
RAISE = opcode.opmap["RAISE_VARARGS"]
MONITORING: Any = getattr(sys, "monitoring", None)  # new in Python 3.12
TOOLS = (4, 3)  # numbers that Python leaves free
NAME = "carboy explain"


class Ended(Protocol):
    """A call that has ended; `result` becomes the text of its exception."""

    raised: bool
    result: str


class Raised:
    """The exceptions of the calls of one thread."""

    __slots__ = ("_calls", "_caught", "_last", "_traced", "holds", "spent")

    def __init__(self) -> None:
        # Calls without a name, with their function and the id of their frame, or 0 if the frame is
        # not in the traceback. The frame itself would keep the variables of the function alive.
        self._calls: list[tuple[Ended, str, int]] = []
        # The same, if C code has caught the exception. It may be raised again, as by a task.
        self._caught: dict[int, tuple[Ended, str]] = {}
        self._last: tuple[int, Ended | None] = (0, None)  # a frame and its call that has returned
        self._traced: FrameType | None = None
        self.holds = 0  # functions that are traced for another reason
        self.spent = 0  # nanoseconds, which are part of no event of `sys.setprofile`

    def take(self) -> int:
        """Nanoseconds spent here since the last time, outside of events of `sys.setprofile`."""
        spent, self.spent = self.spent, 0
        return spent

    def returned(self, call: Ended, frame: FrameType) -> None:
        """A call returned, as far as is known."""
        self.settle()
        self._last = (id(frame), call)

    def ended(self, call: Ended, name: str, frame: FrameType, is_c: bool = False) -> None:
        """A call ended with an exception; `frame` is its own, or that of the caller of C code."""
        known = is_c or _raises_again(frame)
        self._calls.append((call, name, 0 if known else id(frame)))
        caller = frame if is_c else frame.f_back
        if MONITORING is None and caller is not None:
            self._trace(caller)

    def settle(self, c_code: str = "") -> None:
        """Something else happens, so C code has caught the exceptions that are not known.

        `c_code` is the name of the function in C that returns.
        """
        self._untrace()
        if self._calls:
            for call, name, frame in self._calls:
                call.result = EXPECTED.get(c_code) or EXPECTED.get(name) or CAUGHT
                if frame and call.result == CAUGHT:
                    self._caught[frame] = (call, name)
            self._calls.clear()
            for old in list(self._caught)[:-MOST]:
                del self._caught[old]

    def tell(self, error: BaseException, traceback: TracebackType | None) -> None:
        """An exception is in a frame. The calls that ended just before ended with it."""
        if not self._calls:
            return
        began = time.perf_counter_ns()
        text = exception(error)
        frames = dict(_frames(traceback))
        for call, _, frame in self._calls:
            if not frame or frame in frames:
                call.result = text
        self._calls = [each for each in self._calls if not each[0].result]
        self.settle()  # C code has caught their exceptions, and raised this one
        for frame in self._caught.keys() & frames.keys():
            call, name = self._caught.pop(frame)
            if frames[frame] == name:
                call.result = text
        self.spent += time.perf_counter_ns() - began

    def leave(self, frame: FrameType, error: BaseException) -> None:
        """An exception ends the call of this frame, which has been reported."""
        began = time.perf_counter_ns()
        last, call = self._last
        if last == id(frame) and call is not None and not self._calls:
            call.raised, call.result = True, exception(error)  # it did not look like an exception
        self.spent += time.perf_counter_ns() - began
        self.tell(error, error.__traceback__)

    # --- Python 3.11

    def _trace(self, frame: FrameType) -> None:
        if self._traced is not None or is_traced() or frame.f_trace is not None:
            return
        self._traced = frame
        frame.f_trace = self._event
        frame.f_trace_lines = False
        sys.settrace(ignore)

    def _untrace(self) -> None:
        frame, self._traced = self._traced, None
        if frame is None:
            return
        if sys.gettrace() is ignore and not self.holds:
            sys.settrace(None)
        frame.f_trace = None
        frame.f_trace_lines = True

    def _event(self, frame: FrameType, event: str, arg: Any) -> Any:
        if event != "exception":
            return self._event
        self.tell(arg[1], arg[2])
        return None


def ignore(frame: FrameType, event: str, arg: Any) -> None:
    """A trace function; frames that have none of their own are not traced."""


def is_traced() -> bool:
    """Whether another program, such as a debugger, traces this thread."""
    return sys.gettrace() not in (None, ignore)


def _raises_again(frame: FrameType) -> bool:
    """Whether a function ended with `raise` alone, which adds nothing to the traceback."""
    code = frame.f_code.co_code
    return code[frame.f_lasti] == RAISE and code[frame.f_lasti + 1] == 0


def _frames(traceback: TracebackType | None) -> Iterator[tuple[int, str]]:
    while traceback is not None:
        yield id(traceback.tb_frame), traceback.tb_frame.f_code.co_name
        traceback = traceback.tb_next


# --- Python 3.12 and later


class Monitor:
    """Passes exceptions to the `Raised` of the thread, which `find` gets."""

    def __init__(self, find: Callable[[], Raised | None]) -> None:
        self._find = find
        self._tool: int | None = None

    def start(self) -> None:
        """Begin, if a number for a tool is free. In Python 3.11 this does nothing."""
        if MONITORING is None or self._tool is not None:
            return
        free = [tool for tool in TOOLS if MONITORING.get_tool(tool) is None]
        if not free:
            return
        self._tool = free[0]
        events = MONITORING.events
        MONITORING.use_tool_id(self._tool, NAME)
        MONITORING.register_callback(self._tool, events.RAISE, self._raised)
        MONITORING.register_callback(self._tool, events.PY_UNWIND, self._unwound)
        MONITORING.set_events(self._tool, events.RAISE | events.PY_UNWIND)

    def stop(self) -> None:
        """End."""
        if self._tool is not None:
            MONITORING.set_events(self._tool, 0)
            MONITORING.free_tool_id(self._tool)
            self._tool = None

    def _raised(self, code: CodeType, offset: int, error: BaseException) -> None:
        if raised := self._find():
            raised.tell(error, error.__traceback__)

    def _unwound(self, code: CodeType, offset: int, error: BaseException) -> None:
        if raised := self._find():
            raised.leave(sys._getframe(1), error)
