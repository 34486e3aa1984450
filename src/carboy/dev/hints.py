"""Hints about an exception for the developer: similar names, and the folders that were searched."""

from __future__ import annotations

import ast
import builtins
import linecache
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from types import FrameType
from typing import Any

SHOWN = 8  # keys of a dictionary
MOST = 5000  # names that are compared
LONGEST = 60  # characters of a name that is compared


def hints(error: BaseException) -> list[str]:
    """Sentences that may help to correct an error; [] if there are none."""
    for kind, about in ABOUT.items():
        if any(each.__name__ == kind for each in type(error).__mro__):
            try:
                return list(about(error))
            except Exception:  # raised by the application's own objects
                return []
    return []


def _near(name: object, names: Iterable[object]) -> list[str]:
    """The most similar of some names."""
    if not isinstance(name, str) or len(name) > LONGEST:
        return []
    known = [each for each in names if isinstance(each, str) and len(each) <= LONGEST][:MOST]
    lower: dict[str, str] = {}
    for each in known:
        lower.setdefault(each.lower(), each)
    found = get_close_matches(name.lower(), lower, n=3, cutoff=0.65)
    return [lower[each] for each in found if lower[each] != name]


def _did_you_mean(name: object, names: Iterable[object]) -> Iterator[str]:
    if near := _near(name, names):
        yield f"Did you mean {' or '.join(map(repr, near))}?"


def _name(error: Any) -> Iterator[str]:
    frames = list(traceback.walk_tb(error.__traceback__))
    if not frames:
        return
    frame = frames[-1][0]
    name = error.name
    names = {**frame.f_locals, **frame.f_globals, **vars(builtins)}
    attributes = vars(frame.f_locals["self"]) if hasattr(frame.f_locals.get("self"), name) else ()
    if attributes:
        yield f"Did you mean 'self.{name}'?"
    yield from _did_you_mean(name, names)
    if name in sys.stdlib_module_names and name not in names:
        yield f"Did you forget to import {name!r}?"


def _attribute(error: Any) -> Iterator[str]:
    if error.name is not None:
        names = dir(error.obj)
        hidden = [] if error.name.startswith("_") else [n for n in names if n.startswith("_")]
        yield from _did_you_mean(error.name, (n for n in names if n not in hidden))
    if error.obj is None and error.name is not None:
        yield "The object is None. Check where it comes from."


def _key(error: Any) -> Iterator[str]:
    mapping = _indexed(error)
    if mapping is None or not error.args:
        return
    key = error.args[0]
    if near := _near(key, mapping):
        yield f"Did you mean {' or '.join(map(repr, near))}?"
        return
    keys = [repr(each)[:LONGEST] for each in list(mapping)[: SHOWN + 1]]
    if not keys:
        yield "The mapping is empty."
    elif len(keys) <= SHOWN:
        yield f"It has the keys {', '.join(keys)}."
    else:
        yield f"It has {len(mapping):,} keys: {', '.join(keys[:SHOWN])}, …"
    others = [each for each in mapping if str(each) == str(key)]
    if others:
        yield f"{key!r} is of type {type(key).__name__}, {others[0]!r} is not."


def _indexed(error: BaseException) -> Mapping[Any, Any] | None:
    """The mapping in which a key was looked up, by the innermost line with a subscript."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    places = traceback.extract_tb(error.__traceback__)
    for frame, place in reversed(list(zip(frames, places, strict=True))):
        found = _subscripted(frame, place)
        if isinstance(found, Mapping) and error.args and error.args[0] not in found:
            return found
    return None


def _subscripted(frame: FrameType, place: traceback.FrameSummary) -> Any:
    if place.colno is None or place.end_colno is None or place.end_lineno != place.lineno:
        return None
    line = linecache.getline(place.filename, place.lineno or 1).encode()
    try:
        code = ast.parse(line[place.colno : place.end_colno].decode().strip(), mode="eval").body
    except (SyntaxError, ValueError):
        return None
    return _value(frame, code.value) if isinstance(code, ast.Subscript) else None


def _value(frame: FrameType, code: ast.expr) -> Any:
    """The value of names, of attributes and of constant keys; nothing of the application runs."""
    match code:
        case ast.Name(id=name):
            return frame.f_locals.get(name, frame.f_globals.get(name))
        case ast.Attribute(value=inner, attr=name):
            return getattr(_value(frame, inner), "__dict__", {}).get(name)
        case ast.Subscript(value=inner, slice=ast.Constant(value=key)):
            outer = _value(frame, inner)
            return outer.get(key) if type(outer) is dict else None
    return None


def _template(error: Any) -> Iterator[str]:
    environment = next(
        (
            own
            for frame, _ in traceback.walk_tb(error.__traceback__)
            if hasattr(own := frame.f_locals.get("self"), "list_templates")
            and hasattr(own, "loader")
            and hasattr(own, "get_template")
        ),
        None,
    )
    if environment is None or environment.loader is None:
        return
    folders = list(dict.fromkeys(_folders(environment.loader)))
    try:
        yield from _did_you_mean(error.name, environment.list_templates())
    except TypeError:  # a loader that cannot list its templates
        pass
    if folders:
        yield f"Folders searched: {', '.join(folders)}"


def _folders(loader: Any) -> Iterator[str]:
    """The folders that a loader of Jinja searches."""
    yield from map(str, getattr(loader, "searchpath", ()))
    if isinstance(root := getattr(loader, "_template_root", None), str):
        yield root
    inner = [*getattr(loader, "loaders", ()), *getattr(loader, "mapping", {}).values()]
    if app := getattr(loader, "app", None):
        inner += [each.jinja_loader for each in (app, *app.iter_blueprints())]
    for each in filter(None, inner):
        yield from _folders(each)


def _endpoint(error: Any) -> Iterator[str]:
    if "Did you mean" not in str(error) and error.adapter is not None:
        names = {str(rule.endpoint) for rule in error.adapter.map.iter_rules()}
        yield from _did_you_mean(str(error.endpoint), sorted(names))


# class of the exception, by name because not all of them are installed: its hints
ABOUT: dict[str, Callable[[Any], Iterator[str]]] = {
    "TemplateNotFound": _template,
    "BuildError": _endpoint,
    "NameError": _name,
    "AttributeError": _attribute,
    "KeyError": _key,
}
