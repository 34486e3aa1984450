"""The last lines that a server wrote, with the last traceback shortened to the user's own code."""

from __future__ import annotations

import re

from carboy.dev.explain import places

MOST = 12  # lines
BEGIN = "Traceback (most recent call last):"
FRAME = re.compile(r'  File "(.+)", line \d+, in ')


def last_lines(text: str) -> str:
    """The end of an output, each line on its own, with a newline before; "" for no output."""
    lines = text.rstrip().splitlines()
    begins = [number for number, line in enumerate(lines) if line == BEGIN]
    if begins:
        lines = lines[: begins[-1]] + _shortened(lines[begins[-1] :])
    return "".join(f"\n{line}" for line in lines[-MOST:])


def _shortened(lines: list[str]) -> list[str]:
    """A traceback with the frames of the application only, if it has any, and what follows."""
    count = next((n for n, line in enumerate(lines[1:], 1) if not line.startswith(" ")), len(lines))
    frames: list[list[str]] = []
    for line in lines[1:count]:
        if FRAME.match(line):
            frames.append([])
        if frames:
            frames[-1].append(line)
    own = [frame for frame in frames if _is_own(frame[0])]
    kept = [line for frame in own or frames for line in frame]
    return [BEGIN, *kept, *lines[count:]]


def _is_own(line: str) -> bool:
    found = FRAME.match(line)
    return found is not None and places.is_the_applications(found[1])
