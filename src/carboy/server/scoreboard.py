"""Figures that the processes of a server share: one row for each worker, which all workers read.

The supervisor makes the mapping before it forks and gives each worker a row. A worker writes
only its own row; the supervisor clears a row when its worker has died, and again before another
worker gets it. A figure is one aligned machine word, so a reader in another process sees the
value before a write or the value after it, and needs no lock.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from enum import IntEnum

from carboy.net.waker import SharedWaker

ROWS = 1024  # workers that can exist at once, replacements included; only used pages take memory


class Figure(IntEnum):
    """The figures of a row. All are floats; times are those of time.monotonic()."""

    PID = 0  # 0: the row is free
    LEADER = 1  # time at which the leader last made progress
    BEAT = 2  # time at which a thread without other work last got the interpreter
    SERVING = 3  # 1 from when the worker takes connections until it is told to stop
    CONNECTIONS = 4  # open connections
    BUSY = 5  # requests that run or wait for a thread
    REACTED = 6  # time at which the worker could last take a connection when asked
    CREW = 7  # time at which a thread of the crew was free or began a request
    REQUESTS = 8  # requests that were answered, where they are counted (server/tally.py)
    ERRORS = 9  # those with a status of 500 or more
    LOADED = 10  # bytes of memory when the application had been loaded, where it is limited
    STUCK = 11  # threads that do not end a request over its time limit
    MEMORY = 12  # bytes of resident memory at the last beat; 0: not known


# Figures in a row: 128 bytes, two cache lines, so that workers do not slow each other down.
WIDTH = 16


class Row:
    """The figures of one worker."""

    __slots__ = ("cells", "scoreboard", "waker")

    def __init__(
        self, scoreboard: Scoreboard, cells: memoryview[float], waker: SharedWaker | None = None
    ) -> None:
        self.scoreboard = scoreboard  # with the rows of the other workers
        self.cells = cells  # indexed by Figure
        self.waker = waker  # by which another worker asks this one to take a connection

    def clear(self) -> None:
        """Free the row."""
        for figure in Figure:
            self.cells[figure] = 0.0


class Scoreboard:
    """The rows of all workers, in memory that forked processes share."""

    def __init__(self, rows: int = ROWS) -> None:
        # The first row is the mapping's own: its first figure is the number of rows that were
        # ever in use, so that readers do not look at a thousand free ones. The second is `ending`.
        self._memory = mmap.mmap(-1, (rows + 1) * WIDTH * 8)
        self._cells = memoryview(self._memory).cast("d")
        self._size = rows
        self._rows: list[Row] = []  # made when they are first looked at
        self._wakers: list[SharedWaker] = []

    def _row(self, index: int) -> Row:
        while len(self._rows) <= index:
            start = (len(self._rows) + 1) * WIDTH
            waker = (
                self._wakers[min(len(self._rows), len(self._wakers) - 1)] if self._wakers else None
            )
            self._rows.append(Row(self, self._cells[start : start + WIDTH], waker))
        return self._rows[index]

    @property
    def ending(self) -> bool:
        """Whether the server, and not only one of its workers, is about to stop."""
        return bool(self._cells[1])

    def end(self) -> None:
        """Say so. Only for the supervisor; a worker that starts later knows it from the start."""
        self._cells[1] = 1.0

    def index(self, row: Row) -> int:
        """The place of a row, for a process that has the scoreboard as well; -1 if it has none."""
        return next((i for i, each in enumerate(self._rows) if each is row), -1)

    def row(self, index: int) -> Row:
        """The row at a place; for -1 a row that no other process reads."""
        return private_row() if index < 0 else self._row(index)

    def open_wakers(self, count: int) -> None:
        """Make the wakers of `count` rows; all further rows share the last one.

        They are made before the first worker, because a process has only the descriptors that
        existed when it was forked. Where one waker is shared, the first one that wakes takes the
        connection.
        """
        self._wakers = [SharedWaker() for _ in range(count)]

    def close_wakers(self) -> None:
        """Close the wakers. Workers that still run keep theirs."""
        for waker in self._wakers:
            waker.close()

    def take(self) -> Row:
        """A free row, cleared. Raises RuntimeError when all are in use. Only for the supervisor.

        The row is free for another caller while its PID is 0, so the supervisor writes the
        process id right after the fork.
        """
        for index in range(self._size):
            row = self._row(index)
            if not row.cells[Figure.PID]:
                row.clear()
                self._cells[0] = max(self._cells[0], index + 1.0)
                return row
        raise RuntimeError(f"More than {self._size} worker processes are not supported.")

    def used(self) -> Iterator[Row]:
        """The rows of the workers that exist, from any process.

        Workers that load the application or stop are among them: their SERVING is 0.
        """
        for index in range(int(self._cells[0])):
            row = self._row(index)
            if row.cells[Figure.PID]:
                yield row


def private_row() -> Row:
    """A row for a server without a supervisor: no other process reads it."""
    return Scoreboard(1).take()
