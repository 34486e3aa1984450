"""Two chains side by side as text for a terminal."""

from __future__ import annotations

from itertools import zip_longest

from carboy.dev.explain.chain import ChainStep
from carboy.dev.explain.chain_compare import Row, compare
from carboy.dev.explain.chain_text import summary, where
from carboy.dev.explain.recording import Recording
from carboy.dev.explain.terminal import Painter

LEAST = 40  # columns of a chain
GAP = " │ "


def show(left: Recording, right: Recording, *, coloured: bool = False, width: int = 160) -> str:
    """The whole text. `width` is that of the terminal."""
    painter = Painter(coloured)
    column = max(LEAST, (width - len(GAP)) // 2)
    lines = [summary(left, painter), summary(right, painter)]
    for row in compare(left, right):
        lines += _row(row, column, painter)
    lines += _heads(_head(left), _head(right), column, painter)
    return "\n".join(lines) + "\n"


def _row(row: Row, column: int, painter: Painter) -> list[str]:
    if row.event is None:
        return [painter.colour(_line(_title(row.left), _title(row.right), column), "2")]
    one, other = row.calls
    head = f"{row.event.value}, after {one:,} and {other:,} calls"
    return [
        "",
        painter.colour(head, "1"),
        _line(_cell(row.left), _cell(row.right), column),
        _line(_caller(row.left), _caller(row.right), column),
        *([_line(_moved(row.left), _moved(row.right), column)] if _moved(row.left) else []),
    ]


def _heads(left: list[str], right: list[str], column: int, painter: Painter) -> list[str]:
    """The lines of the heads of the responses that only one of them has."""
    here = [line for line in left if line not in right]
    there = [line for line in right if line not in left]
    rows = [_line(a, b, column) for a, b in zip_longest(here, there, fillvalue="")]
    return ["", painter.colour("The heads of the responses differ", "1"), *rows] if rows else []


def _head(recording: Recording) -> list[str]:
    lines = recording.received.partition("\r\n\r\n")[0].splitlines()
    return [f"      {repr(line)[1:-1]}" for line in lines if not line.lower().startswith("date:")]


def _line(left: str, right: str, column: int) -> str:
    return f"{_cut(left, column).ljust(column)}{GAP}{_cut(right, column)}".rstrip()


def _cut(text: str, column: int) -> str:
    return text if len(text) <= column else f"{text[: column - 1]}…"


def _title(step: ChainStep | None) -> str:
    if step is None:
        return ""
    times = f" ×{step.times}" if step.times > 1 else ""
    return f"{step.number:4}. {step.title}{times}: {step.function.name}"


def _moved(step: ChainStep | None) -> str:
    return f"      {step.moved}" if step is not None and step.moved else ""


def _cell(step: ChainStep | None) -> str:
    if step is None:
        return ""
    place = where(step.function).partition(",")[0]
    return f"{step.number:4}. {step.function.name}  {place}"


def _caller(step: ChainStep | None) -> str:
    if step is None or step.caller is None:
        return ""
    return f"      called by {step.caller.name}, {step.caller_lines}"
