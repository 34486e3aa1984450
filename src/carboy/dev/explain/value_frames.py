"""A frame that has a value: its line, its owner, and the code above it."""

from __future__ import annotations

import linecache
import re
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from carboy.dev.explain import generated, places
from carboy.dev.explain.expressions import expression_at
from carboy.dev.explain.places import APPLICATION, SITES, TEMPLATE, Place

DEF = re.compile(r"\s*(async\s+)?def\b")
MOST_DECORATORS = 20  # lines
SKIPPED = (str(Path(__file__).parent), "<frozen ")


def is_traced(frame: FrameType) -> bool:
    """Whether the lines of the frame are searched."""
    return not frame.f_code.co_filename.startswith(SKIPPED)


def is_own(frame: FrameType) -> bool:
    """Whether it runs code of the application or one of its templates."""
    place = _place(frame)
    if place.room == TEMPLATE:
        return not SITES.intersection(Path(place.file).parts)
    return place.room == APPLICATION and bool(place.file)


def where(frame: FrameType, line: int) -> dict[str, Any]:
    """The function and a line of it, as values for a file. A template has its own lines."""
    place = _place(frame)
    name = frame.f_code.co_qualname
    origin = generated.origin_of(frame.f_code)
    if origin is not None:
        name, line = origin.name_of(name, {}), origin.line_of(line)
    return {
        "function": name if place.room != TEMPLATE else f"{name} {place.short}",
        "module": frame.f_globals.get("__name__") or "",
        "place": [getattr(place, name) for name in place.__slots__],
        "line": line,
        "is_own": is_own(frame),
    }


def line_of_def(frame: FrameType) -> int:
    """The line with the name of the function that is called, below its decorators."""
    file, first = frame.f_code.co_filename, frame.f_lineno
    if not linecache.getline(file, first).lstrip().startswith("@"):
        return first
    lines = range(first, first + MOST_DECORATORS)
    return next((line for line in lines if DEF.match(linecache.getline(file, line))), first)


def _place(frame: FrameType) -> Place:
    generated.note(frame)
    return places.of_code(frame.f_code)


def expression(frame: FrameType) -> str:
    """The call that the frame makes; "" for generated code, whose columns are not known."""
    return "" if generated.origin_of(frame.f_code) else expression_at(frame)


def own_frames(frame: FrameType) -> Iterator[FrameType]:
    """The frames of the application that are running, the innermost first."""
    each: FrameType | None = frame
    while each is not None:
        if is_own(each):
            yield each
        each = each.f_back
