"""The other workers of a server, and which of them should take the next connection.

All workers listen to the same sockets, and the kernel wakes the same one again and again. So a
worker that is woken looks at the figures of the others (server/scoreboard.py): if another has
fewer connections, it stands back for a moment and rings that one.

    woken ─▶ no worker is better ─▶ takes its share
        └──▶ one is better: rings it, does not watch the listeners
                   ├─▶ rung itself            ─▶ takes its share
                   └─▶ a MOMENT later         ─▶ watches again; if the better one has not
                                                 heard, it is left out until it does

A worker that is woken because it was rung takes at least one connection. So two workers never
wait for each other, and a connection waits a MOMENT at most for a worker that is deaf: stuck,
stopped, or at work with its only thread.

Each worker writes only its own row and reads the others as they are at this moment. A figure
that has just changed costs an even distribution at most, never a connection.
"""

from __future__ import annotations

from carboy.server.scoreboard import Figure, Row

# Plain integers: an Enum's attribute is looked up slowly on Python 3.11.
SERVING, CONNECTIONS, BUSY, HEARD = map(
    int, (Figure.SERVING, Figure.CONNECTIONS, Figure.BUSY, Figure.HEARD)
)
LEADER, BEAT = int(Figure.LEADER), int(Figure.BEAT)
MOMENT = 0.005  # seconds that a connection waits for the worker that was rung
# Seconds after which a deaf worker gets another chance. It usually tells before that it hears.
DEAF = 1.0
# A worker whose beat or leader is older than this (seconds) is stuck: they move once a second.
STALE = 3.0
# Quick connections are taken a little unevenly: one in SLACK more than the fewest. For each that
# is passed on another process has to wake up.
SLACK = 8
ANY = 1 << 30  # connections: more than anybody accepts in a turn

Load = tuple[bool, float, float]  # all threads at work?, connections, requests at work


class Balancer:
    """What one worker knows of the others. Only for the leader."""

    def __init__(self, row: Row, threads: int) -> None:
        self._row = row
        self._threads = threads
        self._alone = threads == 1
        self._better: tuple[Row, float] | None = None  # whom we stand back for, and its HEARD then
        self._deaf: dict[Row, tuple[float, float]] = {}  # its HEARD, and until when we believe it

    def share(self, now: float) -> int:
        """How many connections to take now; 0 when another worker should: then `ring` it."""
        self._better = None
        found = self._best(now)
        if found is None:
            return 1 if self._deaf else ANY
        best, least = found
        full, connections, busy = self._load(self._row)
        slack = 0 if busy or self._alone else least[1] // SLACK
        share = int(least[1] + slack - connections) + 1
        if full != least[0]:
            share = 0 if full else max(1, share)
        elif full and self._alone:
            return 0  # nothing that is taken now could be run, so whoever is free first takes it
        elif share == 1 and not slack and busy > least[2]:
            share = 0
        if share <= 0:
            self._better = best, best.cells[HEARD]
        return max(0, min(share, 1 if self._alone else ANY))

    def _best(self, now: float) -> tuple[Row, Load] | None:
        """The other worker that should take a connection first, and its load."""
        best = None
        for row in self._row.scoreboard.used():
            if row is self._row or not row.cells[SERVING] or self._is_deaf(row, now):
                continue
            load = self._load(row)
            if best is None or load < best[1]:
                best = row, load
        return best

    def ring(self) -> bool:
        """Wake the worker that should take the next connection; False if `share` found none."""
        if self._better is None:
            return False
        _ring(self._better[0])
        return True

    def hand_on(self, now: float) -> None:
        """This worker takes no connection any more: one that was left to it goes to another."""
        if found := self._best(now):
            _ring(found[0])

    def lapsed(self, now: float) -> None:
        """The moment of standing back is over."""
        if self._better is not None:
            row, heard = self._better
            if row.cells[HEARD] == heard:
                self._deaf[row] = heard, now + DEAF
            self._better = None

    def _is_deaf(self, row: Row, now: float) -> bool:
        beat, leader = row.cells[BEAT], row.cells[LEADER]
        if beat and leader and now - min(beat, leader) > STALE:
            return True
        if row not in self._deaf:
            return False
        heard, until = self._deaf[row]
        if row.cells[HEARD] == heard and now < until:
            return True
        del self._deaf[row]
        return False

    def _load(self, row: Row) -> Load:
        cells = row.cells
        busy = cells[BUSY]
        return busy >= self._threads, cells[CONNECTIONS], busy


def _ring(row: Row) -> None:
    if row.bell is not None:
        row.bell.wake()
