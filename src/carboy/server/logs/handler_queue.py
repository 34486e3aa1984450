"""Handlers that the application has attached to a logger, called in a thread of their own.

A handler may take any time: it may write to a terminal nobody reads or send mail. What it gets
may keep a request alive (the frames of a traceback), so what waits is bounded.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

from carboy.server.logs.channel import Channel

LINE = 1024  # bytes that a record without a traceback is counted for, besides its text
TRACEBACK = 64 * 1024  # bytes for one with a traceback: its frames hold what they worked on
WAITING = 16 * 1024 * 1024  # bytes that may wait in all

# What to call, with which item, and what that is counted for.
Call = tuple[Callable[[Any], object], Any, int]


def cost(record: logging.LogRecord) -> int:
    """The bytes a record is counted for while it waits."""
    return LINE + len(str(record.msg)) + (TRACEBACK if record.exc_info else 0)


class HandlerQueue:
    """A queue of calls and the thread that makes them, started with the first at the latest.

    `_taken` is written by the thread only and `_given` under the lock, so that each has one
    author at a time; a reader of both sees at most a moment's difference.
    """

    def __init__(self, errors: Channel) -> None:
        self.errors = errors
        self._queue: SimpleQueue[Call | None] = SimpleQueue()
        self._lock = threading.RLock()  # a signal handler may log, too
        self._given = 0
        self._taken = 0
        self._thread: threading.Thread | None = None

    def call(self, function: Callable[[Any], object], item: Any, cost: int) -> None:
        """Have `function(item)` called soon; never blocks, never raises."""
        with self._lock:
            if self._given - self._taken + cost > WAITING:
                self.errors.lose(1, "the handlers of the logger are slow")
                return
            self._given += cost
        self._queue.put((function, item, cost))
        if self._thread is None:
            self.start()

    def start(self) -> None:
        """Start the thread, where it is known that there will be calls."""
        with self._lock:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="carboy-log-handlers", daemon=True)
                try:
                    thread.start()
                except RuntimeError:
                    return  # no more threads can be made: tried again with the next call
                self._thread = thread

    def close(self, end: float) -> None:
        """Make the calls that wait, until `end` (monotonic seconds)."""
        self._queue.put(None)
        if self._thread is not None:
            self._thread.join(max(0.0, end - time.monotonic()))

    def _run(self) -> None:
        while (call := self._queue.get()) is not None:
            function, item, cost = call
            del call
            try:
                function(item)
            except Exception as problem:  # a handler that fails must not end the log
                text = f"carboy: a log line could not be written: {problem!r}\n"
                self.errors.put(text.encode("utf-8", "backslashreplace"))
            del function, item
            self._taken += cost
