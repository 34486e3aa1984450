"""Frames of threads and coroutines as the admin server shows them: file, line and function."""

from __future__ import annotations

import linecache
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from carboy.late import sysconfig
from carboy.server.dispatching import Dispatcher
from carboy.server.runner import Runner

# The functions of the server that run a request, which is their local variable `exchange`.
RUN: frozenset[CodeType] = frozenset({Runner.run.__code__, Dispatcher.dispatch.__code__})


@cache
def _not_own() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    places = {paths[name] + "/" for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    return (*places, str(Path(__file__).resolve().parents[2]) + "/", "<")


def is_own_file(name: str) -> bool:
    """Whether a file is part of the application."""
    return not name.startswith(_not_own())


def is_own(code: CodeType) -> bool:
    """Whether a function is part of the application, and not of a library or of Python."""
    return is_own_file(code.co_filename)


def shown(frame: FrameType) -> dict[str, Any]:
    """File, line and function of a frame."""
    code = frame.f_code
    return {"file": code.co_filename, "line": frame.f_lineno, "function": code.co_qualname}


def innermost(frame: FrameType | None) -> dict[str, Any] | None:
    """The place of the application that a thread is at, or the innermost one of any code."""
    first = frame
    while frame is not None and frame.f_code not in RUN:
        if is_own(frame.f_code):
            return shown(frame)
        frame = frame.f_back
    return None if first is None else shown(first)


def innermost_of_task(frames: Sequence[FrameType]) -> dict[str, Any] | None:
    """The same for a coroutine, whose frames begin with the outermost one."""
    own = [frame for frame in frames if is_own(frame.f_code)]
    return shown((own or frames)[-1]) if frames else None


def calls_of(frame: FrameType | None) -> list[dict[str, Any]]:
    """The calls that lead to a frame, outermost first, each with the text of its line."""
    found: list[dict[str, Any]] = []
    while frame is not None:
        found.append(call_of(frame))
        frame = frame.f_back
    return found[::-1]


def call_of(frame: FrameType) -> dict[str, Any]:
    """One call, with the text of its line."""
    place = shown(frame)
    place["own"] = is_own(frame.f_code)
    place["text"] = linecache.getline(place["file"], place["line"], frame.f_globals).strip()
    return place
