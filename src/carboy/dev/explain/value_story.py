"""The path of a value as sentences and quoted lines, which a terminal and a report show."""

from __future__ import annotations

import linecache
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from carboy.dev.explain.value_events import Event, Where
from carboy.dev.explain.value_path import Step, ValuePath
from carboy.dev.explain.values import without_literals

WIDTH = 16  # bytes in a row
MOST_READS = 3  # calls of recv, each of which has a sentence
MOST_ROWS = 8  # for a long value
MOST_PASSED = 6  # functions that are named in a step
SAID = {
    "argument": ("receives {path} = ", ""),
    "inside": ("receives {path} = ", ""),
    "variable": ("{path} = ", ""),
    "stored": ("stored in {path}: ", ""),
    "returned": ("returns ", ""),
    "container": ("returns an object with ", " in {path}"),
    "read": ("reads ", ""),
}


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the bytes. `marks` has `^` below the characters of the value."""

    offset: int
    codes: str
    characters: str
    marks: str


@dataclass(frozen=True, slots=True)
class Quote:
    """A line of code."""

    where: Where
    source: str


@dataclass(frozen=True, slots=True)
class Deed:
    """The effect of a line; the quote is None if the line was quoted just before."""

    quote: Quote | None
    said: str


@dataclass(slots=True)
class StoryStep:
    """A call; or consecutive calls that only pass the value on, inside of the argument `path`."""

    where: Where
    caller: Where | None
    deeds: list[Deed] = field(default_factory=list)
    passed_by: list[Where] = field(default_factory=list)
    path: str = ""
    call: Quote | None = None  # the line that made the call

    @property
    def more(self) -> int:
        """How many calls are not in `passed_by`."""
        return max(0, len(self.passed_by) - MOST_PASSED)


@dataclass(frozen=True, slots=True)
class Ending:
    """How the application gets the value: `hello reads it with request.headers['X']`."""

    function: str
    verb: str
    expression: str  # "" if there is none
    quote: Quote | None


@dataclass(slots=True)
class Story:
    """Everything that is told about one value."""

    title: str  # the header User-Agent
    received: list[tuple[str, Quote | None]]  # a sentence for each call of recv
    place: str  # where the value is in the bytes
    rows: list[Row]
    more_rows: int
    steps: list[StoryStep]
    endings: list[Ending]
    never: str  # why there are no endings
    cut: str  # why the steps may not be complete


def story_of(found: ValuePath, is_quoted: bool = True) -> Story:
    """The story of a path; without the lines of code if `is_quoted` is false."""
    story = _story_of(found)
    if not is_quoted:
        story.received = [(sentence, None) for sentence, _ in story.received]
        story.endings = [replace(each, quote=None) for each in story.endings]
        for step in story.steps:
            step.call = None
            step.deeds = [Deed(None, deed.said) for deed in step.deeds]
    return story


def _story_of(found: ValuePath) -> Story:
    received, start = [], 0
    for each in found.received[:MOST_READS]:
        sentence = f"{each.call} read {_span(start, len(each.data))}"
        received.append((sentence, _quote(found, each.where)))
        start += len(each.data)
    if rest := found.received[MOST_READS:]:
        size = sum(len(each.data) for each in rest)
        calls = "one more call" if len(rest) == 1 else f"{len(rest):,} more calls"
        received.append((f"In {calls}, {rest[0].call} read {_span(start, size)}", None))
    rows = list(_rows(found.data, found.places))
    return Story(
        found.wanted.title,
        received,
        _place(found.places),
        rows[:MOST_ROWS],
        max(0, len(rows) - MOST_ROWS),
        [_step(found, each) for each in found.steps],
        list(_endings(found)),
        "" if found.reader else _never(found),
        "The search took too long and was ended early." if found.cut else "",
    )


def _place(places: Sequence[tuple[int, int]]) -> str:
    if not places:
        return "The value is not in these bytes in one piece."
    spans = [_span(offset, size) for offset, size in places]
    return f"The value is {', and '.join(spans)}:"


def _span(offset: int, size: int) -> str:
    if size == 1:
        return f"1 byte (number {offset:,}, counted from 0)"
    return f"{size:,} bytes (numbers {offset:,} to {offset + size - 1:,}, counted from 0)"


def _rows(data: bytes, places: Sequence[tuple[int, int]]) -> Iterator[Row]:
    """The rows that have a byte of the value."""
    marked = {number for offset, size in places for number in range(offset, offset + size)}
    for row in sorted({number // WIDTH for number in marked}):
        yield row_of(data, row * WIDTH, marked)


def row_of(data: bytes, offset: int, marked: set[int]) -> Row:
    """The row of bytes that begins at an offset."""
    numbers = range(offset, min(offset + WIDTH, len(data)))
    return Row(
        offset,
        " ".join(f"{data[number]:02x}" for number in numbers),
        "".join(chr(data[n]) if 0x20 <= data[n] < 0x7F else "." for n in numbers),
        "".join("^" if number in marked else " " for number in numbers).rstrip(),
    )


def _step(found: ValuePath, step: Step) -> StoryStep:
    first = step.events[0]
    call = _quote(found, first.caller) if first.caller else None
    told = StoryStep(step.where, first.caller, [], step.passed_by, first.path, call)
    if step.passed_by:
        return told
    quoted = 0
    for each in step.events:
        is_new = each.kind != "argument" and each.where.line != quoted
        told.deeds.append(Deed(_quote(found, each.where) if is_new else None, _said(each)))
        quoted = each.where.line if is_new else quoted
    return told


def _said(event: Event) -> str:
    before, after = SAID[event.kind]
    return before.format(path=event.path) + event.text + after.format(path=event.path)


def _quote(found: ValuePath, where: Where) -> Quote | None:
    source = linecache.getline(where.place.file, where.line).strip()
    return Quote(where, _shown(found, source) if where.is_own else source) if source else None


def _shown(found: ValuePath, code: str) -> str:
    """Code of the application without secrets."""
    return found.erase(without_literals(code))


def _endings(found: ValuePath) -> Iterator[Ending]:
    read, reader = found.read, found.reader
    if read is None or reader is None:
        return
    quote = _quote(found, reader.where)
    if reader.expression:
        yield Ending(
            reader.where.function, "reads it with", _shown(found, reader.expression), quote
        )
    elif read.where == reader.where:
        yield Ending(reader.where.function, "gets it as", read.path, quote)
    else:
        yield Ending(reader.where.function, "reads it", "", quote)
    for each in found.onward:
        if each.caller is not None:
            verb = "gets it with" if each.expression else "gets it"
            expression = _shown(found, each.expression)
            yield Ending(each.caller.function, verb, expression, _quote(found, each.caller))


def _never(found: ValuePath) -> str:
    busy = [step for step in found.steps if not step.passed_by] or found.steps
    last = busy[-1].events[-1].where if busy else None
    far = f" It got as far as {last.function}, {last.text}." if last else ""
    return f"The application never read {found.wanted.title}.{far}"
