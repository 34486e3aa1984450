"""Finds the places inside of an object that hold values, without running code of the object.

Examined are built-in containers, attributes of instances and slots. The number of objects that one
search examines is limited, and those near to the start come first.
"""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import islice
from types import (
    BuiltinFunctionType,
    CodeType,
    FrameType,
    FunctionType,
    MemberDescriptorType,
    MethodType,
    ModuleType,
)
from typing import Any, NamedTuple

from carboy.dev.explain.wanted_value import Matcher

MOST = 300  # objects that one search examines
ITEMS = 100  # of a container
DEEP = 5  # levels below a variable
COPIED = 4096  # bytes of a buffer that is copied before it is known whether it has the value
LARGE = 1 << 22  # bytes; longer ones are not searched
SHORT = 4  # characters; such a value inside an object counts only next to its name
TEXTS = (str, bytes, bytearray, memoryview)
SIMPLE = (int, float, complex, bool, type(None))
OPAQUE = (type, ModuleType, FunctionType, BuiltinFunctionType, MethodType, CodeType, FrameType)


class Found(NamedTuple):
    """A text that holds the value, and where it is."""

    path: str  # from a variable: `self.environ['HTTP_HOST']`
    text: str | bytes
    place: tuple[int, str]  # the container and the key in it; (0, "") for a variable
    is_value: bool  # else the text contains the value and its name
    container: Any
    is_other: bool = False  # it belongs to another name that has the same value
    is_bare: bool = False  # it is short, and has no name next to it
    is_named: bool = False  # its name is next to it
    is_buffer: bool = False  # what is behind the value may be memory that was not written yet


def search(
    names: dict[str, Any], matchers: Sequence[Matcher], most: int = MOST
) -> list[tuple[int, Found]]:
    """The places that hold one of the values, in and below these variables.

    Each comes with the number of the matcher that recognised it.
    """
    found: list[tuple[int, Found]] = []
    seen: set[int] = set()
    queue: deque[tuple[str, Any, int]] = deque()
    for name, value in names.items():
        if isinstance_of(value, TEXTS):
            _check(name, value, (0, ""), None, name, matchers, found)
        elif not isinstance_of(value, SIMPLE):
            queue.append((name, value, 0))
    count = 0
    while queue and count < most:
        path, value, depth = queue.popleft()
        if id(value) in seen or isinstance_of(value, OPAQUE):
            continue
        seen.add(id(value))
        count += 1
        for step, key, inner in _inside(value):
            kind = type(inner)
            if kind in SIMPLE:
                continue
            if issubclass(kind, TEXTS):
                _check(path + step, inner, (id(value), step), value, key, matchers, found)
            elif depth < DEEP:
                queue.append((path + step, inner, depth + 1))
    return found


def isinstance_of(value: Any, kinds: tuple[type, ...]) -> bool:
    """As isinstance, which would run the `__class__` property of a proxy."""
    return issubclass(type(value), kinds)


def as_text(value: Any) -> str | bytes:
    """A copy of a buffer that may change; text and bytes as they are."""
    if isinstance_of(value, (bytearray, memoryview)):
        try:
            return bytes(value[:LARGE])
        except (ValueError, TypeError):  # a buffer that was released
            return b""
    return value  # type: ignore[no-any-return]


def _check(
    path: str, value: Any, place: tuple[int, str], container: Any, key: object,
    matchers: Sequence[Matcher], found: list[tuple[int, Found]],
) -> None:  # fmt: skip
    is_buffer = isinstance_of(value, (bytearray, memoryview))
    is_large = type(value) is bytearray and len(value) > COPIED
    if is_large and not any(each.contains(value) for each in matchers):
        return
    text = as_text(value)
    if not text or len(text) > LARGE:
        return
    for number, matcher in enumerate(matchers):
        if matcher.is_value(text):
            is_named = bool(place[0]) and matcher.is_named(key)
            is_bare = bool(place[0]) and len(text) < SHORT and not is_named
            whole = Found(
                path, text, place, True, container, matcher.is_other(key), is_bare,
                is_named=is_named,
            )  # fmt: skip
            found.append((number, whole))
        elif matcher.contains(text):
            inside = Found(path, text, place, False, container, is_buffer=is_buffer)
            found.append((number, inside))


def _inside(value: Any) -> Iterator[tuple[str, object, Any]]:
    """The parts of an object: how a part is written after the object, its key, the part."""
    kind = type(value)
    if issubclass(kind, dict):
        for key, inner in _some(dict.items(value)):
            yield f"[{key!r}]" if type(key) in (str, bytes, int) else "[…]", key, inner
    elif issubclass(kind, (list, tuple, deque)):
        base = next(each for each in (list, tuple, deque) if issubclass(kind, each))
        items = _some(base.__iter__(value))
        # In a pair of name and value, the name is the key.
        name = items[0] if len(items) == 2 and isinstance_of(items[0], (str, bytes)) else None
        for number, inner in enumerate(items):
            yield f"[{number}]", name if number else number, inner
    elif issubclass(kind, io.BytesIO):
        try:
            yield ".getvalue()", "data", io.BytesIO.getvalue(value)
        except ValueError:
            pass  # it is closed
    if kind not in (dict, list, tuple):
        yield from _attributes(value)


def _attributes(value: Any) -> Iterator[tuple[str, object, Any]]:
    try:
        inside = object.__getattribute__(value, "__dict__")
    except AttributeError:
        inside = None
    if type(inside) is dict:
        for key, inner in _some(inside.items()):
            yield f".{key}", key, inner
    kind: Any = type(value)
    for name, slot in _slots(kind):
        try:
            yield f".{name}", name, slot.__get__(value)
        except (AttributeError, TypeError):
            pass  # not set


@cache
def _slots(kind: Any) -> list[tuple[str, Any]]:
    found = {}
    for each in type.__dict__["__mro__"].__get__(kind):
        for name, value in list(type.__dict__["__dict__"].__get__(each).items()):
            if type(value) is MemberDescriptorType and each.__module__ != "builtins":
                found[name] = value
    return list(found.items())


def _some(values: Any) -> list[Any]:
    try:
        return list(islice(values, ITEMS))
    except RuntimeError:  # changed by another thread
        return []
