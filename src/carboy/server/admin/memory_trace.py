"""GET /memory/trace: the lines of one worker that allocate memory, traced for some seconds.

    seconds   duration, 30 unless given
    pid       the worker; otherwise the one with most resident memory
    timeout   seconds for the answer after that

tracemalloc is switched on for that time only. It sees what is allocated meanwhile: memory that was
allocated before is not known. Two moments are compared, the middle and the end. What is filled once
grows in the first half, and a leak in both.
"""

from __future__ import annotations

import gc
import linecache
import os
import time
from collections.abc import Callable, Iterable
from typing import Any

from carboy.late import tracemalloc
from carboy.server.admin.call import Answer, Ask, Call, Refused, Reply, Steps
from carboy.server.admin.exclusive import Exclusive
from carboy.server.admin.frames import is_own_file
from carboy.server.admin.operations import Operations
from carboy.server.admin.stacks import asked_workers
from carboy.server.dataclass import dataclass
from carboy.server.engine import Engine
from carboy.server.machine import resident
from carboy.server.processes.messages import Message

SECONDS, LONGEST = 30.0, 600.0
LINES = 30  # that are shown
FRAMES = 10  # of each allocation, in which the line of the application is looked for
LOOK = 0.1  # seconds between two looks at whether the client has gone
RUNS_ALREADY = "A trace runs already. Wait until it has ended."


def trace(call: Call, operations: Operations) -> Steps:
    """The memory that one worker has allocated meanwhile and still holds, by line."""
    asked = asked_workers(call, operations)
    seconds = call.number("seconds", SECONDS, LONGEST)
    if seconds <= 0:
        raise Refused(400, "seconds must be more than 0.")
    largest = max(asked.values(), key=lambda each: (each.asked, each.memory or 0), default=None)
    if largest is None:
        raise Refused(503, "No worker runs.")
    patience = call.number("timeout", 30.0, 600.0)
    answers = yield Ask("trace", {"seconds": seconds}, (largest.pid,), seconds + patience)
    answer = answers.get(largest.pid, Answer(largest.pid, failure="It has ended."))
    if answer.failure == RUNS_ALREADY:
        raise Refused(409, RUNS_ALREADY)
    return Reply({"pid": largest.pid, "failure": answer.failure, **(answer.value or {})})


@dataclass(slots=True)
class Held:
    """Memory of one line: at the middle, and at the end."""

    middle_bytes: int = 0
    middle_count: int = 0
    bytes: int = 0
    count: int = 0


# File and line of an allocation, and those of the application that have led to it
Place = tuple[str, int, str, int]


class Traces:
    """The answers of a worker to the question `trace`."""

    def __init__(self, engine: Engine, cancelled: Callable[[int], bool]) -> None:
        self._exclusive = Exclusive(engine, cancelled, RUNS_ALREADY)

    def answer(self, message: Message) -> dict[str, Any]:
        """Trace, on the thread that calls this."""
        with self._exclusive.turn(message["id"]) as over:
            return traced(message["seconds"], over)


def traced(seconds: float, over: Callable[[], str]) -> dict[str, Any]:
    """Trace for so many seconds, or until `over` says why not."""
    before = tracemalloc.is_tracing()  # the application has switched it on, and it stays on
    began = time.monotonic()
    resident_before = resident(os.getpid())
    if not before:
        tracemalloc.start(FRAMES)
    try:
        _wait(began + seconds / 2, over)
        middle = _snapshot()
        ended = _wait(began + seconds, over)
        end = _snapshot()
        cost = tracemalloc.get_tracemalloc_memory()
    finally:
        if not before:
            tracemalloc.stop()
    took = time.monotonic() - began
    held = compared(middle, end)
    return {
        "seconds": round(took, 3),
        "ended": ended,
        "since_start": before,
        "rss": [resident_before, resident(os.getpid())],
        "cost": cost,
        "bytes": sum(each.bytes for each in held.values()),
        "grown": sum(each.bytes - each.middle_bytes for each in held.values()),
        "lines": shown(held),
    }


def _wait(until: float, over: Callable[[], str]) -> str:
    while not (ended := over()) and (left := until - time.monotonic()) > 0:
        time.sleep(min(LOOK, left))
    return ended


def _snapshot() -> Iterable[tracemalloc.Trace]:
    """The memory that is held now, without garbage that the collector finds."""
    gc.collect()
    return tracemalloc.take_snapshot().traces


def compared(
    middle: Iterable[tracemalloc.Trace], end: Iterable[tracemalloc.Trace]
) -> dict[Place, Held]:
    """The memory of each line at both moments."""
    found: dict[Place, Held] = {}
    places: dict[tracemalloc.Traceback, Place | None] = {}
    for is_end, traces in ((False, middle), (True, end)):
        for each in traces:
            calls = each.traceback
            if calls not in places:
                places[calls] = place_of(calls)
            if (place := places[calls]) is None:
                continue
            held = found.setdefault(place, Held())
            if is_end:
                held.bytes += each.size
                held.count += 1
            else:
                held.middle_bytes += each.size
                held.middle_count += 1
    return found


def place_of(calls: tracemalloc.Traceback) -> Place | None:
    """The line that has allocated, and the innermost one of the application; None for our own."""
    last = calls[-1]
    if last.filename in (tracemalloc.__file__, __file__):
        return None
    for frame in reversed(calls):
        if is_own_file(frame.filename):
            return last.filename, last.lineno, frame.filename, frame.lineno
    return last.filename, last.lineno, "", 0


def shown(held: dict[Place, Held]) -> list[dict[str, Any]]:
    """The lines that have grown most, then those that hold most."""
    rows = sorted(held.items(), key=lambda row: (row[1].middle_bytes - row[1].bytes, -row[1].bytes))
    return [
        {
            "file": file,
            "line": line,
            "own": {"file": own_file, "line": own_line} if own_file else None,
            "text": linecache.getline(own_file or file, own_line or line).strip(),
            "bytes": each.bytes,
            "count": each.count,
            "grown": each.bytes - each.middle_bytes,
            "grown_count": each.count - each.middle_count,
        }
        for (file, line, own_file, own_line), each in rows[:LINES]
    ]
