"""A frame that has a value: its line, its owner, and the code above it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from carboy.dev.explain import places
from carboy.dev.explain.expressions import expression_at
from carboy.dev.explain.places import APPLICATION, SITES, TEMPLATE

SKIPPED = (str(Path(__file__).parent), "<frozen ")
COMPILED = "__jinja_template__"  # a global of the functions that Jinja makes of a template


def is_traced(frame: FrameType) -> bool:
    """Whether the lines of the frame are searched."""
    return not frame.f_code.co_filename.startswith(SKIPPED)


def is_own(frame: FrameType) -> bool:
    """Whether it runs code of the application or one of its templates."""
    place = places.of_code(frame.f_code)
    if place.room == TEMPLATE:
        is_installed = SITES.intersection(Path(place.file).parts)
        return COMPILED in frame.f_globals and not is_installed
    return place.room == APPLICATION


def where(frame: FrameType, line: int) -> dict[str, Any]:
    """The function and a line of it, as values for a file. A template has its own lines."""
    code = frame.f_code
    place = places.of_code(code)
    template = frame.f_globals.get(COMPILED)
    return {
        "function": code.co_qualname if template is None else f"template {place.short}",
        "module": frame.f_globals.get("__name__") or "",
        "place": [getattr(place, name) for name in place.__slots__],
        "line": line if template is None else _line_of_template(template, line),
        "is_own": is_own(frame),
    }


def _line_of_template(template: Any, line: int) -> int:
    try:
        return int(template.get_corresponding_lineno(line))
    except Exception:  # another version of Jinja
        return 0


def expression(frame: FrameType) -> str:
    """The call that the frame makes; "" for a template, whose columns are not known."""
    return "" if COMPILED in frame.f_globals else expression_at(frame)


def own_frames(frame: FrameType) -> Iterator[FrameType]:
    """The frames of the application that are running, the innermost first."""
    each: FrameType | None = frame
    while each is not None:
        if is_own(each):
            yield each
        each = each.f_back
