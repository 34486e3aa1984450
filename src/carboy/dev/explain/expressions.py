"""Expressions of the source: the one that a frame evaluates, and those a line reads.

Both are needed to say with which words of a line a view gets a value.
"""

from __future__ import annotations

import ast
import linecache
from collections.abc import Iterator
from functools import cache
from itertools import islice
from types import CodeType, FrameType
from typing import Any

LONGEST = 120  # characters of an expression


def expression_at(frame: FrameType) -> str:
    """The source of the call that the frame is making, or "" if it is not known."""
    code, index = frame.f_code, frame.f_lasti
    if index < 0:
        return ""
    first, last, start, end = next(islice(code.co_positions(), index // 2, None), (None,) * 4)
    if first is None or last is None or start is None or end is None:
        return ""
    lines = [_line(code, number) for number in range(first, last + 1)]
    raw = [line.encode() for line in lines]  # columns count bytes
    raw[-1] = raw[-1][:end]
    raw[0] = raw[0][start:]
    text = " ".join(each.decode("utf-8", "replace").strip() for each in raw)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


_known: dict[tuple[CodeType, str, int], str] = {}


def known_expression_at(frame: FrameType) -> str:
    """As `expression_at`, which is asked only once for each instruction."""
    key = (frame.f_code, frame.f_code.co_filename, frame.f_lasti)
    found = _known.get(key)
    if found is None:
        found = _known[key] = expression_at(frame)
    return found


def reads_of(frame: FrameType, line: int) -> Iterator[tuple[str, Any]]:
    """Values that a line reads without a call in Python that could be recorded.

    That is `owner["key"]` and `owner.get("key")` of a dictionary, and `owner.attribute` of an
    object that has the attribute in its `__dict__`. The owner is a name or read in the same way.
    """
    for node in _reads(frame.f_code.co_filename).get(line, ()):
        value = _value(node, frame)
        if value is not _UNKNOWN:
            yield ast.unparse(node), value


_UNKNOWN = object()


def _value(node: ast.expr, frame: FrameType) -> Any:
    """The value of an expression, if it can be found without running code of an object."""
    if isinstance(node, ast.Name):
        return frame.f_locals.get(node.id, frame.f_globals.get(node.id, _UNKNOWN))
    found = _owner_and_key(node)
    if found is None:
        return _UNKNOWN
    owner, key = _value(found[0], frame), found[1]
    if isinstance(node, ast.Attribute):
        owner = _attributes(owner)
    return dict.get(owner, key, _UNKNOWN) if type(owner) is dict else _UNKNOWN


def _owner_and_key(node: ast.expr) -> tuple[ast.expr, Any] | None:
    match node:
        case ast.Attribute(value=owner, attr=key):
            return owner, key
        case ast.Subscript(value=owner, slice=ast.Constant(value=key), ctx=ast.Load()):
            return owner, key
        case ast.Call(
            func=ast.Attribute(value=owner, attr="get"), args=[ast.Constant(value=key), *_]
        ):
            return owner, key
    return None


def _attributes(owner: Any) -> Any:
    """The `__dict__` of an object, or of the one that a `LocalProxy` of Werkzeug stands for."""
    try:
        if type(owner).__name__ == "LocalProxy":
            owner = object.__getattribute__(owner, "_get_current_object")()
        return object.__getattribute__(owner, "__dict__")
    except (AttributeError, RuntimeError):  # RuntimeError: the proxy has no object now
        return None


@cache
def _reads(file: str) -> dict[int, list[ast.expr]]:
    found: dict[int, list[ast.expr]] = {}
    try:
        tree = ast.parse("".join(linecache.getlines(file)))
    except (SyntaxError, ValueError):
        return found
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Subscript | ast.Call) and _owner_and_key(node):
            found.setdefault(node.lineno, []).append(node)
    return found


def _line(code: CodeType, number: int) -> str:
    return linecache.getline(code.co_filename, number)
