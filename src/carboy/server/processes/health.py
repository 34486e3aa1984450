"""A supervisor's handling of stuck workers, and its watchdog messages to the service manager.

Decisions are in stuck.py. A worker that can still run Python code is asked over its link for the
stacks of its threads; for one that cannot, faulthandler writes them (stacks.py).
"""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Iterator, Mapping

from carboy.server import systemd
from carboy.server.logs.error_log import ERROR_LOGGER
from carboy.server.processes import stacks, stuck
from carboy.server.processes.generations import STACKS_DELAY
from carboy.server.processes.link import WorkerLink
from carboy.server.processes.start_methods import StartMethod
from carboy.server.processes.stuck import Stuck, StuckDetector
from carboy.server.scoreboard import Figure

log = logging.getLogger(ERROR_LOGGER)

LONGEST_WAIT = 10.0  # seconds for which a worker is asked for its stacks

Links = Mapping[int, WorkerLink]


class Health:
    """Watches the workers of a supervisor. `worker_timeout` is in seconds; 0: none is stuck.

    `threads` is how many threads each worker has, for the log.
    """

    def __init__(self, worker_timeout: float, threads: int) -> None:
        self.timeout = worker_timeout
        self._threads = threads
        self._detector = StuckDetector(worker_timeout)
        self._watchdog = systemd.Watchdog()
        # The service manager is notified even where stuck workers are not ended.
        wanted = worker_timeout or self._watchdog.timeout
        self._health = StuckDetector(wanted)
        self.beat = stuck.beat_interval(wanted)
        # worker: when the stacks it was asked for are logged, and how long they are waited for
        self._asked: dict[int, tuple[float, float]] = {}

    def stuck(self, serving: Links, now: float) -> Iterator[tuple[int, Stuck]]:
        """The workers that are stuck; the log says why, with their requests."""
        for worker, link in serving.items():
            if found := self._detector.judge(link.row, now):
                self._log(worker, link, found)
                self.ask_for_stacks(worker, link, answers=found is not Stuck.LOCK)
                link.row.cells[Figure.SERVING] = 0.0  # other workers need not wait for this one
                yield worker, found

    def feed_watchdog(self, serving: Links, now: float, stopping: bool) -> None:
        """Tell the service manager, as often as it asks for it, that a worker is not stuck."""
        if now >= self._watchdog.wake_at:
            rows = [link.row for link in serving.values()]
            if stopping or any(not self._health.judge(row, now) for row in rows):
                self._watchdog.feed()
            self._watchdog.next(now)

    def wake_at(self, serving: Links, now: float) -> float:
        """When to look again."""
        due = self._detector.wake_at([link.row for link in serving.values()], now)
        return min([due, self._watchdog.wake_at, *(at for at, _ in self._asked.values())])

    def woke(self, now: float) -> None:
        """Called after each sleep that `wake_at` has limited."""
        self._detector.woke(now)

    def _log(self, worker: int, link: WorkerLink, found: Stuck) -> None:
        why = stuck.REASONS[found]
        if found is Stuck.LOCK and stacks.is_stopped(worker):
            why = stuck.STOPPED
        elif found is Stuck.LEADER and self._threads == 1:
            why = stuck.ONLY_THREAD
        log.error(
            "Worker %d has been stuck for %g s: %s. Another one takes its place.%s",
            worker, self.timeout, why, link.in_flight.describe(),
        )  # fmt: skip

    # --- stacks

    def ask_what_it_does(self, worker: int, link: WorkerLink, start_method: StartMethod) -> None:
        """Have a worker log its requests and stacks, or log them if it cannot run Python code."""
        if runs_python(link):
            start_method.signal(worker, signal.SIGUSR2)
            return
        log.warning(
            "Report on worker %d requested by SIGUSR2.%s", worker, link.in_flight.describe()
        )
        self.ask_for_stacks(worker, link)

    def ask_for_stacks(self, worker: int, link: WorkerLink, answers: bool = False) -> None:
        """Have the stacks of a worker logged a moment later. `answers`: it can run Python code."""
        self._asked[worker] = (time.monotonic() + STACKS_DELAY, STACKS_DELAY)
        if answers:
            link.tell(stacks=True)
        else:
            stacks.ask(worker)

    def log_stacks(self, links: Links, now: float) -> None:
        """Log the stacks that were asked for a moment ago, or wait longer on a busy machine."""
        for worker, (due, wait) in list(self._asked.items()):
            if now < due:
                continue
            if log_stacks_of(worker, links[worker]) or wait > LONGEST_WAIT:
                del self._asked[worker]
            else:
                self._asked[worker] = (now + 2 * wait, 2 * wait)

    def ended(self, worker: int, link: WorkerLink) -> None:
        """Log the stacks of a worker that was asked for them and has ended."""
        if self._asked.pop(worker, None):
            log_stacks_of(worker, link)


def runs_python(link: WorkerLink) -> bool:
    """Whether a worker can still run Python code, or has not begun to show that it does."""
    beat = link.row.cells[Figure.BEAT]
    return not beat or time.monotonic() - beat < 2 * stuck.LONGEST_BEAT


def log_stacks_of(worker: int, link: WorkerLink) -> bool:
    """Log the stacks that a worker has written; False if it has not."""
    if text := link.take_stacks():
        log.error("Stacks of the threads of worker %d:\n%s", worker, text)
    return bool(text)
