"""The state of a recorder: the functions it has seen, and the calls that are running."""

from __future__ import annotations

from types import CodeType, FrameType

from carboy.dev.explain.recorder import VARARGS, VARKEYWORDS
from carboy.dev.explain.recording import RecordedCall
from carboy.dev.explain.system_calls import UNKNOWN
from carboy.dev.explain.values import arguments


class Called:
    """A function, and what the recorder does with its calls."""

    __slots__ = ("code", "essential", "module", "name", "number", "opaque")

    def __init__(self, number: int, name: str, module: str, code: CodeType | None) -> None:
        self.number = number
        self.name = name
        self.module = module
        self.code = code  # None for a C function and for an import
        self.opaque = ""  # the reason why its inside is not recorded
        self.essential = code is None  # kept after MOST calls


class OpenCall:
    """A call that is running."""

    __slots__ = ("call", "called", "frame", "moved", "nearest", "resumes")

    def __init__(
        self, frame: FrameType | None, called: Called, call: RecordedCall | None, nearest: int
    ) -> None:
        self.frame = frame  # None for a C function
        self.called = called
        self.call = call  # None if it is left out
        self.nearest = nearest  # the number of this call, or of the nearest one that is kept
        self.resumes: OpenCall | None = None  # the opaque call that continues when it ends
        self.moved = UNKNOWN  # bytes that the socket had moved before


class ThreadState:
    """The state of one thread."""

    __slots__ = ("error", "failed", "number", "opaque", "raised_in", "stack")

    def __init__(self, number: int) -> None:
        self.number = number
        self.stack: list[OpenCall] = []
        self.opaque: OpenCall | None = None  # the call whose inside is not recorded
        self.error = ""  # the exception that was raised last
        self.raised_in = 0  # the id of the frame; the frame would keep its variables alive
        # A call into C that raised an exception: it, its number, and the id of its caller's frame.
        self.failed: tuple[RecordedCall, int, int] | None = None


def arguments_of(frame: FrameType, secrets: set[str]) -> tuple[tuple[str, str], ...]:
    """The arguments of the call of a frame that begins, as text; adds to the secrets."""
    code = frame.f_code
    count = code.co_argcount + code.co_kwonlyargcount
    count += bool(code.co_flags & VARARGS) + bool(code.co_flags & VARKEYWORDS)
    if not count:
        return ()
    values = frame.f_locals
    return arguments({name: values.get(name) for name in code.co_varnames[:count]}, secrets)
