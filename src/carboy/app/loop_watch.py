"""Notices a coroutine that keeps the event loop from running, and says which.

While it does, every other coroutine of the process stands still. Nobody watches on purpose: the
threads that wait for the loop look now and then, so it costs nothing while nobody waits.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
import traceback
from collections.abc import Callable
from types import CodeType, FrameType

log = logging.getLogger("carboy.error")

LOOK = 0.5  # seconds between two looks of a thread that waits
BLOCKED = 1.0  # seconds without a step of the loop, before that is reported
EVERY = 10.0  # seconds between two reports: what blocks once blocks often
_OF_THE_LOOP = ("asyncio.", "selectors")  # modules that the loop's thread is in when it is idle


class LoopWatch:
    """Watches one loop, which runs in the thread of the identifier `thread`.

    `outermost` is the code below which the application's own frames are, and `named` tells from
    its frame which request it runs for.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        thread: int,
        outermost: CodeType,
        named: Callable[[FrameType], str],
    ) -> None:
        self._loop = loop
        self._thread = thread
        self._outermost = outermost
        self._named = named
        self._lock = threading.Lock()
        self._asked = 0.0  # monotonic seconds: since when a step of the loop is waited for
        self._looked = 0.0
        self._report_after = 0.0

    def look(self) -> None:
        """Ask the loop for a step, or report that it has not made the one asked for; any thread."""
        with self._lock:
            now = time.monotonic()
            # After a long time without a look this process was suspended, or nobody waited.
            if now - self._looked > 2 * LOOK + BLOCKED:
                self._asked = 0.0
            self._looked = now
            if not self._asked:
                self._asked = now
                self._loop.call_soon_threadsafe(self._step)
                return
            if now - self._asked < BLOCKED or now < self._report_after:
                return
            self._report_after = now + EVERY
            seconds = now - self._asked
        self._report(seconds)

    def _step(self) -> None:
        self._asked = 0.0

    def _report(self, seconds: float) -> None:
        frame = sys._current_frames().get(self._thread)
        if frame is None or frame.f_globals.get("__name__", "").startswith(_OF_THE_LOOP):
            return  # it goes on at this very moment
        name = "A coroutine"
        inside = []
        for each, line in traceback.walk_stack(frame):
            if each.f_code is self._outermost:
                name = self._named(each)
                break
            if each.f_globals.get("__name__") == "asyncio.events":
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
