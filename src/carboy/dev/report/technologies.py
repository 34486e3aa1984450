"""The technologies that ran: for each a table with its repository, version, licence and terms."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib import metadata

from carboy.dev import links
from carboy.dev.explain import places
from carboy.dev.explain.chain import ChainStep
from carboy.dev.explain.places import PYTHON, Place, version_of
from carboy.dev.explain.recording import Function, Recording
from carboy.dev.licences import in_words, is_known, licence_of, parts_of, terms_of
from carboy.dev.links import Link
from carboy.dev.report import quotation
from carboy.dev.report.document import Block, Code, Heading, Linked, Paragraph, Span, Table, Text

NO_PACKAGE = {places.KERNEL, places.C_CODE, places.APPLICATION}
PYTHON_IN_SHORT = "The Python interpreter and its standard library"
MODULE_IN_SHORT = "A module of Python's standard library"
MOST_FILES = 12  # of a package, that are named
# Packages of the standard library whose modules are libraries of their own.
DIVIDED = {"concurrent", "http", "urllib", "xml"}
SUMMARY = (
    "What a licence allows, requires and restricts is a short summary in our own words. Only the"
    " text of each licence is binding."
)
SPDX = "https://spdx.org/licenses/{}.html"


@dataclass(slots=True)
class Technology:
    """A package that ran, or a module of the standard library (`module`)."""

    package: str
    module: str = ""
    places: dict[str, Place] = field(default_factory=dict)  # of the modules that ran
    steps: list[int] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The name in the heading."""
        if self.module:
            return self.module
        try:
            return str(metadata.metadata(self.package)["Name"])
        except metadata.PackageNotFoundError:
            return self.package.title() if self.package == PYTHON else self.package


def blocks(recording: Recording, steps: Sequence[ChainStep]) -> list[Block]:
    """The heading and the table of each technology, in the order in which they take part."""
    found: list[Block] = [Paragraph(SUMMARY)]
    for each in technologies(recording, steps):
        found += [
            Heading(3, f"{each.name} {'' if each.module else version_of(each.package)}".strip())
        ]
        found.append(Table(["", each.name], list(_rows(each))))
    return found


def technologies(recording: Recording, steps: Sequence[ChainStep]) -> list[Technology]:
    """The packages that ran; of Python also each module that is part of a step."""
    found: dict[str, Technology] = {}
    for step in steps:
        for function in _functions(step):
            key = _module(function) if function.place.package == PYTHON else function.place.package
            if key in NO_PACKAGE:
                continue
            module = key if function.place.package == PYTHON else ""
            each = found.setdefault(key, Technology(function.place.package, module))
            each.places.setdefault(function.place.short, function.place)
            if step.number not in each.steps:
                each.steps.append(step.number)
    _add_others(recording, found)
    order = [each for each in found.values() if each.package != PYTHON]
    return order + [each for each in found.values() if each.package == PYTHON]


def _functions(step: ChainStep) -> Iterator[Function]:
    yield step.function
    if step.caller is not None:
        yield step.caller


def _add_others(recording: Recording, found: dict[str, Technology]) -> None:
    """Add the packages and the modules of Python that are part of no step."""
    python = Technology(PYTHON)
    for process in recording.processes:
        for function in process.functions:
            package = function.place.package
            if package in NO_PACKAGE or not (function.place.short or package != PYTHON):
                continue
            known = found.get(_module(function)) if package == PYTHON else None
            each = known or (
                python if package == PYTHON else found.setdefault(package, Technology(package))
            )
            if function.place.short:
                each.places.setdefault(function.place.short, function.place)
    found[PYTHON] = python


def _module(function: Function) -> str:
    """The module of the standard library that a function is part of, or its package."""
    parts = function.module.removeprefix("_frozen_").split(".")
    return ".".join(parts[: 2 if parts[0] in DIVIDED else 1])


def _rows(each: Technology) -> Iterator[list[Text]]:
    package, version = each.package, version_of(each.package)
    commit = links.commit_of(package)
    licence = licence_of(package)
    yield ["repository", _linked(links.repository_of(package))]
    if each.module:
        yield ["version", f"that of Python {version}"]
    else:
        note: list[Span] = [", commit ", Code(commit)] if commit else []
        yield ["version", [version or "unknown", *note]]
    yield ["description", _summary(each)]
    if each.steps:
        yield ["part of the steps", _ranges(each.steps)]
    yield ["files that ran", _files(each)]
    by_text = " (recognised by its text)" if licence.by_text else ""
    choice = in_words(licence.expression)
    yield [
        "licence (SPDX)",
        [*_expression(licence.expression), by_text, f": {choice}" if choice else ""],
    ]
    if version:
        files = [_linked(found) for found in links.licences_of(package)]
        yield ["licence text", _joined(files, "; ")]
    parts = parts_of(licence.expression)
    for name in ("allows", "requires", "restricts"):
        texts = {part: str(getattr(terms_of(part), name)) for part in parts}
        different = len(set(texts.values())) > 1
        rows = (
            [f"{part}: {text}" for part, text in texts.items()]
            if different
            else [*texts.values()][:1]
        )
        yield [name, "; ".join(rows)]


def _expression(expression: str) -> list[Span]:
    """The SPDX expression, in which each licence that SPDX knows is a link to its page."""
    words = expression.replace("(", "( ").replace(")", " )").split()
    spans: list[Span] = []
    for word in words:
        spans += [Linked(word, SPDX.format(word)) if is_known(word) else word, " "]
    return spans[:-1]


def _summary(each: Technology) -> str:
    if each.module:
        return _docstring(each) or MODULE_IN_SHORT
    if each.package == PYTHON:
        return PYTHON_IN_SHORT
    try:
        about = metadata.metadata(each.package)
    except metadata.PackageNotFoundError:
        return "unknown"
    return str(about["Summary"]) if "Summary" in about else "unknown"


def _docstring(each: Technology) -> str:
    """The first paragraph of the docstring of a module of the standard library."""
    inside = each.module.replace(".", "/")
    for name in (f"{inside}.py", f"{inside}/__init__.py"):
        if source := quotation.source_of(places.in_library(name)):
            text = ast.get_docstring(ast.parse("\n".join(source.lines))) or ""
            return " ".join(text.partition("\n\n")[0].split())
    return ""


def _files(each: Technology) -> list[Span]:
    """The files of the modules that ran, with their links."""
    named = sorted((name, place) for name, place in each.places.items() if place.first)
    spans: list[Span] = []
    for name, place in named[:MOST_FILES]:
        found = links.link_of(replace(place, first=0, last=0))
        spans += [", " if spans else "", Linked(Code(name), found.url) if found.url else Code(name)]
    more = len(named) - MOST_FILES
    return [*spans, f" and {more} more"] if more > 0 else spans or ["only code in C"]


def _linked(found: Link) -> list[Span]:
    if not found.url:
        return [f"unknown: {found.note}" if found.note else "unknown"]
    return [Linked(found.url, found.url), f" ({found.note})" if found.note else ""]


def _joined(texts: Iterable[Sequence[Span]], between: str) -> list[Span]:
    spans: list[Span] = []
    for text in texts:
        spans += [between, *text] if spans else text
    return spans


def _ranges(numbers: Sequence[int]) -> str:
    """Numbers in ascending order as text: `1, 4–6`."""
    found: list[list[int]] = []
    for number in numbers:
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return ", ".join(str(first) if first == last else f"{first}–{last}" for first, last in found)
