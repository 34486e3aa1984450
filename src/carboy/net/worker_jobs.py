"""Work of this process beside its requests: jobs after responses, and jobs at intervals.

Any thread may call this file. One lock covers the queue, the jobs that run and the number of
threads. Threads are started on demand, up to MOST, and end when they have been idle for a while. A
worker that stops calls `drain`: from then on no job begins by a timetable, and the jobs that were
submitted are waited for. Threads are daemons, so a job that does not end does not keep the process
alive.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable

from carboy.net.threads import NoThread, start_thread

MOST = 8  # threads: jobs wait for other services, and must not take the processors from requests
IDLE = 10.0  # seconds until an idle thread ends
MANY = 1000  # jobs that wait, at which a warning is logged

log = logging.getLogger("carboy.error")

Job = tuple[str, Callable[[], object]]


class WorkerJobs:
    """The jobs of one process."""

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.Lock())
        self._waiting: deque[Job] = deque()
        self._running: dict[object, tuple[str, float]] = {}  # name and start of each
        self._threads = 0
        self._idle = 0
        self._warned = False
        # Called at the beginning and at the end of `drain`, once each.
        self._begins: list[Callable[[], object]] = []
        self._ends: list[Callable[[], object]] = []

    def submit(self, name: str, call: Callable[[], object]) -> None:
        """Have a thread call `call` soon. It handles its own errors."""
        with self._changed:
            self._waiting.append((name, call))
            more = self._idle < len(self._waiting) and self._threads < MOST
            self._threads += more
            self._changed.notify()
            self._warn_if_many()
        if more:
            thread = threading.Thread(target=self._work, name="carboy-job", daemon=True)
            try:
                start_thread(thread)
            except NoThread:
                with self._changed:
                    self._threads -= 1
                log.warning("No thread can be started for the job %s. It waits.", name)

    def _warn_if_many(self) -> None:
        if len(self._waiting) < MANY:
            self._warned = False
        elif not self._warned:
            self._warned = True
            log.warning("%d jobs wait for a thread. Use a queue of its own for them.", MANY)

    def began(self, token: object, name: str) -> None:
        """A job runs that has no thread of this file, such as a coroutine."""
        with self._changed:
            self._running[token] = name, time.monotonic()

    def ended(self, token: object) -> None:
        """The job has ended."""
        with self._changed:
            self._running.pop(token, None)
            self._changed.notify_all()

    def running(self) -> list[tuple[str, float]]:
        """Name and age in seconds of each job that runs."""
        now = time.monotonic()
        with self._changed:
            return [(name, now - since) for name, since in self._running.values()]

    def at_end(self, begin: Callable[[], object], end: Callable[[], object]) -> None:
        """Call `begin` before `drain` waits, and `end` after it if all jobs have ended."""
        with self._changed:
            self._begins.append(begin)
            self._ends.append(end)

    def drain(self, seconds: float) -> list[str]:
        """Wait for all jobs; returns the names of those that have not ended in time."""
        until = time.monotonic() + seconds
        with self._changed:
            begins, self._begins = self._begins, []
            ends, self._ends = self._ends, []
        for begin in begins:
            begin()
        with self._changed:
            while self._waiting or self._running:
                if not self._changed.wait(until - time.monotonic()):
                    break
            left = [name for name, _ in self._running.values()]
            left += [name for name, _ in self._waiting]
        if not left:
            for end in ends:
                end()
        return left

    def _work(self) -> None:
        while (job := self._next()) is not None:
            name, call = job
            try:
                call()
            except BaseException:
                log.exception("The job %s failed.", name)
            self.ended(threading.get_ident())

    def _next(self) -> Job | None:
        with self._changed:
            self._idle += 1
            try:
                while not self._waiting:
                    if not self._changed.wait(IDLE) and not self._waiting:
                        self._threads -= 1
                        return None
                job = self._waiting.popleft()
            finally:
                self._idle -= 1
            self._running[threading.get_ident()] = job[0], time.monotonic()
            return job


_jobs = WorkerJobs()


def jobs() -> WorkerJobs:
    """The jobs of this process."""
    return _jobs


def _forget() -> None:
    """In a forked child: the jobs are those of the parent."""
    global _jobs
    _jobs = WorkerJobs()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
