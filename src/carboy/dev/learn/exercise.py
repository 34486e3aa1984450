"""The parts of an exercise: text, goals that are reached by requests, questions, lines of code.

Checks are functions of the recorded connections. They decide and do nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from carboy.dev.learn.exchanges import Exchange, Seen


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a goal is reached, and a sentence: what was seen, or what is missing."""

    reached: bool
    text: str


Check = Callable[[Sequence[Seen]], Verdict]
# The right answer, read in the recording, and a sentence that explains it; None: not known yet.
Answer = tuple[str, str]
Find = Callable[[Sequence[Seen]], Answer | None]


@dataclass(frozen=True, slots=True)
class Goal:
    """Something that the learner's requests should show.

    `example` is typed text that reaches the goal when it is sent; `{host}` and `{port}` are those
    of the server. `then` is the command after it, if bytes alone do not reach the goal.
    """

    task: str
    check: Check
    example: str
    then: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """A question whose answer is in the learner's own recording."""

    text: str
    find: Find


@dataclass(frozen=True, slots=True)
class Code:
    """A line of Carboy: the first one in a function that contains `line`, and what it does."""

    file: str  # below the package: "protocol/head.py"
    function: str  # "HeadReader._start"; "": anywhere in the file
    line: str
    does: str


@dataclass(frozen=True, slots=True)
class Exercise:
    """One exercise of the course."""

    key: str  # in the file of the progress
    title: str
    text: tuple[str, ...]  # paragraphs
    goals: tuple[Goal, ...]
    code: tuple[Code, ...]
    questions: tuple[Question, ...] = ()
    tools: tuple[str, ...] = ()  # commands of other programs that reach a goal
    learned: str = ""  # what to remember


def reached(text: str) -> Verdict:
    """The goal is reached."""
    return Verdict(True, text)


def missing(text: str) -> Verdict:
    """The goal is not reached."""
    return Verdict(False, text)


def first(found: Sequence[Exchange], wanted: Callable[[Exchange], bool]) -> Exchange | None:
    """The first exchange for which `wanted` is true."""
    return next((each for each in found if wanted(each)), None)


def is_right(given: str, answer: str) -> bool:
    """Whether a typed answer is the right one; case, quotes and white space do not matter."""
    return _plain(given) == _plain(answer)


def _plain(text: str) -> str:
    plain = text.strip().strip("'\"`").removesuffix("()").strip()
    if plain.replace(",", "").isdecimal():
        return str(int(plain.replace(",", "")))
    return " ".join(plain.split()).casefold()
