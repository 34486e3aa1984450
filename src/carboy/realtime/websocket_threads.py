"""The threads of WebSocket handlers and their callbacks. None of them belongs to the crew.

    brief    runs a handler that has just begun, a callback, or hooks: at most `brief` at a time,
             further work waits in a queue, in order
    holding  runs a handler that waits for its client (`hold`), or has run for LONG: at most
             `holding` at a time, counted apart, so that they never keep a callback from running

A thread becomes holding, and a brief place free, without a hand-over: only the counts change.

Which thread touches what: everything below is touched with `_lock`, which is only held for
counting. Two exceptions, which are safe for the same reason: a thread takes work from `_handed`,
and the thread that handed it over has claimed it (`_idle`) with the lock before.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from queue import Empty, SimpleQueue

log = logging.getLogger("carboy.error")

LONG = 1.0  # seconds after which work is no longer brief
LOOK = 0.25  # seconds between two looks at the queue
PATIENCE = 30.0  # seconds that a handler waits for a thread before its handshake is refused
KEEP = 30.0  # seconds after which a thread without work ends
WARN_EVERY = 60.0  # seconds between two lines in the log


class Work:
    """Work for one thread. `given_up` is called if no thread gets free for it in time."""

    __slots__ = ("began", "given_up", "holding", "queued", "run")

    def __init__(self, run: Callable[[], object], given_up: Callable[[], object] | None) -> None:
        self.run = run
        self.given_up = given_up
        self.queued = self.began = time.monotonic()
        self.holding = False


class WebSocketThreads:
    """The threads of a process: `brief` and `holding` of them at most, as described above."""

    def __init__(self, brief: int, holding: int) -> None:
        self.brief = brief
        self.holding = holding
        self._lock = threading.Lock()
        self._queue: deque[Work] = deque()
        self._running: dict[int, Work] = {}  # by thread
        self._brief_now = 0
        self._holding_now = 0
        self._idle = 0
        self._handed: SimpleQueue[Work] = SimpleQueue()
        self._looking = False  # a thread looks at the queue
        self._warn_at = 0.0

    def submit(
        self, run: Callable[[], object], given_up: Callable[[], object] | None = None
    ) -> None:
        """Have a thread call `run`; it must not raise.

        `given_up` is called instead if no thread gets free within PATIENCE seconds, or if the
        system refuses to start one.
        """
        work = Work(run, given_up)
        with self._lock:
            if self._brief_now >= self.brief:
                self._relieve()
            if self._brief_now >= self.brief:
                self._queue.append(work)
                self._looking = self._looking or self._start(self._look)
                return
            started = self._begin(work)
        if not started:
            _give_up(work)

    def hold(self) -> bool:
        """Count the calling thread apart, because it is about to wait for its client.

        Returns False if `holding` threads wait already. True for a thread that is not one of
        these, such as one that a handler has started.
        """
        with self._lock:
            work = self._running.get(threading.get_ident())
            if work is None or work.holding:
                return True
            if not self._count_apart(work):
                self._warn()
                return False
            waiting = self._next()
        if waiting is not None:
            self._hand_over(waiting)
        return True

    # --- with the lock

    def _count_apart(self, work: Work) -> bool:
        if self._holding_now >= self.holding:
            return False
        work.holding = True
        self._holding_now += 1
        self._brief_now -= 1
        return True

    def _relieve(self) -> None:
        """Count work apart that is not brief after all."""
        limit = time.monotonic() - LONG
        for work in self._running.values():
            if not work.holding and work.began < limit and not self._count_apart(work):
                self._warn()
                return

    def _next(self) -> Work | None:
        """The work that may begin now, with its place taken."""
        if not self._queue or self._brief_now >= self.brief:
            return None
        self._brief_now += 1
        return self._queue.popleft()

    def _begin(self, work: Work) -> bool:
        self._brief_now += 1
        if self._idle:
            self._idle -= 1
            self._handed.put(work)
            return True
        if self._start(lambda: self._member(work)):
            return True
        self._brief_now -= 1
        return False

    def _start(self, target: Callable[[], object]) -> bool:
        # A daemon: a handler that never returns must not keep the process from ending.
        thread = threading.Thread(target=target, name="carboy-websocket", daemon=True)
        try:
            thread.start()
        except (RuntimeError, MemoryError) as error:
            log.warning("No further thread can be started for a WebSocket: %s.", error)
            return False
        return True

    def _warn(self) -> None:
        now = time.monotonic()
        if now >= self._warn_at:
            self._warn_at = now + WARN_EVERY
            log.warning(
                "All %d WebSocket threads are in use. Further handlers that wait for their client"
                " are refused. Use --websocket-threads for more, or handlers that need no thread:"
                " coroutine functions, generators or ws.on_message.",
                self.holding,
            )

    # --- threads

    def _hand_over(self, work: Work) -> None:
        """Have another thread do work whose place is taken."""
        with self._lock:
            self._brief_now -= 1
            started = self._begin(work)
        if not started:
            _give_up(work)

    def _member(self, first: Work) -> None:
        work: Work | None = first
        while work is not None:
            me = threading.get_ident()
            work.began = time.monotonic()
            with self._lock:
                self._running[me] = work
            try:
                work.run()
            except BaseException:
                log.exception("A WebSocket handler ended with an error that it should have kept.")
            with self._lock:
                del self._running[me]
                if work.holding:
                    self._holding_now -= 1
                else:
                    self._brief_now -= 1
                work = self._next()
                if work is None:
                    self._idle += 1
            work = work or self._wait_for_work()

    def _wait_for_work(self) -> Work | None:
        try:
            return self._handed.get(timeout=KEEP)
        except Empty:
            with self._lock:
                try:
                    return self._handed.get_nowait()
                except Empty:
                    self._idle -= 1
                    return None

    def _look(self) -> None:
        """While work waits: count long work apart, and give up work that has waited too long."""
        while True:
            time.sleep(LOOK)
            due: list[Work] = []
            late: list[Work] = []
            with self._lock:
                self._relieve()
                while (work := self._next()) is not None:
                    due.append(work)
                limit = time.monotonic() - PATIENCE
                for work in [each for each in self._queue if each.queued < limit]:
                    if work.given_up is not None:
                        self._queue.remove(work)
                        late.append(work)
                if not self._queue:
                    self._looking = False
                ended = not self._looking
            for work in due:
                self._hand_over(work)
            for work in late:
                _give_up(work)
            if ended:
                return


def _give_up(work: Work) -> None:
    if work.given_up is not None:
        try:
            work.given_up()
        except BaseException:
            log.exception("A WebSocket could not be refused.")


_lock = threading.Lock()
_threads: dict[tuple[int, int], WebSocketThreads] = {}


def the_threads(brief: int, holding: int) -> WebSocketThreads:
    """The threads of this process, made when first used.

    Other limits have other threads, because a program may run several servers.
    """
    limits = (brief, holding)
    with _lock:
        if limits not in _threads:
            _threads[limits] = WebSocketThreads(brief, holding)
        return _threads[limits]


def _forget() -> None:
    """In a forked child: the threads exist only in the parent."""
    global _lock
    _threads.clear()
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
