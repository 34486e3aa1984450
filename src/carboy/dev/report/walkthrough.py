"""The steps of a recording as blocks: who calls what, with which arguments, and what it returns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from carboy.dev import links
from carboy.dev.explain import places
from carboy.dev.explain.chain import ChainStep, Phase
from carboy.dev.explain.chain_rules import CLOSE
from carboy.dev.explain.places import Place
from carboy.dev.explain.recording import Function, Process, RecordedCall
from carboy.dev.explain.values import without_literals
from carboy.dev.report import quotation
from carboy.dev.report.document import (
    Block,
    Bullets,
    Code,
    Linked,
    Listing,
    Numbered,
    Paragraph,
    Span,
    Strong,
    Text,
)

IN_C = (places.KERNEL, places.C_CODE)
LONGEST = 80  # characters of the first line of the bytes that were moved
MOST_BETWEEN = 8  # calls between two steps that are named


class Walk:
    """The steps of a recording, and how each of them was reached."""

    def __init__(
        self, steps: Sequence[ChainStep], most_lines: int, erase: Callable[[str], str]
    ) -> None:
        """`erase` removes the secrets of the request from code of the application."""
        self.steps = steps
        self._erase = erase
        self._most_lines = most_lines
        self._processes = list(dict.fromkeys(id(step.process) for step in steps))
        self._several = len(self._processes) > 1
        self._by_call = {id(step.call): step for step in steps}
        self._lines = _lines(steps)
        self._calls: dict[int, list[int]] = {}  # lines that call a later step
        for step in steps:
            parent, between = self._above(step)
            below = between[0] if between else step.call
            if parent and below.caller == parent.call.function and below.line:
                lines = self._calls.setdefault(parent.number, [])
                lines += [below.line] if below.line not in lines else []

    def blocks(self, phase: Phase) -> list[Block]:
        """The numbered steps of a phase."""
        steps = [step for step in self.steps if step.phase is phase]
        return [Numbered([self._item(step) for step in steps], steps[0].number)] if steps else []

    def _item(self, step: ChainStep) -> list[Block]:
        more = f" It runs {step.times} times; the first time is shown."
        title: list[Span] = [
            Strong(f"{step.title.replace('`', '')}."),
            more if step.times > 1 else "",
        ]
        facts = Bullets([[Paragraph(text)] for text in self._facts(step)])
        listing = self._listing(step)
        return [Paragraph(title), facts, *([listing] if listing else [])]

    def _facts(self, step: ChainStep) -> Iterator[Text]:
        yield ["function: ", Code(step.function.name), ", ", *_where(step.function.place)]
        if step.caller is None:
            yield ["called by: ", f"the start of a thread{_named(step)}"]
        else:
            yield ["called by: ", *self._calling(step, step.caller)]
        if between := self._between(step):
            yield ["by way of: ", *between]
        if self._several:
            number = self._processes.index(id(step.process)) + 1
            yield f"process: {number} of {len(self._processes)}"
        if step.function.place.room == places.KERNEL:
            yield from _socket(step)
            yield from _bytes(step)
            yield from _out(step)
            return
        if given := ", ".join(f"{name} = {value}" for name, value in step.call.args):
            yield ["in: ", Code(given)]
        yield from _out(step)

    def _calling(self, step: ChainStep, caller: Function) -> list[Span]:
        """The caller and the line that made the call."""
        place, note = _line(caller.place, step.line)
        text = quotation.line_of(caller.place, step.line) if step.function.place.short else ""
        quoted: list[Span] = [": ", Code(self._shown(caller.place, text))] if text else []
        return [Code(caller.name), ", ", place, *quoted, note]

    def _listing(self, step: ChainStep) -> Listing | None:
        """The lines of the function, or for code in C those of the line that calls it."""
        place, calls = step.function.place, self._calls.get(step.number, [])
        ran = [step.call.last, *self._ran(step)]
        if not place.short:
            if step.caller is None:
                return None
            place, calls, ran = replace(step.caller.place, first=0, last=0), [step.line], []
        found = quotation.quoted(place, calls, ran, self._most_lines)
        return replace(found, text=self._shown(place, found.text)) if found else None

    def _shown(self, place: Place, code: str) -> str:
        """Code without secrets, which only code of the application may have."""
        is_own = place.package == places.APPLICATION
        return self._erase(without_literals(code)) if is_own else code

    def _ran(self, step: ChainStep) -> list[int]:
        """The lines of a step that made other calls than those of later steps."""
        found = self._lines.get(id(step.call), [])
        return [line for line in found if line]

    def _between(self, step: ChainStep) -> list[Span]:
        """The calls between the step that this step is part of and the step itself."""
        parent, between = self._above(step)
        if parent is None or not between:
            return []
        found: list[Span] = [f"from step {parent.number}, "]
        notes: dict[str, None] = {}
        for number, call in enumerate(between[:MOST_BETWEEN]):
            found += [", " if number else "", Code(step.process.function_of(call).name)]
            by = step.process.caller_of(call)
            if by is not None and by.place.short:
                place, note = _line(by.place, call.line)
                found += [" called in ", place]
                notes[note] = None
        more = len(between) - MOST_BETWEEN
        return [*found, f" and {more} more" if more > 0 else "", *notes]

    def _above(self, step: ChainStep) -> tuple[ChainStep | None, list[RecordedCall]]:
        """The nearest step above, and the calls between it and this step, the outermost first."""
        between: list[RecordedCall] = []
        call = step.process.above(step.call)
        while call is not None:
            if found := self._by_call.get(id(call)):
                return found, between[::-1]
            between.append(call)
            call = step.process.above(call)
        return None, []


def _lines(steps: Sequence[ChainStep]) -> dict[int, list[int]]:
    """For each step, the lines of its function that made calls, by the identity of its call."""
    found: dict[int, list[int]] = {id(step.call): [] for step in steps}
    for process in {id(step.process): step.process for step in steps}.values():
        for call in process.calls:
            above = process.above(call)
            if above is None or id(above) not in found or call.caller != above.function:
                continue
            lines = found[id(above)]
            if call.line not in lines:
                lines.append(call.line)
    return found


def _where(place: Place) -> list[Span]:
    """The lines of a function with their link, or why it has none."""
    if place.room in IN_C:
        return [f"written in C (no link: {links.link_of(place).note})"]
    text, note = _link(place, links.link_of(place))
    return [text, note]


def _line(place: Place, line: int) -> tuple[Span, str]:
    return _link(replace(place, first=line, last=line), links.link_of(place, line))


def _link(place: Place, found: links.Link) -> tuple[Span, str]:
    """The place with its link, and a note in parentheses."""
    text = Code(place.lines or place.package)
    if not found.url:
        return text, f" (no link: {found.note})"
    return Linked(text, found.url), f" ({found.note})" if found.note else ""


def _socket(step: ChainStep) -> Iterator[Text]:
    """The addresses of the socket of a system call."""
    given = dict(step.call.args)
    own = step.call.result or given.get("own", "")
    # At the close, it depends on the speed of the client whether the other end is still known.
    if "peer" in given and step.function.name != CLOSE:
        yield ["socket: ", Code(own), ", connected to ", Code(given["peer"])]
    elif own:
        yield ["socket: ", Code(own)]


def _bytes(step: ChainStep) -> Iterator[Text]:
    """The bytes that a system call moved."""
    if step.moved and step.first_line:
        yield [f"bytes: {step.moved}, which begin with ", Code(step.first_line[:LONGEST])]
    elif step.moved:
        yield f"bytes: {step.moved}"


def _out(step: ChainStep) -> Iterator[Text]:
    call = step.call
    if call.raised:
        yield ["out: raised ", Code(call.result) if call.result else "an exception"]
    elif call.result and step.function.place.room != places.KERNEL:
        yield ["out: ", Code(call.result)]


def _named(step: ChainStep) -> str:
    process: Process = step.process
    name = process.threads[step.call.thread] if process.threads else ""
    return f" ({name})" if name else ""
