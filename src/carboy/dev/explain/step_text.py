"""The steps of a connection as text for a terminal."""

from __future__ import annotations

import linecache

from carboy.dev.explain import places
from carboy.dev.explain.byte_steps import FIELD, REFUSED, REQUEST, Stepped
from carboy.dev.explain.step_page import Cover, note_of, summary_of

ROW = 16  # bytes of a line
MOST_ROWS = 16
CONTROLS = {"\r": "\\r", "\n": "\\n", "\t": "\\t"}
BOLD, DIM, RED, RESET = "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[0m"


class StepText:
    """Makes the text of each step; secrets are covered."""

    def __init__(self, title: str, found: Stepped, coloured: bool) -> None:
        self.title = title
        self.found = found
        self.coloured = coloured
        self._cover = Cover(found)

    def heading(self) -> str:
        """The lines before the first step."""
        note = note_of(self.found)
        text = f"{self._in(BOLD, self.title)}\n{summary_of(self.found)}\n"
        return text + (f"{self._in(DIM, note)}\n" if note else "")

    def step(self, number: int) -> str:
        """The text of one step; the first one is 0."""
        step = self.found.steps[number]
        arrow = "→" if step.direction == REQUEST else "←"
        colour = RED if step.kind == REFUSED else BOLD
        title = f"{number + 1:3}/{len(self.found.steps)} {arrow} {step.title}"
        lines = [self._in(colour, title)]
        lines += _rows(self._cover.text(step), step.first)
        for part in step.parts:
            lines.append(f"    {part.name} = {self._cover.part(step, part)}")
        lines.append(f"    request {_change(step.before[0], step.after[0])}"
                     f", response {_change(step.before[1], step.after[1])}")  # fmt: skip
        for code, line in step.stack[:1]:
            place = places.of_code(code)
            source = linecache.getline(place.file, line).strip()
            lines.append(self._in(DIM, f"    {place.short}:{line} {code.co_qualname}: {source}"))
        return "\n".join(lines) + "\n"

    def next_header(self, number: int) -> int:
        """The number of the next step that is a header, or the same number."""
        later = range(number + 1, len(self.found.steps))
        return next((each for each in later if self.found.steps[each].kind == FIELD), number)

    def _in(self, code: str, text: str) -> str:
        return f"{code}{text}{RESET}" if self.coloured else text


def _change(before: str, after: str) -> str:
    return after if before == after else f"{before} → {after}"


def _rows(text: str, first: int) -> list[str]:
    lines = []
    for at in range(0, min(len(text), ROW * MOST_ROWS), ROW):
        row = text[at : at + ROW]
        codes = " ".join(f"{ord(char):02x}" for char in row)
        lines.append(f"    {first + at:04x}  {codes:{3 * ROW}} {''.join(map(_visible, row))}")
    if len(text) > ROW * MOST_ROWS:
        lines.append(f"    … and {len(text) - ROW * MOST_ROWS:,} more bytes")
    return lines


def _visible(char: str) -> str:
    return CONTROLS.get(char) or (char if " " <= char <= "~" else "·")
