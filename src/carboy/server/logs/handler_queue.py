"""Calls the application's log handlers in a thread of their own.

A handler may take any time: it may send mail, or write to a terminal that is not read. A record
may keep a request alive by the frames of its traceback, so the queue is bounded.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

from carboy.server.logs.channel import Channel, could_not_be_written

LINE = 1024  # bytes counted for a record without a traceback, besides its text
TRACEBACK = 64 * 1024  # bytes counted for a traceback, whose frames keep objects alive
WAITING = 16 * 1024 * 1024  # bytes that may wait in total

# A function, its argument, and the bytes that the call is counted for.
Call = tuple[Callable[[Any], object], Any, int]


def cost(record: logging.LogRecord) -> int:
    """The bytes that a record is counted for while it waits."""
    return LINE + len(str(record.msg)) + (TRACEBACK if record.exc_info else 0)


class HandlerQueue:
    """A queue of calls, and the thread that makes them.

    The thread alone writes `_taken`, and `_given` is written under the lock, so each has one
    author at a time. A reader of both may see a value that is a moment old.
    """

    def __init__(self, errors: Channel) -> None:
        self.errors = errors
        self._queue: SimpleQueue[Call | None] = SimpleQueue()
        self._lock = threading.RLock()  # reentrant: a signal handler may log, too
        self._given = 0
        self._taken = 0
        self._thread: threading.Thread | None = None

    def call(self, function: Callable[[Any], object], item: Any, cost: int) -> None:
        """Have `function(item)` called soon. Never blocks or raises."""
        with self._lock:
            if self._given - self._taken + cost > WAITING:
                self.errors.lose(1, "the handlers of the logger are too slow")
                return
            self._given += cost
        self._queue.put((function, item, cost))
        if self._thread is None:
            self.start()

    def start(self) -> None:
        """Start the thread, unless it runs. `call` does this too."""
        with self._lock:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="carboy-log-handlers", daemon=True)
                try:
                    thread.start()
                except RuntimeError:
                    return  # no more threads can be made; the next call tries again
                self._thread = thread

    def close(self, end: float) -> None:
        """Make the waiting calls, until `end` (monotonic seconds)."""
        self._queue.put(None)
        if self._thread is not None:
            self._thread.join(max(0.0, end - time.monotonic()))

    def _run(self) -> None:
        while (call := self._queue.get()) is not None:
            function, item, cost = call
            del call
            try:
                function(item)
            except Exception as problem:  # a handler that fails must not end the thread
                self.errors.put(could_not_be_written(problem))
            del function, item
            self._taken += cost
