"""Decisions about which workers are stuck, from the figures that they write.

    BEAT old                the interpreter lock is held, or the process is stopped
    BEAT fresh, LEADER old  the thread that reads requests is stuck
    BEAT fresh, CREW old    every thread runs a request, others wait, and none makes progress

The supervisor checks at the time at which a worker would be stuck if its figures stayed as they
are, so healthy workers cost one check every `timeout` seconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from carboy.server.scoreboard import Figure, Row

LONGEST_BEAT = 1.0  # seconds between two beats of a worker
# Seconds by which the supervisor may wake too late. If it is later, it was stopped or starved
# itself, and so were its workers: they have another `timeout` then.
OVERSLEPT = 1.0


class Stuck(Enum):
    """Ways in which a worker can be stuck."""

    LOCK = "lock"
    LEADER = "leader"
    CREW = "crew"


FIGURES = {Stuck.LOCK: Figure.BEAT, Stuck.LEADER: Figure.LEADER, Stuck.CREW: Figure.CREW}


REASONS = {
    Stuck.LOCK: (
        "a request holds the interpreter lock in compiled code, such as a regular expression or"
        " an extension module, so that nothing else can run"
    ),
    Stuck.LEADER: "the thread that reads requests is stuck",
    Stuck.CREW: "all its threads have been running requests for that long, and others wait",
}
ONLY_THREAD = "its only thread (--threads 1) runs one request"
STOPPED = "it has been stopped by a signal"


def beat_interval(timeout: float) -> float:
    """Seconds between two beats of a worker, for this `timeout`; 0: no beats are wanted."""
    return min(LONGEST_BEAT, timeout / 4)


class StuckDetector:
    """Judges workers that should show a sign of life every `timeout` seconds (0: never)."""

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        # A worker is never ended before the timeout, and at most a beat after it.
        self._limit = timeout + beat_interval(timeout)
        self._floor = 0.0  # times before this one do not count
        self._due = float("inf")

    def wake_at(self, rows: Iterable[Row], now: float) -> float:
        """When to judge again; infinity when there is no worker to judge."""
        self._due = float("inf")
        if self.timeout:
            for row in rows:
                oldest = max(self._age(row, figure, now) for figure in FIGURES.values())
                self._due = min(self._due, now + self._limit - oldest)
        return self._due

    def woke(self, now: float) -> None:
        """Called after each sleep that `wake_at` has limited."""
        if now > self._due + OVERSLEPT:
            self._floor = now

    def judge(self, row: Row, now: float) -> Stuck | None:
        """How the worker of `row` is stuck; None if it is not."""
        if self.timeout:
            for stuck, figure in FIGURES.items():
                if self._age(row, figure, now) >= self._limit:
                    return stuck
        return None

    def _age(self, row: Row, figure: Figure, now: float) -> float:
        return now - max(row.cells[figure], self._floor)
