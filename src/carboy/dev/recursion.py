"""Frames of a traceback that repeat, as in functions that call themselves or each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from traceback import FrameSummary
from typing import TypeVar

Frame = TypeVar("Frame", bound=FrameSummary)

REPEATED = 3  # how often a repeated frame is shown, as in Python's tracebacks
LONGEST = 20  # frames of a cycle; longer ones are rare and are shown in full
# Frames that are shown of a recursion without a pattern: from its begin, and from its end.
FIRST, LAST = 30, 70


def folded(frames: Sequence[Frame]) -> Iterator[tuple[list[Frame], str]]:
    """Frames to show, and a text about those that are left out after them; "" if none are.

    A frame that calls itself is shown three times, a cycle of several frames once. Of many other
    frames, the first and the last are shown.
    """
    groups = list(_without_cycles(frames))
    count = sum(len(shown) for shown, _ in groups)
    if count <= FIRST + LAST:
        yield from groups
        return
    yield from _part(groups, 0, FIRST)
    yield [], f"{count - FIRST - LAST:,} frames are left out"
    yield from _part(groups, count - LAST, count)


def _part(
    groups: list[tuple[list[Frame], str]], start: int, stop: int
) -> Iterator[tuple[list[Frame], str]]:
    """The frames with these numbers among all that are shown."""
    before = 0
    for shown, text in groups:
        part = shown[max(0, start - before) : max(0, stop - before)]
        before += len(shown)
        if part:
            yield part, text if before <= stop else ""


def _without_cycles(frames: Sequence[Frame]) -> Iterator[tuple[list[Frame], str]]:
    keys = [(frame.filename, frame.lineno, frame.name) for frame in frames]
    at = 0
    shown: list[Frame] = []
    while at < len(keys):
        length, times = _cycle(keys, at)
        if times <= REPEATED:
            shown.append(frames[at])
            at += 1
            continue
        kept = REPEATED if length == 1 else 1
        shown += frames[at : at + kept * length]
        yield shown, repetition(length, times - kept)
        shown = []
        at += length * times
    if shown:
        yield shown, ""


def _cycle(keys: Sequence[object], at: int) -> tuple[int, int]:
    """Length and repetitions of the shortest cycle that begins at an index; (1, 1) if none."""
    for length in range(1, LONGEST + 1):
        stop = at + length
        while stop < len(keys) and keys[stop] == keys[stop - length]:
            stop += 1
        times = (stop - at) // length
        if times > REPEATED:
            return length, times
    return 1, 1


def repetition(length: int, times: int) -> str:
    """The text that replaces what is left out."""
    what = "frame" if length == 1 else f"{length} frames"
    more = "once more" if times == 1 else f"{times:,} more times"
    return f"The same {what}, {more}"
