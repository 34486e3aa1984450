"""Traces the HTTP machine line by line: which line took bytes, and which lines ran for them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType, TracebackType
from typing import Any

from carboy.protocol import machine as machine_module
from carboy.protocol.buffer import ReceiveBuffer
from carboy.protocol.head import HeadReader

FOLDER = str(Path(machine_module.__file__).parent)
BUFFER_FILE = ReceiveBuffer.take.__code__.co_filename
# Variables of the functions that split a line of a head.
PARTS: dict[CodeType, tuple[str, ...]] = {
    HeadReader._start.__code__: ("method", "target", "version"),
    HeadReader._field.__code__: ("name", "value"),
}

Line = tuple[CodeType, int]  # a function and a line of it


@dataclass(slots=True)
class Taken:
    """Bytes that left the buffer, the line that took them, and the lines that ran after it."""

    count: int
    stack: list[Line]  # innermost first; the first one took the bytes
    ran: list[Line]
    found: dict[str, bytes] = field(default_factory=dict)  # what the line was split into


@dataclass(slots=True)
class Run:
    """One call of the machine, traced."""

    traced: bool = True
    result: Any = None
    error: Exception | None = None
    taken: list[Taken] = field(default_factory=list)
    ran: list[Line] = field(default_factory=list)
    made: list[tuple[bytes, Line]] = field(default_factory=list)  # bytes that functions returned

    def lines(self) -> list[Line]:
        """All lines that ran, in order."""
        first = [] if self.taken else self.ran
        return first + [line for taken in self.taken for line in taken.ran]

    def raised_at(self) -> list[Line]:
        """The lines of the machine that raised the error, innermost first."""
        trace: TracebackType | None = self.error.__traceback__ if self.error else None
        found: list[Line] = []
        while trace is not None:
            if _is_machine(trace.tb_frame.f_code):
                found.insert(0, (trace.tb_frame.f_code, trace.tb_lineno))
            trace = trace.tb_next
        return found


def plain(call: Callable[..., Any], *args: Any) -> Run:
    """Call a method of the machine without tracing it."""
    found = Run(traced=False)
    try:
        found.result = call(*args)
    except Exception as error:
        found.error = error
    return found


def run(call: Callable[..., Any], *args: Any) -> Run:
    """Call a method of the machine and trace it."""
    found = Run()
    sizes: dict[FrameType, int] = {}  # of the buffer, by frame of its method

    def began(frame: FrameType, event: str, arg: object) -> Any:
        code = frame.f_code
        if not _is_machine(code):
            return None
        if code.co_filename == BUFFER_FILE:
            sizes[frame] = len(frame.f_locals["self"].data) if "self" in frame.f_locals else 0
            return in_buffer
        return in_machine

    def in_buffer(frame: FrameType, event: str, arg: object) -> Any:
        if event == "return":
            count = sizes.pop(frame, 0) - len(frame.f_locals["self"].data)
            outer = frame.f_back
            # `line` calls `take`, which has been counted already.
            if count > 0 and outer is not None and outer.f_code.co_filename != BUFFER_FILE:
                found.taken.append(
                    Taken(count, _stack(outer), found.ran if not found.taken else [])
                )
        return in_buffer

    def in_machine(frame: FrameType, event: str, arg: object) -> Any:
        line = (frame.f_code, frame.f_lineno)
        if event == "line":
            (found.taken[-1].ran if found.taken else found.ran).append(line)
        elif event == "return":
            for each in _texts(arg):
                found.made.append((each, line))
            if found.taken:
                found.taken[-1].found.update(_split(frame))
        return in_machine

    before = sys.gettrace()
    sys.settrace(began)
    try:
        found.result = call(*args)
    except Exception as error:
        found.error = error
    finally:
        sys.settrace(before)
    return found


def _is_machine(code: CodeType) -> bool:
    return code.co_filename.startswith(FOLDER)


def _stack(frame: FrameType | None) -> list[Line]:
    found = []
    while frame is not None and _is_machine(frame.f_code):
        found.append((frame.f_code, frame.f_lineno))
        frame = frame.f_back
    return found


def _split(frame: FrameType) -> dict[str, bytes]:
    """The parts of a line of a head, from the variables of the function that split it."""
    given = frame.f_locals
    names = PARTS.get(frame.f_code, ())
    return {name: given[name] for name in names if isinstance(given.get(name), bytes)}


def _texts(value: object) -> list[bytes]:
    """The bytes in what a function returned: bytes, an encoded line, or a list of lines."""
    if isinstance(value, bytes):
        return [value] if value else []
    if isinstance(value, tuple) and value and isinstance(value[0], bytes):
        return [value[0]]
    if isinstance(value, list):
        return [text for each in value if isinstance(each, tuple) for text in _texts(each)]
    return []
