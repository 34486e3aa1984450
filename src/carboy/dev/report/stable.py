"""Numbers in a recording that differ in every run, as names, so that reports can be compared."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from email.utils import parsedate_to_datetime

from carboy.dev.explain.recording import Recording

NAMES = "CLIENT_PORT, PID, CLOCK and TIME"
DATE = re.compile(r"\w{3}, \d{2} \w{3} \d{4} \d{2}:\d{2}:\d{2} GMT")
ANY_DATE = "Day, DD Mon YYYY HH:MM:SS GMT"  # in the bytes, where the length must stay the same
LEAST = 1000  # a smaller number of a process may be something else
FLOAT = re.compile(r"(?<![\w.])\d+\.\d+(?![\w.])")
BEFORE, AFTER = 1.0, 120.0  # seconds around the recording, for deadlines
OLDEST = 3600.0  # seconds since the start of the recording


def settle(recording: Recording) -> None:
    """Replace the client's port, process numbers and clock times in arguments and results.

    In the bytes of the response, a date is replaced as well.
    """
    names = dict(_numbers(recording))
    number = re.compile("|".join(rf"(?<![\w.]){each}(?![\w.])" for each in names) or "(?!)")
    is_clock = _clock(recording)

    def named(found: re.Match[str]) -> str:
        value = float(found[0])
        if is_clock(value):
            return "CLOCK"
        return "TIME" if -OLDEST < value - time.time() < AFTER else found[0]

    def dated(found: re.Match[str]) -> str:
        try:
            date = parsedate_to_datetime(found[0]).timestamp()
        except (TypeError, ValueError):
            return found[0]
        return "TIME" if -OLDEST < date - time.time() < AFTER else found[0]

    def stable(text: str) -> str:
        text = number.sub(lambda found: names[found[0]], text)
        return DATE.sub(dated, FLOAT.sub(named, text))

    for process in recording.processes:
        process.clean(stable)
    recording.received = DATE.sub(
        lambda found: ANY_DATE if dated(found) == "TIME" else found[0], recording.received
    )


def _numbers(recording: Recording) -> Iterator[tuple[str, str]]:
    several = len(recording.processes) > 1
    for count, process in enumerate(recording.processes, 1):
        if process.pid >= LEAST:
            yield str(process.pid), f"PID_{count}" if several else "PID"
        for call in process.calls:
            given = dict(call.args)
            if given.get("own") == recording.address and "peer" in given:
                yield given["peer"].rpartition(":")[2], "CLIENT_PORT"


def _clock(recording: Recording) -> Callable[[float], bool]:
    """Says whether a number is a time of the monotonic clock during the recording."""
    times = [call.at / 1e9 for process in recording.processes for call in process.calls]
    first, last = min(times, default=0.0) - BEFORE, max(times, default=0.0) + AFTER
    return lambda value: bool(times) and first < value < last
