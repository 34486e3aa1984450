"""The ways in which a supervisor starts a worker, signals it and learns of its end.

    Fork        forks the worker from the supervisor, which has imported Carboy only
    Templates   forks it from a template process, which has imported packages (template.py)

Where processes cannot fork, the program is started again as a whole: cli/dev/portable.py.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import NoReturn, Protocol

from carboy.server import signals
from carboy.server.processes import child, stacks
from carboy.server.processes.link import SupervisorLink, WorkerLink

Work = Callable[[SupervisorLink], int]  # the work of a worker; returns its exit code
Ended = tuple[int, int]  # a worker, and its status as os.waitpid gives it


class StartMethod(Protocol):
    """A worker is known by its process id, which `start` returns."""

    def start(self, link: WorkerLink, leave: Callable[[], object]) -> int:
        """Start a worker; OSError when no process, memory or descriptor is left.

        `leave` closes the supervisor's descriptors in a process that is forked from it.
        """

    def signal(self, worker: int, number: int) -> None:
        """Send a signal to a worker, if it still exists."""

    def ended(self, workers: Iterable[int]) -> list[Ended]:
        """The workers that have ended; does not wait. May include other processes."""

    def end(self, workers: Iterable[int]) -> None:
        """Kill these workers and wait for their end. No worker is started after that."""


class CannotFork(RuntimeError):
    """More than one worker was asked for where processes cannot fork."""

    def __init__(self) -> None:
        super().__init__(
            "Worker processes need os.fork, which this system does not have."
            " Use one worker and more threads: --workers 1 --threads 64."
        )


class Children:
    """Workers that are children of this process.

    `adopts`: processes whose parents have ended become its children too, and it waits for them.
    """

    def __init__(self, adopts: bool) -> None:
        self._adopts = adopts

    def signal(self, worker: int, number: int) -> None:
        try:
            os.kill(worker, number)
        except ProcessLookupError:
            pass  # it has just ended

    def ended(self, workers: Iterable[int] = ()) -> list[Ended]:
        found: list[Ended] = []
        for worker in workers:
            try:
                pid, status = os.waitpid(worker, os.WNOHANG)
            except ChildProcessError:
                pid, status = worker, 0  # SIGCHLD is ignored here, so the kernel waited for it
            if pid:
                found.append((pid, status))
        while self._adopts:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if not pid:
                break
            found.append((pid, status))  # a worker may have ended just now as well
        return found

    def end(self, workers: Iterable[int] = ()) -> None:
        for worker in workers:
            self.signal(worker, signal.SIGKILL)
            with suppress(ChildProcessError):  # its end was taken by the step that has failed
                os.waitpid(worker, 0)


class Fork(Children):
    """Forks workers from this process. `handled` are the signals of its supervisor."""

    def __init__(
        self,
        work: Work,
        handled: Iterable[signal.Signals] = signals.SUPERVISED,
        adopts: bool = False,
    ) -> None:
        if not hasattr(os, "fork"):
            raise CannotFork()
        super().__init__(adopts)
        self._work = work
        self._handled = tuple(handled)
        # The kernel sends a parent-death signal when the *thread* that forked ends, and only
        # the main thread lives as long as the process.
        self._prctl = child.find_prctl() if signals.in_main_thread() else None

    def start(self, link: WorkerLink, leave: Callable[[], object]) -> int:
        # A signal between the fork and the worker's own handlers would be noted in a copy
        # of the supervisor's inbox that is never read; blocked, it waits.
        with child.blocked(self._handled):
            pid = os.fork()
            if pid == 0:
                self._become_worker(link, leave)
        return pid

    def _become_worker(self, link: WorkerLink, leave: Callable[[], object]) -> NoReturn:
        """The rest of the child's life; it must never return into the supervisor's frames."""

        def work() -> int:
            leave()
            child.reset_signals(self._handled)
            # Besides the link, which needs a thread of the worker to run.
            child.die_with_parent(self._prctl)
            end = link.worker_end()
            stacks.write_to(end.tells)
            return self._work(end)

        child.live(work)
