"""Syntax highlighting of Python: which parts of a line are strings, comments or keywords."""

from __future__ import annotations

import keyword
import re
from functools import lru_cache

from markupsafe import Markup, escape

# Start, end and kind of a part of a line.
Part = tuple[int, int, str]

SUFFIXES = (".py", ".pyw", ">")  # code without a file has a name like <string>

# Possessive quantifiers, so that any text takes linear time. An unclosed string ends with its line,
# or with the source if it has three quotes.
TOKEN = re.compile(
    r"""
      (?P<comment>\#[^\n]*+)
    | (?P<string>(?:\b[bBfFrRuUtT]{1,2})?(?:
          '''(?:[^'\\]|\\.|'(?!''))*+(?:'''|\Z)
        | \"\"\"(?:[^"\\]|\\.|"(?!""))*+(?:\"\"\"|\Z)
        | '(?:[^'\\\n]|\\.)*+'?
        | "(?:[^"\\\n]|\\.)*+"?
      ))
    | (?P<number>\b[0-9][\w.]*+)
    | (?P<name>[^\W\d]\w*+)
    """,
    re.VERBOSE | re.DOTALL,
)


def is_python(filename: str) -> bool:
    """Whether a file is highlighted as Python. Templates are not."""
    return filename.endswith(SUFFIXES)


@lru_cache(maxsize=32)
def parts_of(source: str) -> dict[int, list[Part]]:
    """The highlighted parts of each line; the first line is 0."""
    found: dict[int, list[Part]] = {}
    line, begin, seen = 0, 0, 0  # line, its start, end of what was counted
    for match in TOKEN.finditer(source):
        kind = _kind(match)
        if not kind:
            continue
        start = match.start()
        line += source.count("\n", seen, start)
        begin = source.rfind("\n", 0, start) + 1
        seen = start
        for number, text in enumerate(match[0].split("\n")):
            first = start - begin if not number else 0
            found.setdefault(line + number, []).append((first, first + len(text), kind))
    return found


def _kind(match: re.Match[str]) -> str:
    kind = match.lastgroup or ""
    if kind == "name":
        return "keyword" if keyword.iskeyword(match[0]) else ""
    return kind


def coloured(line: str, parts: list[Part], start: int = 0, stop: int | None = None) -> Markup:
    """HTML of `line[start:stop]`."""
    stop = len(line) if stop is None else stop
    made = Markup("")
    at = start
    for first, last, kind in parts:
        first, last = max(first, at), min(last, stop)
        if first < last:
            made += escape(line[at:first]) + Markup('<span class="{}">{}</span>').format(
                kind, line[first:last]
            )
            at = last
    return made + escape(line[at:stop])
