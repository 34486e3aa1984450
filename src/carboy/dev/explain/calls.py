"""The calls of a thread as they happen, from what `sys.setprofile` tells."""

from __future__ import annotations

import opcode
from types import CodeType, FrameType
from typing import Any

from carboy.dev.explain.places import SYSTEM_CALLS
from carboy.dev.explain.values import arguments, brief

LEAVES = {
    number
    for name, number in opcode.opmap.items()
    if name.startswith(("RETURN_", "YIELD_", "INSTRUMENTED_RETURN", "INSTRUMENTED_YIELD"))
}
VARARGS, VARKEYWORDS = 0x04, 0x08
SERVER = ("carboy.serving", "carboy.server", "carboy.protocol", "carboy.gateway", "carboy.net")


class Call:
    """One call: what was called, from when to when, with what, and how it ended."""

    __slots__ = (
        "args",
        "began",
        "children",
        "code",
        "ended",
        "error",
        "kept",
        "line",
        "module",
        "raised",
        "result",
    )

    def __init__(self, code: CodeType | str, module: str, began: int) -> None:
        self.code = code  # the name of something in C
        self.module = module
        self.began = began  # nanoseconds of the thread's own clock
        self.ended = 0  # 0: did not end while recording
        self.children: list[Call] = []
        self.args: tuple[tuple[str, str], ...] = ()
        self.result = ""
        self.raised = False
        self.line = 0  # that was running when it ended
        self.error: BaseException | None = None  # an exception among the arguments
        self.kept = True  # False: there were too many


class Thread:
    """What one thread called: the calls that nobody who is recorded made, in order.

    After `most` calls it keeps only those of the server, which tell how the answer was sent, or the
    memory would be full; calls into C only when they are into one of `c_code`, the beginnings of
    names.
    """

    def __init__(self, name: str, most: int, c_code: tuple[str, ...] = ("",)) -> None:
        self.name = name
        self.most = most
        self.c_code = c_code
        self.count = 0
        self.roots: list[Call] = []
        self.stack: list[Call] = []
        self.secrets: set[str] = set()  # that were arguments
        self.lost = 0  # nanoseconds that recording has taken
        self.last = 0

    @property
    def overflowed(self) -> bool:
        """Whether calls are missing."""
        return self.count > self.most

    def note(self, frame: FrameType, event: str, arg: Any, when: int) -> None:
        """Take an event of `sys.setprofile`, at `when` nanoseconds of the thread's own clock."""
        when = self.last = max(when, self.last)
        if event == "call":
            self._enter(_python(frame, when, self.secrets))
        elif event == "return":
            self._leave(frame.f_code, frame, arg, when)
        elif event == "c_call":
            name = _name(arg)
            if name.startswith(self.c_code):
                self._enter(Call(name, "", when))
        elif self.stack and self.stack[-1].code == _name(arg):
            call = self.stack.pop()
            call.ended = when
            call.raised = event == "c_exception"

    def end(self) -> None:
        """Calls that have not ended end with the last event."""
        for call in self.stack:
            call.ended = call.ended or self.last
        self.stack = []

    def _enter(self, call: Call) -> None:
        self.count += 1
        call.kept = not self.overflowed or _serves(call)
        if call.kept:
            above = next((each for each in reversed(self.stack) if each.kept), None)
            (above.children if above else self.roots).append(call)
        self.stack.append(call)

    def _leave(self, code: CodeType, frame: FrameType, value: Any, when: int) -> None:
        stack = self.stack
        if not any(call.code is code for call in reversed(stack)):
            return  # it was called before there was a recorder
        while True:
            call = stack.pop()
            call.ended = when
            if call.code is code:
                break
        call.line = frame.f_lineno or 0
        if value is None and code.co_code[frame.f_lasti] not in LEAVES:
            call.raised = True
        else:
            call.result = brief(value)


def _python(frame: FrameType, when: int, secrets: set[str]) -> Call:
    code = frame.f_code
    call = Call(code, frame.f_globals.get("__name__") or "", when)
    count = code.co_argcount + code.co_kwonlyargcount
    count += bool(code.co_flags & VARARGS) + bool(code.co_flags & VARKEYWORDS)
    if count:
        values = frame.f_locals
        given = {name: values.get(name) for name in code.co_varnames[:count]}
        for value in given.values():
            if issubclass(type(value), BaseException):  # isinstance would ask a proxy what it is
                call.error = value
        call.args = arguments(given, secrets)
    return call


def _serves(call: Call) -> bool:
    if isinstance(call.code, str):
        return call.code.startswith(SYSTEM_CALLS)
    return call.module.startswith(SERVER)


def _name(function: Any) -> str:
    name = getattr(function, "__qualname__", None)
    return name if isinstance(name, str) else type(function).__name__
