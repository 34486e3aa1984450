"""An SQL statement and its values as text, without secrets."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Iterator
from itertools import cycle
from typing import Any

from carboy.dev.masking import MASK, SECRET, masked

_short = reprlib.Repr()
_short.maxstring = _short.maxother = 80
_short.maxlevel = 3
TEXT_VALUE = re.compile(r"'(?:[^']|'')*'")
PLACE = re.compile(r"\?|%s")
# The column before a place for a value; or a keyword before a number.
COLUMN = re.compile(
    r"""["`\[]?(\w+)["`\]]?\s*(?:=|<>|!=|[<>]=?|\bI?LIKE\b|\bIN\s*\(|\bBETWEEN\b)\s*$""", re.I
)
AFTER = re.compile(r"""\s*(?:=|<>|!=|[<>]=?)\s*(?:["`\[]?\w+["`\]]?\.)*["`\[]?([a-z_]\w*)""", re.I)
NUMBER = re.compile(r"\b(LIMIT|OFFSET)\s*$", re.I)
NEXT = re.compile(r"^\s*,\s*$")
INSERT = re.compile(r"INSERT\b[^(]*\(([^()]*)\)\s*VALUES\s*\([\s?%s,]*\)", re.I)
NEAR = 80  # characters before a place in which its column is looked for


def described(cursor: Any, given: tuple[Any, ...], options: dict[str, Any]) -> tuple[str, str]:
    """The statement on one line, and its values, by the arguments of `execute`."""
    every = (*given, *options.values())
    statement, values = (*every, None, None)[:2]
    if isinstance(statement, bytes):
        statement = statement.decode("utf-8", "replace")
    elif (as_string := getattr(statement, "as_string", None)) is not None:  # psycopg.sql
        statement = as_string(cursor)
    text = " ".join(str(statement).split())
    if SECRET.search(text):
        text = TEXT_VALUE.sub(f"'{MASK}'", text)
    if not values or not isinstance(values, dict | tuple | list):
        return text, ""  # showing an iterator would use it up
    try:
        return text, _short.repr(_without_secrets(text, values))
    except Exception as problem:
        return text, f"<its repr raises {type(problem).__name__}>"


def _without_secrets(text: str, values: Any) -> Any:
    """Values of columns whose names sound like a secret are masked; if in doubt, all."""
    if isinstance(values, dict) or not SECRET.search(text):
        return masked("", values)
    if isinstance(values[0], dict | tuple | list):  # executemany
        return [_without_secrets(text, row) for row in values[: _short.maxlist + 1]]
    names = list(_columns(text))
    if insert := INSERT.match(text):
        columns = cycle(part.strip(' "`[]') for part in insert[1].split(","))
        names = [next(columns) for _ in values]
    if None in names or len(names) != len(values):
        return MASK
    return type(values)(masked(str(name), v) for name, v in zip(names, values, strict=True))


def _columns(text: str) -> Iterator[str | None]:
    """The column of each place for a value, None if it is not known."""
    last: str | None = None
    end = 0
    for place in PLACE.finditer(text):
        before = text[max(end, place.start() - NEAR) : place.start()]
        found = COLUMN.search(before) or NUMBER.search(before) or AFTER.match(text, place.end())
        if found:
            last = found[1]
        elif not NEXT.fullmatch(before):
            last = None
        yield last
        end = place.end()
