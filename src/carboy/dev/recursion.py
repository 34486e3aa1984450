"""Frames of a traceback that repeat, as in functions that call themselves or each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from traceback import FrameSummary
from typing import TypeVar

Frame = TypeVar("Frame", bound=FrameSummary)

REPEATED = 3  # how often a repeated frame is shown, as in Python's tracebacks
LONGEST = 20  # frames of a cycle; longer ones are rare and are shown in full


def folded(frames: Sequence[Frame]) -> Iterator[tuple[list[Frame], int, int]]:
    """Frames to show, number of frames in a cycle, and how often the cycle is left out after them.

    A frame that calls itself is shown three times, a cycle of several frames once.
    """
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
        yield shown, length, times - kept
        shown = []
        at += length * times
    if shown:
        yield shown, 0, 0


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
