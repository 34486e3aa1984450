"""Which part of a template's line raised an exception.

Jinja says the line, not the column, and the columns of the Python code that it makes of a template
mean nothing in the template. So the part is found by what was called there, or by the name in the
message. If several parts remain, none is marked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import StringIO
from itertools import islice

Span = tuple[int, int]

# An unclosed text ends with the source, so that any template takes linear time.
TEXT = r"'(?:[^'\\]|\\.)*+(?:'|\Z)|\"(?:[^\"\\]|\\.)*+(?:\"|\Z)"
MANY = 50  # places of a name in one line, among which none is chosen
CALL = 1000  # characters of a call that is marked as a whole
UNDEFINED = re.compile(r"'(\w+)' is undefined|has no (?:attribute|element) '?(\w+)")
# Statements that evaluate nothing by themselves.
EMPTY = re.compile(r"(?:end\w*|else|block|macro|raw|autoescape)\b")
TOP_LEVEL = "top-level template code"  # Jinja's name for a template as a whole
# What runs other code of templates, by the name of its frame; other names are those of macros.
INNER = {
    TOP_LEVEL: re.compile(r"^(?:include|extends|import|from)\b"),
    "block": re.compile(r"\b(?:super|self\.\w+)\s*\("),
}
MACRO = re.compile(r"^(?!(?:include|extends|import|from)\b).*\w\s*\(", re.DOTALL)
BY_ERROR = {"ZeroDivisionError": re.compile(r"[/%]")}


@dataclass(frozen=True, slots=True)
class Delimiters:
    """The delimiters of a template's environment."""

    block: tuple[str, str] = ("{%", "%}")
    variable: tuple[str, str] = ("{{", "}}")
    comment: tuple[str, str] = ("{#", "#}")


@dataclass(frozen=True, slots=True)
class Raised:
    """Facts about an exception in a template, by which the part that raised is found."""

    error: str  # class
    message: str
    # Of each function that was called: the names by which the template knows it.
    names: tuple[frozenset[str], ...] = ()
    inner: str = ""  # the function that was called, if it is a template's


def lines_of(source: str) -> list[str]:
    """The lines of a source text, as Python and Jinja count them: str.splitlines finds more."""
    return list(StringIO(source))


def marked(
    source: str, number: int, raised: Raised, delimiters: Delimiters = Delimiters()
) -> Span | None:
    """Start and end of the part of line `number` that raised; None if it is not clear."""
    lines = lines_of(source)
    if not 0 < number <= len(lines):
        return None
    start = sum(map(len, lines[: number - 1]))
    line = start, start + len(lines[number - 1].rstrip("\r\n"))
    blocks = [
        span for span in _blocks(source, delimiters) if span[0] < line[1] and span[1] > line[0]
    ]
    parts = _narrowed(source, [_within(span, line) for span in blocks], raised)
    if len(parts) != 1:
        return None
    first, last = parts[0]
    text = source[first:last]
    first += len(text) - len(text.lstrip())
    last -= len(text) - len(text.rstrip())
    return (first - start, last - start) if first < last else None


def _within(span: Span, line: Span) -> Span:
    return max(span[0], line[0]), min(span[1], line[1])


def _blocks(source: str, delimiters: Delimiters) -> Iterator[Span]:
    """The expressions and statements of a template, without comments and raw text."""
    kinds = {d[0]: d for d in (delimiters.block, delimiters.variable, delimiters.comment)}
    opening = re.compile("|".join(map(re.escape, sorted(kinds, key=len, reverse=True))))
    at = 0
    while begin := opening.search(source, at):
        pair = kinds[begin[0]]
        if pair == delimiters.comment:
            at = source.find(pair[1], begin.end()) + len(pair[1])
            if at < len(pair[1]):
                return
            continue
        start, stop = begin.end(), _end(source, begin.end(), pair[1])
        at = stop + len(pair[1])
        start += source.startswith(("-", "+"), start)
        inside = source[start:stop].strip("-+ \t\r\n")
        if pair == delimiters.block and inside == "raw":
            opens, closes = map(re.escape, delimiters.block)
            end = re.compile(rf"{opens}[-+]?\s*endraw\s*[-+]?{closes}").search(source, at)
            at = end.end() if end else len(source)
            continue
        yield start, stop - source.startswith(("-", "+"), stop - 1)


def _end(source: str, at: int, closing: str) -> int:
    """Where an expression ends: the delimiter that is neither in a text nor in braces."""
    depth = 0
    for token in re.compile(rf"{TEXT}|{re.escape(closing)}|[{{}}]", re.DOTALL).finditer(source, at):
        if token[0] == closing and depth < len(closing):
            return token.start()
        depth += {"{": 1, "}": -1, closing: -len(closing)}.get(token[0], 0)
    return len(source)


def _narrowed(source: str, parts: list[Span], raised: Raised) -> list[Span]:
    """Those of the parts that may have raised; a name in them if that is what raised."""
    if raised.inner.startswith("block "):
        name = raised.inner.removeprefix("block ").strip("'")
        own = [part for part in parts if re.match(rf"\s*block\s+{name}\b", source[slice(*part)])]
        if len(own) == 1:
            return own
    parts = [part for part in parts if not EMPTY.match(source[slice(*part)].strip())]
    if (missing := UNDEFINED.search(raised.message)) and not raised.names:
        name = missing[1] or missing[2]
        found = list(_named(source, parts, name))
        # Only something that is done with an undefined value raises.
        used = [span for span in found if re.match(r"\s*[.(\[|]", source[span[1] :][:20])]
        return _best(found, used, parts)
    for names in raised.names:
        every = (span for name in names for span in _named(source, parts, name))
        if found := list(islice(every, MANY + 1)):
            calls = [(start, _end_of_call(source, stop)) for start, stop in found]
            return _best(calls, [], parts)
    if raised.inner:
        runs = INNER.get(raised.inner, INNER["block"] if raised.inner[:5] == "block" else MACRO)
        return _kept(parts, lambda part: runs.search(source[slice(*part)].strip()))
    if by := BY_ERROR.get(raised.error):
        return _kept(parts, lambda part: by.search(source[slice(*part)].strip()))
    return parts


def _kept(parts: list[Span], wanted: Callable[[Span], object]) -> list[Span]:
    return [part for part in parts if wanted(part)] or parts


def _best(found: Sequence[Span], better: Sequence[Span], parts: list[Span]) -> list[Span]:
    """The only one that was found; several of one part stand for the part."""
    for spans in (better, found):
        if len(spans) == 1:
            return list(spans)
        if len(spans) > MANY:
            continue
        around = {part for part in parts if any(part[0] <= s[0] < part[1] for s in spans)}
        if spans and len(around) <= 1:
            return list(around)
    return list(found) or parts


def _named(source: str, parts: list[Span], name: str) -> Iterator[Span]:
    """Where a name is in the parts, outside of texts."""
    word = re.compile(rf"(?P<text>{TEXT})|(?<!\w){re.escape(name)}(?!\w)", re.DOTALL)
    for part in parts:
        for match in word.finditer(source, *part):
            if match["text"] is None:
                yield match.span()


def _end_of_call(source: str, at: int) -> int:
    """The end of the brackets after a name, if they are on the same line."""
    if not source.startswith("(", at):
        return at
    depth = 0
    for token in re.compile(rf"{TEXT}|[()\n]", re.DOTALL).finditer(source, at, at + CALL):
        if token[0] == "\n":
            break
        depth += {"(": 1, ")": -1}.get(token[0], 0)
        if not depth:
            return token.end()
    return at
