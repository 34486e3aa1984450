"""Describes a value in a few characters, without running code of the value's class.

The recorder sees objects in the middle of a request. Their `__repr__` or `__len__` could query a
database or fail, so only the parts of built-in types are examined, with the methods of those types.
Only the beginning of a large value is read. A text that is cut ends with its quote, and a container
with its bracket, so that the output can be read as Python.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from pathlib import PosixPath, PurePosixPath, PureWindowsPath, WindowsPath
from types import (
    BuiltinFunctionType,
    CodeType,
    FunctionType,
    MemberDescriptorType,
    MethodType,
    WrapperDescriptorType,
)
from typing import Any
from uuid import UUID

LONGEST = 72  # characters of a value
SHORT = 1000  # characters of a text that is formatted as a whole
LEAST = 12  # characters of a value inside of another
ITEMS = 3  # of a container
DEEP = 2  # levels of nested containers
NAMES_KEPT = 2048  # names of parameters and keys, for which is known whether they are of secrets
LARGEST = 1 << 200  # Python refuses to write integers of thousands of digits
NAMES = ("name", "endpoint", "rule", "key", "path", "status", "type")
MESSAGES = ("description", "message", "detail", "msg", "reason", "title")
MASK = "…"
TEXTS = (str, bytes, bytearray)
CONTAINERS = (tuple, list, set, frozenset, dict)
# Types of Python whose `repr()` runs no other code.
PATHS = (PosixPath, WindowsPath, PurePosixPath, PureWindowsPath)
WRITTEN = (Decimal, date, datetime, time, timedelta, UUID, *PATHS)
NUMBERS = (bool, int, float, complex)
FUNCTIONS = (FunctionType, MethodType, BuiltinFunctionType)
ESCAPE = re.compile(r"\\(?:x..|u.{4}|U.{8}|.)|.", re.DOTALL)  # one character of a literal
WORDS = "passw|secret|token|credential|api[_-]?key|private[_-]?key"
WHOLE_WORDS = "pw|pwd|pass|pin"
SIGN = re.compile(r"[:=,]")  # is in every text that one of the next two patterns matches
# A header field in any text, up to the end of the line.
SECRET_FIELD = re.compile(r"(?i)((?:authorization|cookie)['\"]?\s*[:,=]\s*)[^\r\n]+")
# In a query, a form or JSON: token=…, "password": "…".
SECRET_VALUE = re.compile(
    rf"(?i)((?:[\w.-]*(?:{WORDS})[\w.-]*|\b(?:{WHOLE_WORDS}))['\"]?\s*[=:]"
    r"\s*['\"]?)[^&\s'\"\\,;}]+"
)
# In code: api_key = "…", config["SECRET_KEY"] = '…', password: str = "…", {"token": "…"}.
SECRET_LITERAL = re.compile(
    rf"(?i)((?:\w*(?:{WORDS})\w*|\b(?:{WHOLE_WORDS}))['\"\]]*\s*(?::\s*\w+\s*)?[=:]\s*[bruf]{{0,2}})"
    r"(['\"])(?:(?!\2)[^\\\n]|\\.)+\2"
)
PASSWORD = re.compile(
    r"(?i)passw|secret|credential"
)  # words that parsers do not use as names of tokens
SECRET_NAME = re.compile(rf"(?i){WORDS}|cookie|authorization|(?:\b|_)(?:{WHOLE_WORDS})$")


def brief(value: Any, deep: int = DEEP, room: int = LONGEST) -> str:
    """The value as text of about `room` characters."""
    kind = type(value)
    if value is None:
        return "None"
    if kind in NUMBERS:
        return _number(value)
    if kind in TEXTS:
        return _text(value, room, len(value))
    if kind in CONTAINERS:
        return _container(value, kind, deep, room)
    if kind in FUNCTIONS:
        return f"<function {_qualified(value)}>"
    # Not isinstance, which would run the `__class__` property of the value.
    if issubclass(kind, type):
        return f"<class {type.__dict__['__name__'].__get__(value)}>"
    if issubclass(kind, BaseException):
        return _raised(value)
    if kind is CodeType:
        return "<code>"
    if kind in WRITTEN:
        return _written(value, room)
    return _derived(value, kind, deep, room) or _object(value)


def exception(error: BaseException) -> str:
    """Type and message, as in the last line of a traceback: `KeyError: 'name'`.

    The message of a class with a `__str__` of its own is looked for in the attributes.
    """
    kind = type(error)
    given = BaseException.__dict__["args"].__get__(error)
    if type(kind.__str__) is not WrapperDescriptorType:
        said = _message(_attributes(error), _slots(error)) or ", ".join(
            brief(each, 1) for each in given[:ITEMS]
        )
        said = said or _message(*(type.__dict__["__dict__"].__get__(k) for k in kind.__mro__))
    elif len(given) == 1 and type(given[0]) is str and not issubclass(kind, KeyError):
        said = given[0]
    elif _is_plain(error, given):
        said = str(error)
    else:
        said = ", ".join(brief(each, 1) for each in given[:ITEMS])
    return f"{_name(kind)}: {_line(said)}" if said else _name(kind)


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


def argument(name: str, value: Any, deep: int = DEEP, room: int = LONGEST) -> str:
    """As `brief`, but values with the name of a secret are not shown."""
    if _is_secret(name) and type(value) in (str, bytes, list, tuple):
        return f"'{MASK}'"
    return brief(value, deep, room)


def _is_secret(name: str) -> bool:
    """Whether a variable, key or field with this name may have a secret as its value."""
    return _is_known_secret(name) if len(name) <= LONGEST else bool(SECRET_NAME.search(name))


@lru_cache(NAMES_KEPT)
def _is_known_secret(name: str) -> bool:
    return SECRET_NAME.search(name) is not None


def _written(value: Any, room: int) -> str:
    """A value of one of the types in `WRITTEN`, as Python writes it if it can be read."""
    try:
        if type(value) in PATHS:
            path = str(value)
            return f"{_name(type(value))}({_text(path, room, len(path))})"
        zone = getattr(value, "tzinfo", None)
        if zone is None or zone is UTC:  # another one may be of any class
            return repr(value)
    except Exception:
        pass  # it is being made, and does not have its attributes yet
    return _object(value)


def _number(value: Any) -> str:
    if type(value) is int and abs(value) > LARGEST:
        return f"<int of {value.bit_length():,} bits>"
    return repr(value)


def _text(value: str | bytes | bytearray, room: int, size: int) -> str:
    beginning = value[: LONGEST * 2]
    text = beginning if isinstance(beginning, str) else beginning.decode("latin-1")
    whole = _literal(_masked(text), type(value))
    if size <= LONGEST and len(whole) <= room:
        return whole
    quote = whole.rstrip(")")[-1]
    start = whole.index(quote) + 1
    inside = whole[start : whole.rindex(quote)]
    taken: list[str] = []
    length = start
    for escape in ESCAPE.findall(inside):
        length += len(escape)
        if length > room and taken:
            break
        taken.append(escape)
    unit = "characters" if type(value) is str else "bytes"
    cut = "".join(taken)
    dots = "" if cut.endswith(MASK) else MASK
    return f"{whole[:start]}{cut}{dots}{whole[whole.rindex(quote) :]} ({size:,} {unit})"


def _literal(text: str, kind: type) -> str:
    """The text as Python writes it. `text` may contain marks for what is not shown."""
    if kind is str:
        return repr(text)
    # Texts of bytes are Latin-1, which does not have the mark.
    parts = [repr(part.encode("latin-1"))[2:-1] for part in text.split(MASK)]
    quote = '"' if "'" in text and '"' not in text else "'"
    if quote == "'":
        parts = [re.sub(r"(?<!\\)'", r"\\'", part) for part in parts]
    whole = f"b{quote}{MASK.join(parts)}{quote}"
    return f"bytearray({whole})" if kind is bytearray else whole


def without_literals(code: str) -> str:
    """Code without the texts that are given to names of secrets: `password = "…"`."""
    return SECRET_LITERAL.sub(r"\1\2…\2", code)


def hidden(text: str) -> str:
    """The text without the values of secrets that are next to their names."""
    return _masked(text).replace(MASK, "…")


def _masked(text: str) -> str:
    if not SIGN.search(text):
        return text  # most texts are names, which the patterns would read slowly
    return SECRET_VALUE.sub(rf"\1{MASK}", SECRET_FIELD.sub(rf"\1{MASK}", text))


def _container(value: Any, kind: Any, deep: int, room: int) -> str:
    """A container, or one of a class that is derived from `kind`."""
    size = kind.__len__(value)
    if size == 2 and kind is tuple and type(first := tuple.__getitem__(value, 0)) is str:
        field = argument(first, tuple.__getitem__(value, 1), deep, room)  # of a header
        return f"({brief(first, deep, room)}, {field})"
    opened, closed = _BRACKETS[kind]
    if not deep or not size:
        return f"{opened}{MASK if size else ''}{closed}"
    parts: list[str] = []
    items = dict.items(value) if kind is dict else kind.__iter__(value)
    try:
        for count, each in enumerate(items):
            left = room - sum(map(len, parts))
            if count == ITEMS or left < 0:
                parts.append(f"{MASK} {size:,} in all")
                break
            parts.append(_item(each, kind, deep - 1, max(left, LEAST)))
    except RuntimeError:  # changed by another thread
        parts.append(MASK)
    comma = "," if kind is tuple and size == 1 else ""
    return f"{opened}{', '.join(parts)}{comma}{closed}"


def _item(each: Any, kind: type, deep: int, room: int) -> str:
    if kind is not dict:
        return brief(each, deep, room)
    key, value = each
    name = brief(key, deep, room)
    left = max(room - len(name), LEAST)
    return f"{name}: {argument(key if type(key) is str else '', value, deep, left)}"


def _derived(value: Any, kind: type, deep: int, room: int) -> str:
    """A value of a class that is derived from a built-in type, or ""."""
    base = next((each for each in kind.__mro__ if each in _BASES), None)
    if base is None:
        return ""
    if base in CONTAINERS:
        inside = _container(value, base, deep, room)
    elif base is str:
        inside = _text(str.__getitem__(value, slice(LONGEST * 2)), room, str.__len__(value))
    elif base is int:
        inside = _number(int.__add__(value, 0))
    else:
        return ""
    return f"{_name(kind)}({inside})"


def _object(value: Any) -> str:
    kind = _name(type(value))
    inside = _attributes(value)
    for name in NAMES:
        found = inside.get(name)
        if type(found) is str:
            return f"<{kind} {_text(found, LONGEST, len(found))}>"
    return f"<{kind}>"


def _raised(error: BaseException) -> str:
    """An exception as an argument: type and arguments, for example `KeyError('name')`."""
    given = BaseException.__dict__["args"].__get__(error)
    return f"{_name(type(error))}({', '.join(brief(each, 1) for each in given[:ITEMS])})"


def _message(*places: Mapping[str, Any]) -> str:
    """The message among the attributes of an exception or of its classes, or ""."""
    for name in MESSAGES:
        found = next((place[name] for place in places if type(place.get(name)) is str), "")
        if found:
            return found
    return ""


def _slots(error: BaseException) -> dict[str, Any]:
    """The attributes of an exception that are in slots and may be its message."""
    found: dict[str, Any] = {}
    for kind in type(error).__mro__:
        names = type.__dict__["__dict__"].__get__(kind)
        for name in MESSAGES:
            if type(slot := names.get(name)) is MemberDescriptorType:
                with contextlib.suppress(AttributeError):  # it is empty
                    found.setdefault(name, slot.__get__(error))
    return found


def _line(text: str) -> str:
    """The first line of a text, without secrets."""
    first = _masked(text[: LONGEST * 2]).strip().partition("\n")[0].rstrip()
    return first if first == text.strip() or first.endswith(MASK) else f"{first} {MASK}"


def _is_plain(error: BaseException, given: tuple[Any, ...]) -> bool:
    """Whether `str(error)` runs only code of Python, and is short."""
    if issubclass(type(error), BaseExceptionGroup):
        return type(given[0]) is str
    if issubclass(type(error), OSError):
        given = (*given, OSError.filename.__get__(error), OSError.filename2.__get__(error))
    return all(
        len(each) <= SHORT if type(each) in TEXTS else type(each) in (*NUMBERS, type(None))
        for each in given
    )


def _attributes(value: Any) -> dict[str, Any]:
    try:
        inside = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return {}
    return inside if type(inside) is dict else {}


def _name(kind: type) -> str:
    return str(type.__dict__["__name__"].__get__(kind))


def _qualified(function: Any) -> str:
    """The qualified name of a function. A method may have any callable."""
    called = function.__func__ if type(function) is MethodType else function
    if type(called) in (FunctionType, BuiltinFunctionType):
        return str(called.__qualname__)
    return _name(type(called))


_BASES = {str, int, tuple, list, set, frozenset, dict}
_BRACKETS: dict[type, tuple[str, str]] = {
    tuple: ("(", ")"),
    list: ("[", "]"),
    set: ("{", "}"),
    frozenset: ("frozenset({", "})"),
    dict: ("{", "}"),
}
