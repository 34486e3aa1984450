"""Figures that the processes of a server share: one row for each worker, which all of them read.

The supervisor makes the mapping before it forks and gives each worker a row. A worker writes
only its own row; the supervisor clears a row before a worker gets it. A figure is one aligned
machine word, so a reader in another process sees the value before a write or the value after
it, and needs no lock.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from enum import IntEnum

ROWS = 1024  # workers that can exist at once, replacements included; only used pages take memory


class Figure(IntEnum):
    """What a row holds. All are floats; times are those of time.monotonic()."""

    PID = 0  # 0: the row is free
    LEADER = 1  # time of the leader's last turn
    BEAT = 2  # time at which a thread without other work last got the interpreter
    SERVING = 3  # 1 from when the worker takes connections until it is told to stop
    CONNECTIONS = 4  # open connections
    BUSY = 5  # requests that run or wait for a thread


WIDTH = 8  # figures in a row: 64 bytes, a cache line, so that workers do not slow each other


class Row:
    """The figures of one worker."""

    __slots__ = ("cells", "index")

    def __init__(self, index: int, cells: memoryview[float]) -> None:
        self.index = index
        self.cells = cells  # indexed by Figure

    def clear(self) -> None:
        """Free the row."""
        for figure in Figure:
            self.cells[figure] = 0.0


class Scoreboard:
    """The rows of all workers, in memory that forked processes share."""

    def __init__(self, rows: int = ROWS) -> None:
        self._memory = mmap.mmap(-1, rows * WIDTH * 8)
        words = memoryview(self._memory).cast("d")
        self.rows = [Row(i, words[i * WIDTH : (i + 1) * WIDTH]) for i in range(rows)]

    def take(self) -> Row:
        """A free row, cleared. Raises RuntimeError when all are in use. Only for the supervisor.

        The row is free again when another caller finds its PID 0, so the supervisor writes the
        process id right after the fork.
        """
        for row in self.rows:
            if not row.cells[Figure.PID]:
                row.clear()
                return row
        raise RuntimeError(f"More than {len(self.rows)} worker processes are not supported.")

    def used(self) -> Iterator[Row]:
        """Rows that belong to a worker."""
        return (row for row in self.rows if row.cells[Figure.PID])
