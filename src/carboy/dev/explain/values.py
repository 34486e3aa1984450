"""Describes a value in a few characters, without running code of the value's class.

The recorder sees objects in the middle of a request. Their `__repr__` or `__len__` could query a
database or fail, so only values of built-in types are examined.
"""

from __future__ import annotations

import re
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType
from typing import Any

LONGEST = 72  # characters of a value
ITEMS = 3  # of a container
DEEP = 2  # levels of nested containers
NAMES = ("name", "endpoint", "rule", "key", "path", "status", "type")
MASK = "***"  # replaced by one character in the end
PLAIN = (int, float, bool, type(None), complex)
WORDS = "passw|secret|token|credential|api[_-]?key|private[_-]?key"
WHOLE_WORDS = "pw|pwd|pass|pin"
# A header field in any text, up to the end of the line.
SECRET_FIELD = re.compile(r"(?i)((?:authorization|cookie)['\"]?\s*[:,=]\s*)[^\r\n]+")
# In a query, a form or JSON: token=…, "password": "…".
SECRET_VALUE = re.compile(
    rf"(?i)((?:[\w.-]*(?:{WORDS})[\w.-]*|\b(?:{WHOLE_WORDS}))['\"]?\s*[=:]"
    r"\s*['\"]?)[^&\s'\"\\,;}]+"
)
PASSWORD = re.compile(
    r"(?i)passw|secret|credential"
)  # words that parsers do not use as names of tokens
SECRET_NAME = re.compile(rf"(?i){WORDS}|cookie|authorization|(?:\b|_)(?:{WHOLE_WORDS})$")


def brief(value: Any, deep: int = DEEP) -> str:
    """The value as text of about `LONGEST` characters at most."""
    kind = type(value)
    if kind in PLAIN:
        return repr(value)
    if kind in (str, bytes, bytearray):
        return _text(value)
    if kind in (tuple, list, set, frozenset, dict):
        return _container(value, deep)
    if kind in (FunctionType, MethodType, BuiltinFunctionType):
        return f"<function {value.__qualname__}>"
    # Not isinstance, which would run the `__class__` property of the value.
    if issubclass(kind, type):
        return f"<class {type.__dict__['__name__'].__get__(value)}>"
    if issubclass(kind, BaseException):
        return exception(value)
    if kind is CodeType:
        return "<code>"
    return _object(value)


def exception(error: BaseException) -> str:
    """Type and arguments, for example `KeyError('name')`."""
    inside = ", ".join(
        brief(each, 1) for each in BaseException.__dict__["args"].__get__(error)[:ITEMS]
    )
    return f"{type(error).__name__}({inside})"


def arguments(given: dict[str, Any], secrets: set[str]) -> tuple[tuple[str, str], ...]:
    """The arguments of a call as text. Values of secrets are added to `secrets`.

    A value that is stored under a key such as "password" is a secret, too.
    """
    labels = [value for name, value in given.items() if name in ("key", "name")]
    label = next((each for each in labels if type(each) is str and SECRET_NAME.search(each)), "")
    shown = []
    for name, value in given.items():
        called = label if label and name in ("value", "default") else name
        if type(value) is str and len(value) <= LONGEST and PASSWORD.search(called):
            secrets.add(value)
        if name[0] != ".":
            shown.append((name, argument(called, value)))
    return tuple(shown)


def argument(name: str, value: Any) -> str:
    """As `brief`, but values with the name of a secret are not shown."""
    if SECRET_NAME.search(name) and type(value) in (str, bytes, list, tuple):
        return "'…'"
    return brief(value)


def _text(value: str | bytes | bytearray) -> str:
    size = len(value)
    beginning = value[: LONGEST * 2]
    if isinstance(beginning, str):
        whole = repr(_masked(beginning))
    else:
        whole = repr(type(beginning)(_masked(beginning.decode("latin-1")).encode("latin-1")))
    if size <= LONGEST and len(whole) <= LONGEST:
        return whole.replace(MASK, "…")
    quote = whole[-1]
    unit = "characters" if type(value) is str else "bytes"
    cut = whole[:LONGEST].rstrip(quote).replace(MASK, "…")
    return f"{cut}…{quote} ({size:,} {unit})"


def _masked(text: str) -> str:
    return SECRET_VALUE.sub(rf"\1{MASK}", SECRET_FIELD.sub(rf"\1{MASK}", text))


def _container(value: Any, deep: int) -> str:
    size = len(value)
    if size == 2 and type(value) is tuple and type(value[0]) is str:  # a header field
        return f"({brief(value[0], deep)}, {argument(value[0], value[1])[:LONGEST]})"
    opened, closed = _BRACKETS[type(value)]
    if not deep or not size:
        return f"{opened}{'…' if size else ''}{closed}"
    parts: list[str] = []
    try:
        for count, each in enumerate(value.items() if type(value) is dict else value):
            if count == ITEMS or sum(map(len, parts)) > LONGEST:
                parts.append(f"… {size} in all")
                break
            parts.append(_item(each, value, deep - 1))
    except RuntimeError:  # changed by another thread
        parts.append("…")
    comma = "," if type(value) is tuple and size == 1 else ""
    return f"{opened}{', '.join(parts)}{comma}{closed}"


def _item(each: Any, container: Any, deep: int) -> str:
    if type(container) is dict:
        key, value = each
        return f"{brief(key, deep)}: {argument(key if type(key) is str else '', value)[:LONGEST]}"
    return brief(each, deep)


def _object(value: Any) -> str:
    kind = type(value).__name__
    try:
        inside = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return f"<{kind}>"
    for name in NAMES:
        found = inside.get(name) if type(inside) is dict else None
        if type(found) is str:
            return f"<{kind} {_text(found[:LONGEST])}>"
    return f"<{kind}>"


_BRACKETS: dict[type, tuple[str, str]] = {
    tuple: ("(", ")"),
    list: ("[", "]"),
    set: ("{", "}"),
    frozenset: ("frozenset({", "})"),
    dict: ("{", "}"),
}
