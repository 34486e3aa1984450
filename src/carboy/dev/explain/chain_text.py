"""The chain of a recording as text for a terminal."""

from __future__ import annotations

from itertools import groupby

from carboy.dev.explain import places
from carboy.dev.explain.chain import ChainStep, Phase, chain_of
from carboy.dev.explain.recording import Function, Recording
from carboy.dev.explain.terminal import COLOURS, OTHER, Painter, size
from carboy.dev.links import Link, link_of

MOST_LINES = 60  # of a request or a response
LONGEST = 100  # characters of a line
IN_C = "in C, so its source cannot be shown"


def show(recording: Recording, coloured: bool = False, with_links: bool = False) -> str:
    """The whole text: what was recorded, the steps of each phase, what was left out.

    With `with_links`, each step has the permanent addresses of its code, or why there are none.
    """
    painter = Painter(coloured)
    steps = chain_of(recording)
    lines = [summary(recording, painter)]
    for phase, group in groupby(steps, key=lambda step: step.phase):
        lines += ["", painter.colour(phase.value, "1")]
        for step in group:
            lines += _step(step, recording, painter, with_links)
    lines += _missing(steps)
    lines += _bytes("The bytes of the request", recording.sent, painter)
    lines += _bytes("The bytes of the response", recording.received, painter)
    if left_out := recording.left_out():
        counts = [f"{count:,} {reason}" for reason, count in left_out.items()]
        lines += ["", f"Calls that were not recorded: {', '.join(counts)}."]
    return "\n".join(lines) + "\n"


def summary(recording: Recording, painter: Painter) -> str:
    """One line: the request, the response, the server, and how much was recorded."""
    calls = sum(not call.copied for each in recording.processes for call in each.calls)
    count = len(recording.processes)
    processes = "1 process" if count == 1 else f"{count} processes"
    return (
        f"{painter.colour(recording.request, '1')} → {recording.status}, {size(recording.size)};"
        f" {recording.server} on {recording.address}, {calls:,} calls recorded in {processes}"
    )


def _step(step: ChainStep, recording: Recording, painter: Painter, with_links: bool) -> list[str]:
    times = f" ×{step.times}" if step.times > 1 else ""
    process = ""
    if len(recording.processes) > 1:
        process = painter.colour(f"  [process {step.process.pid}]", "2")
    code = COLOURS.get(step.function.place.room, OTHER)
    name = painter.link(painter.colour(step.function.name, code), step.function.place.file)
    lines = [f"{step.number:4}. {step.title}{times}{process}"]
    place = where(step.function)
    if painter.coloured:
        place = painter.address(place, link_of(step.function.place).url)
    lines.append(f"      {name}{_address(step)}  {place}")
    if with_links:
        lines.append(_said(link_of(step.function.place)))
    if step.caller is not None:
        by = painter.link(f"{step.caller.name}, {step.caller_lines}", step.caller.place.file)
        lines.append(painter.colour(f"      called by {by}", "2"))
        if with_links:
            lines.append(_said(link_of(step.caller.place, step.line)))
    if step.moved:
        line = f": {_cut(repr(step.first_line)[1:-1])}" if step.first_line else ""
        lines.append(f"      {step.moved}{line}")
    if step.was_running:
        lines.append(painter.colour("      still running when the process ended", "31"))
    if step.error:
        lines.append(painter.colour(f"      out: an exception, {_cut(_plain(step.error))}", "31"))
    return lines


def _said(link: Link) -> str:
    """The address, or why there is none."""
    if not link.url:
        return f"      no link: {link.note}"
    return f"      {link.url} ({link.note})" if link.note else f"      {link.url}"


def _plain(text: str) -> str:
    """The text without characters that control a terminal."""
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def where(function: Function) -> str:
    """File and lines of a function, or that it is written in C."""
    is_c = function.place.room in (places.KERNEL, places.C_CODE)
    return IN_C if is_c else function.place.lines


def _address(step: ChainStep) -> str:
    """The addresses of the socket of a system call."""
    given = dict(step.call.args)
    if "peer" in given and "own" in given:
        return f" ({given['own']} and {given['peer']})"
    own = step.call.result if step.function.name == "socket.bind" else given.get("own", "")
    return f" ({own})" if own and not step.function.place.first else ""


def _bytes(title: str, text: str, painter: Painter) -> list[str]:
    """The lines of a request or response, each with the place of its first byte."""
    if not text:
        return []
    lines = ["", painter.colour(title, "1")]
    place = 0
    for line in text.splitlines(keepends=True)[:MOST_LINES]:
        shown = repr(line)[1:-1]
        lines.append(f"{place:8}  {shown[:LONGEST]}{'…' if len(shown) > LONGEST else ''}")
        place += len(line)
    if place < len(text):
        lines.append(f"{place:8}  … {len(text) - place:,} more")
    return lines


def _missing(steps: list[ChainStep]) -> list[str]:
    if any(step.phase is Phase.REQUEST for step in steps):
        return []
    return ["", "The connection was not accepted by a socket that the recorder can see."]
