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


def reads_of(frame: FrameType) -> Iterator[tuple[str, Any]]:
    """Values that the current line reads without a call in Python that could be recorded.

    That is `name["key"]` and `name.get("key")` of a dictionary, and `name.attribute` of an object
    that has the attribute in its `__dict__`.
    """
    for text, name, kind, key in _reads(frame.f_code.co_filename).get(frame.f_lineno, ()):
        owner = frame.f_locals.get(name, frame.f_globals.get(name))
        if kind == "attribute":
            owner = _attributes(owner)
        if type(owner) is dict and key in owner:
            yield text, owner[key]


def _attributes(owner: Any) -> Any:
    """The `__dict__` of an object, or of the one that a `LocalProxy` of Werkzeug stands for."""
    try:
        if type(owner).__name__ == "LocalProxy":
            owner = object.__getattribute__(owner, "_get_current_object")()
        return object.__getattribute__(owner, "__dict__")
    except (AttributeError, RuntimeError):  # RuntimeError: the proxy has no object now
        return None


@cache
def _reads(file: str) -> dict[int, list[tuple[str, str, str, Any]]]:
    found: dict[int, list[tuple[str, str, str, Any]]] = {}
    try:
        tree = ast.parse("".join(linecache.getlines(file)))
    except (SyntaxError, ValueError):
        return found
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            entry = (ast.unparse(node), node.value.id, "attribute", node.attr)
            found.setdefault(node.lineno, []).append(entry)
            continue
        owner: ast.expr | None = None
        key: ast.expr | None = None
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
            owner, key = node.value, node.slice
        elif isinstance(node, ast.Call) and node.args:
            called = node.func
            if isinstance(called, ast.Attribute) and called.attr == "get":
                owner, key = called.value, node.args[0]
        if isinstance(owner, ast.Name) and isinstance(key, ast.Constant):
            assert isinstance(node, ast.expr)
            read = (ast.unparse(node), owner.id, "item", key.value)
            found.setdefault(node.lineno, []).append(read)
    return found


def _line(code: CodeType, number: int) -> str:
    return linecache.getline(code.co_filename, number)
