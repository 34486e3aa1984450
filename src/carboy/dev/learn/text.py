"""The course as text for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from carboy.dev.learn.assessment import Finding, Progress
from carboy.dev.learn.course import EXERCISES
from carboy.dev.learn.exchanges import Exchange
from carboy.dev.learn.exercise import Code, Exercise
from carboy.dev.learn.sources import Line
from carboy.dev.learn.sources import lines_of as lines_of_code
from carboy.dev.learn.typed import excerpt

BOLD, DIM, GREEN, YELLOW, RED, RESET = (
    "\x1b[1m", "\x1b[2m", "\x1b[32m", "\x1b[33m", "\x1b[31m", "\x1b[0m",
)  # fmt: skip
DONE, BEGUN, OPEN = "✓", "…", " "
MOST_LINES = 12  # of a message
MOST_EXCHANGES = 5  # that are shown at a time
COMMANDS = (
    ("h", "shows a request that reaches the next goal"),
    ("twice", "sends your last request on two connections at once"),
    ("b", "opens the page of the course in the browser"),
    (".", "hangs up"),
    ("o", "opens the steps of your last connection in the browser"),
    ("t", "shows the steps here"),
    ("r", "shows the exercise again"),
    ("l", "lists the exercises; a number begins one"),
    ("n", "goes to the next exercise"),
    ("q", "ends the course"),
)


def outcome(each: Exchange) -> str:
    """How the server has answered."""
    if each.refused:
        return f"refused: {each.refused}"
    response = each.response
    if not response.status:
        return "The connection was closed without a response."
    size = f"{len(response.body)} bytes of body"
    end = "" if response.complete else ", not complete"
    return f"response: {response.status} {response.reason}, {size}{end}"


class Text:
    """Makes the texts, with colours or without."""

    def __init__(self, coloured: bool, width: int, port: int) -> None:
        self.coloured = coloured
        self._width = max(40, min(width, 100))
        self.address = f"127.0.0.1:{port}"

    def listing(self, progress: Progress) -> str:
        """The exercises with their state."""
        lines = []
        for number, exercise in enumerate(EXERCISES, 1):
            mark = OPEN
            if progress.is_done(exercise):
                mark = self._in(GREEN, DONE)
            elif progress.is_begun(exercise):
                mark = self._in(YELLOW, BEGUN)
            lines.append(f"  {mark} {number:2}  {exercise.title}")
        done = sum(map(progress.is_done, EXERCISES))
        return "\n".join([*lines, "", f"{done} of {len(EXERCISES)} are done."])

    def exercise(self, number: int, exercise: Exercise, done: set[int]) -> str:
        """The explanation, the lines of code, the goals, and how to send a request."""
        parts = [self._in(BOLD, f"{number}. {exercise.title}")]
        parts += [self._filled(paragraph) for paragraph in exercise.text]
        parts.append(
            "\n".join(["In Carboy:", *(self._code(*each) for each in lines_of_code(exercise))])
        )
        parts.append("\n".join(self._goals(exercise, done)))
        tools = [each.replace("{address}", self.address) for each in exercise.tools]
        how = self._filled(
            f"Type the request here and it is sent to {self.address}: each line with CR LF at its"
            " end, and an empty line after the head. ? lists the commands."
        )
        if tools:
            how += "\nOr in another terminal:\n" + "\n".join(f"    {each}" for each in tools)
        return "\n\n".join([*parts, how]) + "\n"

    def _code(self, code: Code, line: Line) -> str:
        does = self._filled(code.does, "      ")
        return f"  {line.where} {self._in(DIM, line.text)}\n{does}"

    def _goals(self, exercise: Exercise, done: set[int]) -> list[str]:
        lines = []
        for number, goal in enumerate(exercise.goals):
            mark = self._in(GREEN, DONE) if number in done else "·"
            text = self._filled(goal.task, "    ").lstrip()
            lines.append(f"  {mark} {text}")
        return lines

    def commands(self) -> str:
        """The commands, and how bytes are typed."""
        lines = [f"  {key:5}  {does}" for key, does in COMMANDS]
        lines.append(
            self._filled(
                "Everything else is sent. In a line, \\r \\n \\t \\0 \\xHH and \\\\ are single"
                " bytes; \\c at its end leaves out CR LF. While a request is incomplete, only the"
                " dot is a command."
            )
        )
        return "\n".join(lines)

    def finding(self, found: Finding) -> str:
        """The new exchanges, the goals that they reach, and a hint."""
        parts = [self.exchange(each) for each in found.exchanges[-MOST_EXCHANGES:]]
        if (earlier := len(found.exchanges) - MOST_EXCHANGES) > 0:
            parts.insert(0, self.note(f"{earlier:,} earlier requests are not shown."))
        for _, text in found.reached:
            parts.append(self._in(GREEN, DONE) + " " + self._filled(text, "  ").lstrip())
        if found.hint is not None and found.exchanges and not found.reached:
            parts.append(self._in(YELLOW, "→") + " " + self._filled(found.hint[1], "  ").lstrip())
        return "\n".join(parts)

    def exchange(self, each: Exchange) -> str:
        """The learner's bytes, and the first line of the response."""
        head = self._in(
            DIM, f"Connection {each.connection}, bytes {each.first} to {each.last - 1}:"
        )
        shown = [f"    {line}" for line in excerpt(each.raw, MOST_LINES)]
        return "\n".join(
            [head, *shown, f"  {self._in(RED, outcome(each)) if each.refused else outcome(each)}"]
        )

    def question(self, text: str) -> str:
        """A question."""
        return self._in(BOLD, "? ") + self._filled(text, "  ").lstrip()

    def done(self, exercise: Exercise, progress: Progress) -> str:
        """The end of an exercise."""
        all_done = all(map(progress.is_done, EXERCISES))
        then = "You have done all exercises." if all_done else "Enter begins the next one."
        text = f"The exercise is done. {exercise.learned} {then}"
        return self._in(GREEN, DONE) + " " + self._filled(text, "  ").lstrip()

    def verdict(self, right: bool, text: str) -> str:
        """The reaction to an answer."""
        mark = self._in(GREEN, DONE) if right else self._in(YELLOW, "→")
        return f"{mark} {self._filled(text, '  ').lstrip()}"

    def received(self, lines: Sequence[str]) -> str:
        """Lines of a response."""
        return "\n".join(self._in(DIM, f"  ← {line}") for line in lines)

    def note(self, text: str) -> str:
        """A note."""
        return self._in(DIM, self._filled(text))

    def _filled(self, text: str, indent: str = "") -> str:
        # The text may have values of a request, which could control a terminal.
        printable = "".join(each if each.isprintable() else "·" for each in text)
        return textwrap.fill(
            printable, self._width, initial_indent=indent, subsequent_indent=indent,
            break_long_words=False, break_on_hyphens=False,
        )  # fmt: skip

    def _in(self, code: str, text: str) -> str:
        return f"{code}{text}{RESET}" if self.coloured else text
