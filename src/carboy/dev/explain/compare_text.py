"""Two chains side by side as text for a terminal."""

from __future__ import annotations

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
    return "\n".join(lines) + "\n"


def _row(row: Row, column: int, painter: Painter) -> list[str]:
    if row.event is None:
        return [painter.colour(_line(_cell(row.left), _cell(row.right), column), "2")]
    one, other = row.calls
    head = f"{row.event.value}, after {one:,} and {other:,} calls"
    return [
        "",
        painter.colour(head, "1"),
        _line(_cell(row.left), _cell(row.right), column),
        _line(_caller(row.left), _caller(row.right), column),
    ]


def _line(left: str, right: str, column: int) -> str:
    return f"{_cut(left, column).ljust(column)}{GAP}{_cut(right, column)}".rstrip()


def _cut(text: str, column: int) -> str:
    return text if len(text) <= column else f"{text[: column - 1]}…"


def _cell(step: ChainStep | None) -> str:
    if step is None:
        return ""
    place = where(step.function).partition(",")[0]
    return f"{step.number:4}. {step.function.name}  {place}"


def _caller(step: ChainStep | None) -> str:
    if step is None or step.caller is None:
        return ""
    return f"      called by {step.caller.name}, {step.caller_lines}"
