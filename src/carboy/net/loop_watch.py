"""Reports code that keeps an event loop from running, with the line at which it blocks.

Any thread may look at the loop from time to time; a lock orders their looks. The loop answers each
look by setting `_asked` to 0.0, which no other thread does unless it was suspended.
"""

from __future__ import annotations

import logging
import threading
import time
import traceback
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any, Protocol

from carboy.thread_frames import thread_frames

log = logging.getLogger("carboy.error")

LOOK = 0.5  # seconds between two looks of a thread
BLOCKED = 1.0  # seconds without a step of the loop before that is reported
EVERY = 10.0  # seconds between two reports, because code that blocks once blocks often
# Modules that the loop's thread is in when it is idle. uvloop has no frames of its own, so the
# thread is in the function that runs the loop then.
OF_THE_LOOP = ("asyncio.", "selectors")
OUTSIDE = ("asyncio.events", "carboy.net.loop")  # modules that call what the loop runs


class Watched(Protocol):
    """The loop that a watch looks at."""

    @property
    def thread_id(self) -> int: ...

    def wake(self, function: Callable[[], object]) -> None: ...


class LoopWatch:
    """Watches a loop."""

    def __init__(self, loop: Watched) -> None:
        self._loop = loop
        # The code of the outermost frame of a call, and what returns the call's name from it.
        self._names: dict[CodeType, Callable[[FrameType], str]] = {}
        self.requests: dict[CodeType, Callable[[FrameType], Any]] = {}  # and its request, or None
        self._lock = threading.Lock()
        self._asked = 0.0  # monotonic seconds of the last unanswered request for a step of the loop
        self._looked = 0.0
        self._report_after = 0.0

    def learn(
        self, outermost: CodeType, named: Callable[[FrameType], str],
        request: Callable[[FrameType], Any] | None = None,
    ) -> None:  # fmt: skip
        """Have calls inside the frames of a code called by the name that `named` returns.

        `request` returns the exchange of such a call, or None; for profiles of the threads.
        """
        self._names[outermost] = named
        if request is not None:
            self.requests[outermost] = request

    def look(self) -> None:
        """Ask the loop for a step, or report that the last one is late; called by any thread."""
        with self._lock:
            now = time.monotonic()
            # After a long time without a check, the process was suspended or no thread waited.
            if now - self._looked > 2 * LOOK + BLOCKED:
                self._asked = 0.0
            self._looked = now
            if not self._asked:
                self._asked = now
                self._loop.wake(self._step)
                return
            if now - self._asked < BLOCKED or now < self._report_after:
                return
            self._report_after = now + EVERY
            seconds = now - self._asked
        self._report(seconds)

    def _step(self) -> None:
        self._asked = 0.0

    def _report(self, seconds: float) -> None:
        frame = thread_frames().get(self._loop.thread_id)
        module = "" if frame is None else frame.f_globals.get("__name__", "")
        if frame is None or module.startswith(OF_THE_LOOP) or module in OUTSIDE:
            return  # it is running again
        name = "A coroutine"
        inside = []
        for each, line in traceback.walk_stack(frame):
            named = self._names.get(each.f_code)
            if named is not None:
                name = named(each)
                break
            if each.f_globals.get("__name__") in OUTSIDE:
                break
            inside.append((each, line))
        stack = "".join(traceback.StackSummary.extract(iter(inside[::-1])).format())
        log.warning(
            "%s has kept the event loop from running for %.1f s, and all other coroutines wait."
            " Use an asynchronous library there, or asyncio.to_thread().\n%s",
            name,
            seconds,
            stack.rstrip(),
        )
