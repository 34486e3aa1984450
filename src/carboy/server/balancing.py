"""Which worker of a server should accept the next connection.

All workers listen on the same sockets, and the kernel wakes the same one again and again. So a
worker that is woken reads the figures of the others (server/scoreboard.py): if another one has
fewer connections, it leaves the listeners alone for a moment, and asks that worker by waking it.

    woken ─▶ no worker is better ─▶ accepts its share
        └──▶ one is better: asks it, does not watch the listeners
                   ├─▶ is asked itself         ─▶ accepts its share
                   └─▶ RESPONSE_TIME later     ─▶ watches again; if the better worker has not
                                                  reacted, it is left out until it does

A worker that is woken because it was asked accepts at least one connection, so two workers never
wait for each other, and a connection waits RESPONSE_TIME at most for a worker that does not react:
one that is stuck or stopped, or whose only thread is busy.

Each worker writes only its own row and reads the others as they are at this moment. A figure
that has just changed costs an even distribution at most, never a connection.
"""

from __future__ import annotations

from carboy.server.scoreboard import Figure, Row

# Plain integers: an Enum's attribute is looked up slowly on Python 3.11.
SERVING, CONNECTIONS, BUSY, REACTED = map(
    int, (Figure.SERVING, Figure.CONNECTIONS, Figure.BUSY, Figure.REACTED)
)
LEADER, BEAT = int(Figure.LEADER), int(Figure.BEAT)
RESPONSE_TIME = 0.005  # seconds that a connection waits for the worker that was asked
# Seconds after which a worker that did not react is asked again, unless it reacts earlier.
ASK_AGAIN = 1.0
# A worker whose beat or leader is older than this (seconds) is stuck: both move once a second.
STALE = 3.0
# Quick connections may be a little uneven: one in SLACK more than the fewest. For each connection
# that is passed on, another process has to wake up.
SLACK = 8
ANY = 1 << 30  # connections: more than a worker accepts in a turn

Load = tuple[bool, float, float]  # whether all threads are busy; connections; running requests


class Balancer:
    """One worker's view of the others. Only for the leader."""

    def __init__(self, row: Row, threads: int) -> None:
        self._row = row
        self._threads = threads
        self._single_threaded = threads == 1
        self._better: tuple[Row, float] | None = None  # the worker to ask, and its REACTED then
        # Workers that did not react: their REACTED then, and when to ask them again.
        self._unresponsive: dict[Row, tuple[float, float]] = {}

    def share(self, now: float) -> int:
        """How many connections to accept now; 0 when another worker should (`ask_better`)."""
        self._better = None
        found = self._best(now)
        if found is None:
            return 1 if self._unresponsive else ANY
        best, least = found
        full, connections, busy = self._load(self._row)
        slack = 0 if busy or self._single_threaded else least[1] // SLACK
        share = int(least[1] + slack - connections) + 1
        if full != least[0]:
            share = 0 if full else max(1, share)
        elif full and self._single_threaded:
            return 0  # it could not run yet, so the worker that is free first accepts it
        elif share == 1 and not slack and busy > least[2]:
            share = 0
        if share <= 0:
            self._better = best, best.cells[REACTED]
        return max(0, min(share, 1 if self._single_threaded else ANY))

    def _best(self, now: float) -> tuple[Row, Load] | None:
        """The other worker that should accept a connection first, and its load."""
        best = None
        for row in self._row.scoreboard.used():
            if row is self._row or not row.cells[SERVING] or self._is_unresponsive(row, now):
                continue
            load = self._load(row)
            if best is None or load < best[1]:
                best = row, load
        return best

    def ask_better(self) -> bool:
        """Ask the worker that `share` found to accept; returns False if it found none."""
        if self._better is None:
            return False
        _wake(self._better[0])
        return True

    def pass_on(self, now: float) -> None:
        """This worker accepts no more: ask another one for a connection that was left to it."""
        if found := self._best(now):
            _wake(found[0])

    def waited(self, now: float) -> None:
        """The time to react is over: note a worker that has not reacted."""
        if self._better is not None:
            row, reacted = self._better
            if row.cells[REACTED] == reacted:
                self._unresponsive[row] = reacted, now + ASK_AGAIN
            self._better = None

    def _is_unresponsive(self, row: Row, now: float) -> bool:
        beat, leader = row.cells[BEAT], row.cells[LEADER]
        if beat and leader and now - min(beat, leader) > STALE:
            return True
        reacted, until = self._unresponsive.get(row, (0.0, 0.0))
        if now < until and row.cells[REACTED] == reacted:
            return True
        self._unresponsive.pop(row, None)
        return False

    def _load(self, row: Row) -> Load:
        cells = row.cells
        busy = cells[BUSY]
        return busy >= self._threads, cells[CONNECTIONS], busy


def _wake(row: Row) -> None:
    if row.waker is not None:
        row.waker.wake()
