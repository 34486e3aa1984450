"""Work of this process beside its requests: jobs after responses, and jobs at intervals.

Any thread may call this file. One lock covers the queue, the jobs that run and the number of
threads. Threads are started on demand, up to MOST, and end when they have been idle for a while. A
worker that stops calls `drain`: from then on no job begins by a timetable, and the jobs that were
submitted are waited for. Threads are daemons, so a job that does not end does not keep the process
alive.

Jobs at intervals run in one process of a server, which its supervisor elects. A process without a
supervisor is elected from the start.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from carboy.net.threads import NoThread, start_thread

MOST = 8  # threads: jobs wait for other services, and must not take the processors from requests
IDLE = 10.0  # seconds until an idle thread ends
MANY = 1000  # jobs that wait, at which a warning is logged

log = logging.getLogger("carboy.error")

Job = tuple[str, Callable[[], object], float]  # name, function, when it was submitted
Planned = tuple[str, float, float]  # name, interval in seconds, seconds until its next run


class JobState(Enum):
    RUNNING = "running"
    WAITING = "waiting"  # for a thread
    PLANNED = "planned"  # it runs at an interval


@dataclass(frozen=True, slots=True)
class ShownJob:
    """A job, for people. Times are in seconds."""

    name: str
    state: JobState
    age: float | None = None  # since it began, or began to wait
    thread: int | None = None  # that runs it
    every: float | None = None  # its interval
    next_in: float | None = None  # until its next run


class _Elected:
    """Two functions: one for when this process is elected, one for when it no longer is."""

    def __init__(self, begin: Callable[[], object], end: Callable[[], object]) -> None:
        self.begin, self.end = begin, end
        self.begun = False

    def follow(self, elected: bool) -> None:
        """Begin or end, unless that has been done."""
        if elected is not self.begun:
            self.begun = elected
            (self.begin if elected else self.end)()


class WorkerJobs:
    """The jobs of one process."""

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.Lock())
        self._waiting: deque[Job] = deque()
        self._running: dict[object, tuple[str, float]] = {}  # name and start of each
        self._threads = 0
        self._idle = 0
        self._warned = False
        self._election = threading.RLock()  # held while something begins or ends
        self._is_elected = True
        self._followers: list[_Elected] = []
        self._timetables: list[Callable[[], list[Planned]]] = []

    def elect(self, elected: bool) -> None:
        """Whether jobs at intervals run in this process, from now on."""
        with self._election:
            self._is_elected = elected
            for each in self._followers:
                each.follow(elected)

    def when_elected(
        self,
        begin: Callable[[], object],
        end: Callable[[], object],
        planned: Callable[[], list[Planned]],
    ) -> None:
        """Call `begin` when jobs at intervals are to run in this process, which may be now.

        `end` is called when they no longer are. `planned` has the jobs while they do.
        """
        with self._election:
            follower = _Elected(begin, end)
            self._followers.append(follower)
            self._timetables.append(lambda: planned() if follower.begun else [])
            follower.follow(self._is_elected)

    def submit(self, name: str, call: Callable[[], object]) -> None:
        """Have a thread call `call` soon. It handles its own errors."""
        with self._changed:
            self._waiting.append((name, call, time.monotonic()))
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

    def shown(self) -> list[ShownJob]:
        """The jobs that run, wait for a thread, or are planned."""
        now = time.monotonic()
        with self._changed:
            running = list(self._running.items())
            waiting = list(self._waiting)
        found = [
            ShownJob(name, JobState.RUNNING, now - since, token if isinstance(token, int) else None)
            for token, (name, since) in running
        ]
        found += [ShownJob(name, JobState.WAITING, now - since) for name, _, since in waiting]
        return found + [
            ShownJob(name, JobState.PLANNED, every=every, next_in=next_in)
            for timetable in self._timetables[:]
            for name, every, next_in in timetable()
        ]

    def drain(self, seconds: float) -> list[str]:
        """Wait for all jobs; returns the names of those that have not ended in time."""
        until = time.monotonic() + seconds
        with self._election:
            followers, self._followers = self._followers, []
            for each in followers:
                each.follow(False)
            self._timetables.clear()
        with self._changed:
            while self._waiting or self._running:
                if not self._changed.wait(until - time.monotonic()):
                    break
            left = [name for name, _ in self._running.values()]
            return left + [each[0] for each in self._waiting]

    def _work(self) -> None:
        while (job := self._next()) is not None:
            name, call, _ = job
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
