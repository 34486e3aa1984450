"""The exercises of the course, in their order."""

from __future__ import annotations

from difflib import get_close_matches

from carboy.dev.learn.exercise import Exercise
from carboy.dev.learn.exercises import (
    answer,
    body,
    client_leaves,
    crew,
    header_lines,
    keep_alive,
    request_line,
    request_object,
    session,
    smuggling,
)

EXERCISES: tuple[Exercise, ...] = (
    request_line.EXERCISE,
    header_lines.EXERCISE,
    body.EXERCISE,
    keep_alive.EXERCISE,
    request_object.EXERCISE,
    answer.EXERCISE,
    session.EXERCISE,
    smuggling.EXERCISE,
    crew.EXERCISE,
    client_leaves.EXERCISE,
)


def number_of(text: str) -> int:
    """The number of the exercise that a learner has named. Raises ValueError that says which are
    there."""
    text = text.strip()
    if text.isdecimal() and 1 <= int(text) <= len(EXERCISES):
        return int(text)
    keys = [each.key for each in EXERCISES]
    if text in keys:
        return keys.index(text) + 1
    near = get_close_matches(text, keys, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise ValueError(
        f"There is no exercise {text!r}. Use a number from 1 to {len(EXERCISES)}.{hint}"
    )
