"""How a supervisor starts a worker, signals it and learns of its end.

    Fork        forks the worker from the supervisor, which has imported Carboy only
    Templates   forks it from a template process, which has imported packages (template.py)

Where processes cannot fork, the program is started again as a whole: cli/dev/portable.py.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable
from typing import NoReturn, Protocol

from carboy.server import signals
from carboy.server.processes import child, stacks
from carboy.server.processes.link import SupervisorLink, WorkerLink

Work = Callable[[SupervisorLink], int]  # what a worker does; its exit code
Ended = tuple[int, int]  # a worker, and its status as os.waitpid gives it


class HasDescriptor(Protocol):
    def fileno(self) -> int: ...


class StartMethod(Protocol):
    """A worker is known by a number, which `start` gives."""

    def start(self, link: WorkerLink, leave: Callable[[], object]) -> int:
        """Start a worker. `leave` closes what is the supervisor's, in a forked process."""

    def signal(self, worker: int, number: int) -> None:
        """Send a signal to a worker, if it still exists."""

    def links(self) -> Iterable[HasDescriptor]:
        """What is readable when workers may have ended, besides SIGCHLD."""

    def ended(self, workers: Iterable[int]) -> list[Ended]:
        """Those of the workers that have ended; does not wait."""

    def end(self, workers: Iterable[int]) -> None:
        """Kill these workers and wait for their end; no worker is started after that."""


class CannotFork(RuntimeError):
    """More than one worker was asked for where processes cannot fork."""

    def __init__(self) -> None:
        super().__init__(
            "Worker processes need os.fork, which this system does not have."
            " Use one worker and more threads: --workers 1 --threads 64."
        )


class Fork:
    """Workers are children of the supervisor. `heard` are its signals.

    `adopts`: processes whose parents have ended are given to this process, and are waited for.
    """

    def __init__(
        self, work: Work, heard: Iterable[signal.Signals] = signals.SUPERVISED, adopts: bool = False
    ) -> None:
        if not hasattr(os, "fork"):
            raise CannotFork()
        self._work = work
        self._heard = tuple(heard)
        self._adopts = adopts
        # The kernel sends a parent-death signal when the *thread* that forked ends, and only
        # the main thread lives as long as the process.
        self._prctl = child.find_prctl() if signals.in_main_thread() else None

    def start(self, link: WorkerLink, leave: Callable[[], object]) -> int:
        """Fork; OSError when no process, memory or descriptor is left."""
        # A signal between the fork and the worker's own handlers would be noted in a copy
        # of the supervisor's inbox that is never read; blocked, it waits.
        with child.blocked(self._heard):
            pid = os.fork()
            if pid == 0:
                self._become_worker(link, leave)
        return pid

    def _become_worker(self, link: WorkerLink, leave: Callable[[], object]) -> NoReturn:
        """The rest of the child's life; it must never return into the supervisor's frames."""

        def work() -> int:
            leave()
            child.reset_signals(self._heard)
            # Besides the link, which needs a thread of the worker to run.
            child.die_with_parent(self._prctl)
            end = link.worker_end()
            stacks.write_to(end.tells)
            return self._work(end)

        child.live(work)

    def signal(self, worker: int, number: int) -> None:
        try:
            os.kill(worker, number)
        except ProcessLookupError:
            pass  # it was quicker

    def links(self) -> Iterable[HasDescriptor]:
        return ()

    def ended(self, workers: Iterable[int]) -> list[Ended]:
        found: list[Ended] = []
        for worker in workers:
            try:
                pid, status = os.waitpid(worker, os.WNOHANG)
            except ChildProcessError:
                pid, status = worker, 0  # SIGCHLD is ignored here: the kernel saw to it
            if pid:
                found.append((pid, status))
        return found + self._orphans() if self._adopts else found

    def _orphans(self) -> list[Ended]:
        """Wait for all that have ended; a worker may end just now as well."""
        found: list[Ended] = []
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return found
            if not pid:
                return found
            found.append((pid, status))

    def end(self, workers: Iterable[int]) -> None:
        for worker in workers:
            self.signal(worker, signal.SIGKILL)
            os.waitpid(worker, 0)
