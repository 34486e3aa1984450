"""Hints about names, attributes and endpoints that do not exist."""

from __future__ import annotations

import builtins
import re
import sys
import traceback
from collections.abc import Iterator, Mapping
from types import CodeType, FrameType
from typing import Any

from carboy.dev.hints.near import did_you_mean, near, question

BUILTIN_ALIKE = 0.8  # there are so many that some are always a little similar
LOCAL = re.compile(r"local variable '(\w+)'")


def name(error: Any) -> Iterator[str]:
    """Similar names in the scopes of the function; a module or attribute of this name."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    if not frames:
        return
    frame, missing = frames[-1], error.name
    if isinstance(error, UnboundLocalError):
        found = LOCAL.search(str(error))
        missing = found[1] if found else ""
        if missing in frame.f_globals:
            yield (
                f"The function assigns {missing!r}, so the name is local in it."
                f" To use the global one, write 'global {missing}'."
            )
        return
    if missing is None:
        return
    scopes = {**_enclosing(frame), **frame.f_locals, **frame.f_globals}
    names = [each for each in scopes if missing.startswith("_") or not each.startswith("_")]
    owner = frame.f_locals.get("self")
    if owner is not None and missing in getattr(owner, "__dict__", {}):
        yield f"Did you mean 'self.{missing}'?"
    similar = [*near(missing, names), *near(missing, vars(builtins), BUILTIN_ALIKE)]
    if similar:
        yield question(list(dict.fromkeys(similar))[:3])
    if missing in sys.stdlib_module_names:
        yield f"Did you forget to import {missing!r}?"


def _enclosing(frame: FrameType) -> dict[str, Any]:
    """Local variables of the functions around the one that runs in a frame, if they still run."""
    found: dict[str, Any] = {}
    code: CodeType = frame.f_code
    outer = frame.f_back
    while outer is not None:
        if code in outer.f_code.co_consts and outer.f_code.co_name != "<module>":
            found = {**outer.f_locals, **found}
            code = outer.f_code
        outer = outer.f_back
    return found


def attribute(error: Any) -> Iterator[str]:
    """Similar attributes of the object."""
    if error.name is None:
        return
    if error.obj is None:
        yield "The object is None. Check where it comes from."
        return
    if isinstance(error.obj, Mapping) and error.name in error.obj:
        yield f"It has the key {error.name!r}: write [{error.name!r}]."
        return
    names = dir(error.obj)
    hidden = [] if error.name.startswith("_") else [each for each in names if each.startswith("_")]
    yield from did_you_mean(error.name, (each for each in names if each not in hidden))


def endpoint(error: Any) -> Iterator[str]:
    """Similar endpoints, unless the message has one."""
    if "Did you" not in str(error) and error.adapter is not None:
        names = {str(rule.endpoint) for rule in error.adapter.map.iter_rules()}
        yield from did_you_mean(str(error.endpoint), sorted(names))
