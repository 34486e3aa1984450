"""The content of the report of one request: its sections, in their order."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from carboy.dev.explain import places
from carboy.dev.explain.chain import Phase, chain_of
from carboy.dev.explain.recording import Recording
from carboy.dev.explain.value_path import ValuePath
from carboy.dev.explain.values import hidden
from carboy.dev.links import checkout
from carboy.dev.report import parsing, stable, technologies, wire
from carboy.dev.report.document import (
    Block,
    Bullets,
    Code,
    Diagram,
    Document,
    Heading,
    Linked,
    Listing,
    Paragraph,
    Span,
    Table,
    Text,
)
from carboy.dev.report.sequence import sequence_of
from carboy.dev.report.walkthrough import Walk

LINES = 10  # of a quotation at most
PHASES = {
    Phase.START: "Start-up: before the socket is created, and until it listens",
    Phase.REQUEST: "How it does what it does, from after the socket is created",
    Phase.STOP: "The stop",
}
INTRODUCTIONS = {
    Phase.START: "The steps from the first line of the start function until the server listens.",
    Phase.REQUEST: "The steps from the connection of the client until it is closed.",
    Phase.STOP: "The steps after the server was asked to stop.",
}
HOW_TO_READ: tuple[str, ...] = (
    "A step is a call. Its title says what the call does.",
    "“function” is what is called, with its file and lines. “called by” is the function that made"
    " the call, with the line that made it.",
    "“by way of” names the calls between an earlier step and this one.",
    "“in” are the arguments, and “out” is the result. Long values are cut, and contents of cookies,"
    " passwords and other secrets are replaced by an ellipsis.",
    f"{stable.NAMES} are numbers that differ in every run. So is the date in the bytes of the"
    " response.",
    "Of a longer function, the signature and the lines that made calls are quoted. An arrow marks a"
    " line from which a later step is reached, and three dots are lines that are left out.",
)


@dataclass(frozen=True, slots=True)
class Told:
    """How the report was made, which the recording does not have."""

    command: str
    most_lines: int = LINES
    erase: Callable[[str], str] = str  # removes the secrets of the request from a text


def make(recording: Recording, told: Told, followed: ValuePath | None = None) -> Document:
    """The whole report. `followed` is a value of the request, if one could be followed."""
    steps = chain_of(recording)
    walk = Walk(steps, told.most_lines, told.erase)
    title: Text = ["How ", Code(hidden(recording.request)), f" is answered by {recording.server}"]
    return Document(
        title,
        [
            *_beginning(recording, told),
            Heading(2, "General information and licensing"),
            *technologies.blocks(recording, steps),
            *_phases(recording, walk),
            *_rule(recording.rule),
            *(parsing.blocks(followed, told.most_lines > 0) if followed else []),
            *wire.blocks(recording),
        ],
    )


def _beginning(recording: Recording, told: Told) -> list[Block]:
    rows: list[Sequence[Text]] = [
        ["command", Code(told.command)],
        ["application", [Code(recording.app), *_checkout(recording)]],
        ["server", recording.server],
        ["request", Code(hidden(recording.request))],
        ["response", f"{recording.status}, {_bytes(recording.size)} in the body"],
        ["versions", _versions()],
    ]
    made = (
        "Carboy made this report from one real request. It started the server with its own start"
        " function, recorded every call, sent the request over a TCP connection, and stopped the"
        " server."
    )
    return [
        Paragraph(made),
        Table(["", "this report"], rows),
        Paragraph("How to read the steps:"),
        Bullets([[Paragraph(text)] for text in HOW_TO_READ]),
    ]


def _bytes(size: int) -> str:
    return "1 byte" if size == 1 else f"{size:,} bytes"


def _checkout(recording: Recording) -> list[Span]:
    """The commit of the application, if it is in a git checkout."""
    files = (
        Path(function.place.file)
        for process in recording.processes
        for function in process.functions
        if function.place.room == places.APPLICATION
    )
    found = next((each for each in map(checkout.of_file, files) if not isinstance(each, str)), None)
    if found is None:
        return []
    home: Span = Linked(found.home, found.home) if found.home else found.problem
    return [", commit ", Code(found.commit), ", ", home]


def _versions() -> str:
    carboy, python = map(places.version_of, ("carboy", places.PYTHON))
    return f"Carboy {carboy}, Python {python}, {platform.system()} on {platform.machine()}"


def _phases(recording: Recording, walk: Walk) -> list[Block]:
    found: list[Block] = []
    for phase, title in PHASES.items():
        if not (blocks := walk.blocks(phase)):
            continue
        found += [Heading(2, title), Paragraph(INTRODUCTIONS[phase])]
        if phase is not Phase.STOP:
            found.append(Diagram(sequence_of(recording, walk.steps, phase)))
        found += blocks
    return found


def _rule(lines: Sequence[str]) -> list[Block]:
    if not lines:
        return []
    text = (
        "The lines say which rule matches the request, or why none does, and why other rules that"
        " would match the path did not win."
    )
    listing = Listing(hidden("\n".join(lines)), "text")
    return [Heading(2, "How the rule was found"), Paragraph(text), listing]
