"""Finds the places inside of an object that hold values, without running code of the object.

Examined are built-in containers, attributes of instances and slots. The number of objects that one
search examines is limited, and those near to the start come first.
"""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
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
MOST_CLEAN = 10_000  # texts that are known not to hold a value
LONGEST_CLEAN = 1024  # characters of such a text
TEXTS = (str, bytes, bytearray, memoryview)
SIMPLE = (int, float, complex, bool, type(None))
OPAQUE = (type, ModuleType, FunctionType, BuiltinFunctionType, MethodType, CodeType, FrameType)
# How a part is written after its object.
VARIABLE, ITEM, ATTRIBUTE, CONTENT = "", "[]", ".", ".getvalue()"


class Role(Enum):
    """The treatment of objects of a type by a search."""

    SKIPPED = "has no parts"
    TEXT = "may hold a value"
    EXAMINED = "has parts"


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


class Step(NamedTuple):
    """A step of a path. Most paths lead to nothing, so they are written only when needed."""

    above: Step | None
    kind: str  # such as ITEM
    key: object

    def text(self) -> str:
        """How the part is written after its object."""
        if self.kind == ITEM:
            return f"[{self.key!r}]" if type(self.key) in (str, bytes, int) else "[…]"
        return f"{self.kind}{self.key}" if self.kind != CONTENT else CONTENT

    def path(self) -> str:
        """The whole path."""
        return f"{self.above.path()}{self.text()}" if self.above else self.text()


Parts = tuple[str, object, Sequence[tuple[Any, Any]]]  # kind, name of a pair, keys and objects


def search(
    names: dict[str, Any],
    matchers: Sequence[Matcher],
    most: int = MOST,
    clean: dict[int, str | bytes] | None = None,
) -> list[tuple[int, Found]]:
    """The places that hold one of the values, in and below these variables.

    Each comes with the number of the matcher that recognised it. `clean` has the texts that hold
    none of the values, by their id, for the next search with the same matchers: a program has most
    of its texts for a long time.
    """
    found: list[tuple[int, Found]] = []
    clean = {} if clean is None else clean
    seen: set[int] = set()
    queue: deque[tuple[Step | None, Any, int]] = deque()
    groups: Iterable[Parts] = [(VARIABLE, None, list(names.items()))]
    roles, skipped, is_text = _roles, Role.SKIPPED, Role.TEXT  # quicker than their global names
    step, value, depth, count = None, None, 0, 0
    while True:
        for kind, name, parts in groups:
            for key, inner in parts:
                role = roles[type(inner)]
                if role is skipped:
                    continue
                if role is not is_text:
                    if depth <= DEEP:
                        queue.append((Step(step, kind, key), inner, depth + 1))
                elif clean.get(id(inner)) is not inner:
                    before = len(found)
                    named = name if name is not None and key else key
                    _check(Step(step, kind, key), inner, value, named, matchers, found)
                    if len(found) == before:
                        _keep(inner, clean)
        step, value, depth = _next(queue, seen)
        if step is None or count == most:
            return found
        count += 1
        groups = _inside(value)


def _next(
    queue: deque[tuple[Step | None, Any, int]], seen: set[int]
) -> tuple[Step | None, Any, int]:
    """The next object that was not examined yet; (None, None, 0) if there are no more."""
    while queue:
        found = queue.popleft()
        if id(found[1]) not in seen:
            seen.add(id(found[1]))
            return found
    return None, None, 0


def _keep(text: Any, clean: dict[int, str | bytes]) -> None:
    """Remember a text that holds none of the values. It is kept alive, so that its id is."""
    if type(text) in (str, bytes) and len(text) <= LONGEST_CLEAN:
        if len(clean) >= MOST_CLEAN:
            clean.clear()
        clean[id(text)] = text


class _Roles(dict[type, Role]):
    def __missing__(self, kind: type) -> Role:
        if kind in SIMPLE or issubclass(kind, OPAQUE):
            role = Role.SKIPPED
        else:
            role = Role.TEXT if issubclass(kind, TEXTS) else Role.EXAMINED
        self[kind] = role
        return role


_roles = _Roles()


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
    step: Step, value: Any, container: Any, key: object,
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
        is_value = matcher.is_value(text)
        if not is_value and not matcher.contains(text):
            continue
        path = step.path()
        place = (id(container), step.text()) if step.above else (0, "")
        if is_value:
            is_named = bool(place[0]) and matcher.is_named(key)
            is_bare = bool(place[0]) and len(text) < SHORT and not is_named
            whole = Found(
                path, text, place, True, container, matcher.is_other(key), is_bare,
                is_named=is_named,
            )  # fmt: skip
            found.append((number, whole))
        else:
            inside = Found(path, text, place, False, container, is_buffer=is_buffer)
            found.append((number, inside))


def _inside(value: Any) -> Iterator[Parts]:
    """The parts of an object."""
    kind = type(value)
    if issubclass(kind, dict):
        yield ITEM, None, _some(dict.items(value))
    elif issubclass(kind, (list, tuple, deque)):
        base = next(each for each in (list, tuple, deque) if issubclass(kind, each))
        items = _some(base.__iter__(value))
        # In a pair of name and value, the name is the key.
        is_pair = len(items) == 2 and isinstance_of(items[0], (str, bytes))
        yield ITEM, (items[0] or None) if is_pair else None, list(enumerate(items))
    elif issubclass(kind, io.BytesIO):
        try:
            yield CONTENT, None, [("data", io.BytesIO.getvalue(value))]
        except ValueError:
            pass  # it is closed
    if kind not in (dict, list, tuple):
        yield from _attributes(value, kind)


def _attributes(value: Any, kind: Any) -> Iterator[Parts]:
    has_dict, slots = _layout(kind)
    if has_dict:
        try:
            inside = object.__getattribute__(value, "__dict__")
        except AttributeError:
            inside = None
        if type(inside) is dict:
            yield ATTRIBUTE, None, _some(inside.items())
    if slots:
        parts = []
        for name, slot in slots:
            try:
                parts.append((name, slot.__get__(value)))
            except (AttributeError, TypeError):
                pass  # not set
        yield ATTRIBUTE, None, parts


@cache
def _layout(kind: Any) -> tuple[bool, list[tuple[str, Any]]]:
    """Whether objects of a type have a `__dict__`, and their slots."""
    found = {}
    has_dict = False
    for each in type.__dict__["__mro__"].__get__(kind):
        inside = type.__dict__["__dict__"].__get__(each)
        has_dict = has_dict or "__dict__" in inside
        for name, value in list(inside.items()):
            if type(value) is MemberDescriptorType and each.__module__ != "builtins":
                found[name] = value
    return has_dict, list(found.items())


def _some(values: Any) -> list[Any]:
    try:
        return list(islice(values, ITEMS))
    except RuntimeError:  # changed by another thread
        return []
