"""The page of the course: its HTML, and its state as values for JSON."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib import resources
from typing import Any

from carboy.dev.learn.assessment import Finding, Progress
from carboy.dev.learn.course import EXERCISES
from carboy.dev.learn.exchanges import Exchange, Seen
from carboy.dev.learn.exercise import Exercise, Verdict
from carboy.dev.learn.sources import lines_of as lines_of_code
from carboy.dev.learn.text import MOST_EXCHANGES, outcome
from carboy.dev.learn.typed import excerpt

MOST_LINES = 40  # of a message
MOST_FINDINGS = 8
# Everything is in the page itself; it talks to its own server only.
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline';"
    " connect-src 'self'; frame-src 'self'; img-src data:; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'self'"
)


def html() -> str:
    """The page; it fetches its state."""
    files = resources.files("carboy.dev.learn") / "shared"
    parts = {
        "style": (files / "learn.css").read_text("utf-8"),
        "script": (files / "learn.js").read_text("utf-8"),
    }
    text = (files / "learn.html").read_text("utf-8")
    return re.sub("%([a-z]+)%", lambda match: parts[match[1]], text)


def listing(progress: Progress) -> list[dict[str, Any]]:
    """The exercises with their state."""
    return [
        {
            "number": number,
            "title": exercise.title,
            "done": progress.is_done(exercise),
            "begun": progress.is_begun(exercise),
        }
        for number, exercise in enumerate(EXERCISES, 1)
    ]


def exercise_of(
    exercise: Exercise, progress: Progress, verdicts: Sequence[tuple[int, Verdict]], address: str
) -> dict[str, Any]:
    """One exercise: text, goals with hints, lines of code, questions."""
    done, answered = progress.goals_of(exercise), progress.questions_of(exercise)
    hints = {number: verdict.text for number, verdict in verdicts if not verdict.reached}
    return {
        "key": exercise.key,
        "title": exercise.title,
        "text": exercise.text,
        "code": [
            {"where": line.where, "text": line.text, "link": line.link, "does": code.does}
            for code, line in lines_of_code(exercise)
        ],
        "goals": [
            {"task": goal.task, "done": number in done, "hint": hints.get(number, "")}
            for number, goal in enumerate(exercise.goals)
        ],
        "questions": [
            {"text": question.text, "done": number in answered}
            for number, question in enumerate(exercise.questions)
        ],
        "tools": [each.replace("{address}", address) for each in exercise.tools],
        "learned": exercise.learned,
        "done": progress.is_done(exercise),
    }


def finding_of(found: Finding, seen: Sequence[Seen]) -> dict[str, Any]:
    """A finding: the exchanges, the goals that they reach, the hint."""
    by_number = {each.number: each for each in seen}
    return {
        "exchanges": [
            _exchange(each, by_number.get(each.connection))
            for each in found.exchanges[-MOST_EXCHANGES:]
        ],
        "reached": [text for _, text in found.reached],
        "hint": found.hint[1] if found.hint and not found.reached else "",
    }


def _exchange(each: Exchange, seen: Seen | None) -> dict[str, Any]:
    # The step page of the connection begins at the first step of this request.
    numbers = [] if seen is None else [number for number, step in enumerate(seen.stepped.steps)
                                       if each.steps and step.first >= each.first
                                       and step.direction == each.steps[0].direction]  # fmt: skip
    return {
        "connection": each.connection,
        "step": numbers[0] if numbers else 0,
        "bytes": f"bytes {each.first} to {each.last - 1}",
        "lines": excerpt(each.raw, MOST_LINES),
        "outcome": outcome(each),
        "refused": bool(each.refused),
    }
