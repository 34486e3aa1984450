"""Hints about keys that are missing in a mapping: a dictionary, the form, the session, …"""

from __future__ import annotations

import ast
import linecache
import traceback
from collections.abc import Iterator, Mapping
from types import FrameType
from typing import Any

from carboy.dev.hints.near import LONGEST, near, question
from carboy.http.fields.headers import Headers

SHOWN = 8  # keys of a dictionary
# Attributes of a request that have been parsed, or can be without the application's code.
OF_REQUEST = ("args", "form", "files", "cookies", "headers", "values", "view_args", "environ")


def key(error: Any) -> Iterator[str]:
    """Similar keys of the mapping, else its keys."""
    mapping = _indexed(error)
    if mapping is None:
        return
    missing, keys = error.args[0], list(mapping.keys())
    if str(missing).startswith("HTTP_"):
        # A header. Flask's are looked up in the environ.
        if "wsgi.version" in mapping:
            missing, keys = _field(missing), [_field(each) for each in keys if "HTTP_" in each]
        elif isinstance(mapping, Headers):
            missing = _field(missing)
    if found := near(missing, keys):
        yield question(found)
        return
    shown = [repr(each)[:LONGEST] for each in keys[: SHOWN + 1]]
    if not shown:
        yield f"The {_kind(mapping)} is empty."
    elif len(shown) == 1:
        yield f"It has the key {shown[0]}."
    elif len(shown) <= SHOWN:
        yield f"It has the keys {', '.join(shown)}."
    else:
        yield f"It has {len(keys):,} keys: {', '.join(shown[:SHOWN])}, …"
    others = [each for each in keys if each is not missing and str(each) == str(missing)]
    if others:
        yield f"{missing!r} is of type {type(missing).__name__}, {others[0]!r} is not."


def _field(name: str) -> str:
    return name.removeprefix("HTTP_").replace("_", "-").title()


def _kind(mapping: Mapping[Any, Any]) -> str:
    return "session" if "Session" in type(mapping).__name__ else "mapping"


def _indexed(error: BaseException) -> Any:
    """The mapping in which a key was looked up, by the innermost line with a subscript."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    places = traceback.extract_tb(error.__traceback__)
    for index, frame in reversed(list(enumerate(frames))):
        found: Any = frame.f_locals.get("self") if frame.f_code.co_name == "__getitem__" else None
        if not hasattr(found, "keys"):
            found = _subscripted(frames[: index + 1], places[index])
        if hasattr(found, "keys") and error.args and error.args[0] not in found:
            return found
    return None


def _subscripted(frames: list[FrameType], place: traceback.FrameSummary) -> Any:
    if place.colno is None or place.end_colno is None or place.end_lineno != place.lineno:
        return None
    line = linecache.getline(place.filename, place.lineno or 1).encode()
    try:
        code = ast.parse(line[place.colno : place.end_colno].decode().strip(), mode="eval").body
    except (SyntaxError, ValueError):
        return None
    return Scope(frames).value(code.value) if isinstance(code, ast.Subscript) else None


class Scope:
    """The names of a frame, the last of `frames`; those of the request also after its end."""

    def __init__(self, frames: list[FrameType]) -> None:
        self._frames = frames

    def value(self, code: ast.expr) -> Any:
        """The value of an expression; None if code of the application would run for it."""
        match code:
            case ast.Name(id=name):
                frame = self._frames[-1]
                return self._object(frame.f_locals.get(name, frame.f_globals.get(name)), name)
            case ast.Attribute(value=inner, attr=name):
                return self._attribute(self.value(inner), name)
            case ast.Call(func=ast.Attribute(value=inner, attr="get_json"), args=[]):
                return self._attribute(self.value(inner), "json")
            case ast.Subscript(value=inner, slice=index):
                outer, key = self.value(inner), self._key(index)
                if type(outer) is dict and isinstance(key, str | int):
                    return outer.get(key)
                if type(outer) in (list, tuple) and isinstance(key, int):
                    return outer[key] if -len(outer) <= key < len(outer) else None
        return None

    def _key(self, code: ast.expr) -> Any:
        match code:
            case ast.Constant(value=key):
                return key
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int(key))):
                return -key
        return self.value(code)

    def _object(self, found: Any, name: str) -> Any:
        """The object behind a proxy such as `request`."""
        if not hasattr(type(found), "_get_current_object"):
            return found
        try:
            return found._get_current_object()
        except RuntimeError:  # the request has ended; a frame still has its context
            contexts = (frame.f_locals.get("ctx") for frame in reversed(self._frames))
            name = "app" if name == "current_app" else name
            return next((getattr(each, name) for each in contexts if hasattr(each, name)), None)

    @staticmethod
    def _attribute(owner: Any, name: str) -> Any:
        is_request = hasattr(type(owner), "get_json")
        if is_request and name in OF_REQUEST:
            return getattr(owner, name)
        if is_request and name == "json":
            return owner.get_json(silent=True)
        return getattr(owner, "__dict__", {}).get(name)
