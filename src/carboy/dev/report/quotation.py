"""The lines of source code that a report quotes: the signature and the lines that matter."""

from __future__ import annotations

import ast
import tokenize
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from carboy.dev import links
from carboy.dev.explain.places import Place, in_library
from carboy.dev.highlight import is_python
from carboy.dev.report.document import Listing

MOST_OF_A_STATEMENT = 4  # lines, so that the lines of other calls have room

Span = tuple[int, int]  # the first and the last line, counted from 1


@dataclass(frozen=True, slots=True)
class Source:
    """The lines of a file, and where the statements and the signatures in it are."""

    lines: Sequence[str]
    statements: dict[int, Span]  # of each line: the shortest statement, without blocks inside
    signatures: dict[int, Span]  # of the line where a function starts, which may be a decorator

    def has(self, line: int) -> bool:
        """Whether the file has this line."""
        return 0 < line <= len(self.lines)


def line_of(place: Place, line: int) -> str:
    """One line without its indentation; "" if it cannot be read."""
    source = source_of(_file_of(place))
    return source.lines[line - 1].strip() if source and source.has(line) else ""


def quoted(place: Place, calls: Sequence[int], ran: Sequence[int], most: int) -> Listing | None:
    """At most `most` lines of a function; None if its source cannot be read.

    The lines of `calls` are marked. They and the lines that `ran` are in the order of importance.
    """
    source = source_of(_file_of(place))
    if source is None or most < 1:
        return None
    first, end = place.first or 1, min(place.last or 1, len(source.lines))
    if not place.first or end - first >= most:
        numbers = _chosen(source, place, calls, ran, most)
    else:
        numbers = list(range(first, end + 1))
    if not numbers:
        return None
    text = "\n".join(source.lines[number - 1] for number in numbers)
    language = "python" if is_python(place.file or ".py") else ""
    return Listing(text, language, marked=frozenset(calls), numbers=numbers)


def _chosen(
    source: Source, place: Place, calls: Sequence[int], ran: Sequence[int], most: int
) -> list[int]:
    """The lines that matter most, as many as there is room for."""
    chosen: set[int] = set()
    for group in _by_importance(source, place, calls, ran):
        lines = [line for line in group if source.has(line)]
        if len(chosen.union(lines)) <= most:
            chosen.update(lines)
    return sorted(chosen)


def _by_importance(
    source: Source, place: Place, calls: Sequence[int], ran: Sequence[int]
) -> Iterator[Iterable[int]]:
    """Groups of lines, the most important first. A group is quoted as a whole or not at all."""
    signature = source.signatures.get(place.first)
    if signature:
        yield [signature[0]]
    yield from ([line] for line in (*calls, *ran))
    for line in (*calls, *ran):
        first, end = source.statements.get(line, (line, line))
        yield range(
            max(first, line - MOST_OF_A_STATEMENT), min(end, line + MOST_OF_A_STATEMENT) + 1
        )
    if signature:
        yield range(signature[0], signature[1] + 1)
    if not calls and len(ran) < 2:
        # Nothing is known about the inside, so the lines in front of the last one are quoted.
        least = signature[1] if signature else place.first
        for line in range(max(ran, default=0) - 1, least, -1):
            if source.has(line) and source.lines[line - 1].strip() and line in source.statements:
                yield [line]


def _file_of(place: Place) -> str:
    """The path of the source; that of a frozen module is in the standard library."""
    if frozen := links.FROZEN.fullmatch(place.short):
        return in_library(links.file_of_frozen(frozen[1]))
    return place.file


@cache
def source_of(file: str) -> Source | None:
    """The source of a file, or None if it cannot be read."""
    if not file or not Path(file).is_file():
        return None
    try:
        with tokenize.open(file) as opened:
            text = opened.read()
    except (OSError, SyntaxError, UnicodeDecodeError):
        return None
    statements: dict[int, Span] = {}
    signatures: dict[int, Span] = {}
    for node in ast.walk(_tree(text)):
        if isinstance(node, ast.stmt):
            first, last = _own_lines(node)
            for line in range(first, last + 1):
                known = statements.get(line)
                if known is None or last - first <= known[1] - known[0]:
                    statements[line] = (first, last)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            start = min((each.lineno for each in node.decorator_list), default=node.lineno)
            signatures[start] = _own_lines(node)
    return Source(text.split("\n"), statements, signatures)


def _tree(text: str) -> ast.AST:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):  # a template, for example
        return ast.Module([], [])


def _own_lines(node: ast.stmt) -> Span:
    """The lines of a statement. Of one with a block, only those before the block."""
    body = getattr(node, "body", None)
    if not isinstance(body, list) or not body:
        return node.lineno, node.end_lineno or node.lineno
    inner = body[0]
    start = min(
        (each.lineno for each in getattr(inner, "decorator_list", ())), default=inner.lineno
    )
    return node.lineno, max(node.lineno, start - 1)
