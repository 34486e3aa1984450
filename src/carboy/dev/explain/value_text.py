"""The path of a value as text for a terminal: bytes, numbered steps, and the view."""

from __future__ import annotations

import linecache

from carboy.dev.explain.terminal import COLOURS, OTHER, Painter
from carboy.dev.explain.value_path import Event, Step, ValuePath, Where

ROW = 16  # bytes in a row
MOST_ROWS = 8  # for a long value
MOST_PASSED = 6  # functions that are named in a step
VERBS = {
    "argument": "receives {path} = {text}",
    "inside": "receives {path} = {text}",
    "variable": "{path} = {text}",
    "stored": "stored in {path}: {text}",
    "returned": "returns {text}",
    "container": "returns an object with {text} in {path}",
    "read": "reads {text}",
}


def show(found: ValuePath, request: str, coloured: bool = False) -> str:
    """The whole text."""
    painter = Painter(coloured)
    lines = [painter.colour(f"Following {found.wanted.title} of {request}", "1"), ""]
    lines += _bytes(found, painter)
    for number, step in enumerate(found.steps, 1):
        lines += _step(number, step, painter)
    lines += ["", *_end(found, painter)]
    return "\n".join(lines) + "\n"


def _bytes(found: ValuePath, painter: Painter) -> list[str]:
    lines = []
    start = 0
    for each in found.received:
        end = start + len(each.data)
        lines.append(f"{each.call} read {_span(start, len(each.data))}")
        lines += _quoted(each.where, painter)
        start = end
    if not found.places:
        return [*lines, "", "The value is not in these bytes in one piece.", ""]
    spans = ", and ".join(_span(offset, size) for offset, size in found.places)
    lines += ["", f"The value is {spans}:", ""]
    return [*lines, *_rows(found.data, found.places, painter), ""]


def _span(offset: int, size: int) -> str:
    if size == 1:
        return f"1 byte (number {offset:,}, counted from 0)"
    return f"{size:,} bytes (numbers {offset:,} to {offset + size - 1:,}, counted from 0)"


def _rows(data: bytes, places: list[tuple[int, int]], painter: Painter) -> list[str]:
    lines: list[str] = []
    marked = {number for offset, size in places for number in range(offset, offset + size)}
    rows = sorted({number // ROW for number in marked})
    for row in rows[:MOST_ROWS]:
        numbers = range(row * ROW, min((row + 1) * ROW, len(data)))
        shown = "".join(chr(data[n]) if 0x20 <= data[n] < 0x7F else "." for n in numbers)
        marks = "".join("^" if number in marked else " " for number in numbers)
        codes = " ".join(f"{data[number]:02x}" for number in numbers)
        lines.append(f"  {row * ROW:08x}  {codes:<{ROW * 3}} {shown}")
        lines.append(painter.colour(f"  {'':8}  {'':<{ROW * 3}} {marks}".rstrip(), "2"))
    if len(rows) > MOST_ROWS:
        lines.append(f"  … {len(rows) - MOST_ROWS:,} more rows")
    return lines


def _step(number: int, step: Step, painter: Painter) -> list[str]:
    where = step.where
    if step.passed_by:
        names = [f"{each.function} ({each.text})" for each in step.passed_by[:MOST_PASSED]]
        more = len(step.passed_by) - MOST_PASSED
        names += [f"{more} more"] if more > 0 else []
        path = step.events[0].path
        return [
            f"{number:4}. passed on inside an argument, first in {path}, by",
            *(f"        {name}" for name in names),
        ]
    code = COLOURS.get(where.place.room, OTHER)
    name = painter.link(painter.colour(where.function, code), where.place.file)
    lines = [f"{number:4}. {name}  {where.place.lines}"]
    caller = step.events[0].caller
    if caller is not None:
        lines.append(painter.colour(f"        called by {caller.function}, {caller.text}", "2"))
    quoted = 0
    for each in step.events:
        if each.kind != "argument" and each.where.line != quoted:
            lines += _quoted(each.where, painter)
            quoted = each.where.line
        lines.append(f"          {_said(each)}")
    return lines


def _quoted(where: Where, painter: Painter) -> list[str]:
    source = linecache.getline(where.place.file, where.line).strip()
    if not source:
        return []
    return [f"      {painter.colour(f'{where.text}:', '2')} {painter.colour(source, '1')}"]


def _said(event: Event) -> str:
    return VERBS[event.kind].format(path=event.path, text=event.text)


def _end(found: ValuePath, painter: Painter) -> list[str]:
    cut = ["The search took too long and was ended early."] if found.cut else []
    read = found.read
    if read is None:
        busy = [step for step in found.steps if not step.passed_by] or found.steps
        last = busy[-1].events[-1].where if busy else None
        far = f" It got as far as {last.function}, {last.text}." if last else ""
        return [*cut, f"The application never read {found.wanted.title}.{far}"]
    reader = read.caller if read.kind == "returned" and read.caller else read.where
    if read.kind in ("argument", "variable"):
        by = f"gets it as {painter.colour(read.path, '1')}"
    else:
        by = f"reads it with {painter.colour(read.expression, '1')}"
    lines = [*cut, f"{reader.function} {by}"]
    return [*lines, *_quoted(reader, painter)]
