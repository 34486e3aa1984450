"""Counts the requests of a worker, where the supervisor reads the numbers.

It takes the place of the access log, so requests cost nothing where no number is needed.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable

from carboy.server.logs.facts import Record
from carboy.server.machine import resident
from carboy.server.scoreboard import Figure, Row

Access = Callable[[Record], None]
FAILED = 500  # the smallest status that counts as an error


def counted(row: Row, access: Access | None, counts: bool, watches_memory: object) -> Access | None:
    """`access`, which also counts requests if the supervisor wants to know them (`counts`).

    If it `watches_memory`, it is told how much the worker uses now, before the first request.
    """
    if watches_memory:
        row.cells[Figure.LOADED] = resident(os.getpid()) or 0
    return Tally(row, access) if counts else access


class Tally:
    """Passes records on to `access` and counts them in `row`. Any thread may call it.

    `next` of a counter is one step for all threads. Two threads may write their numbers in the
    wrong order; the next request corrects that.
    """

    def __init__(self, row: Row, access: Access | None) -> None:
        self._cells = row.cells
        self._access = access
        self._requests = itertools.count(1)
        self._errors = itertools.count(1)

    def __call__(self, record: Record) -> None:
        """Count the request of a record."""
        self._cells[Figure.REQUESTS] = next(self._requests)
        if record[4] >= FAILED:
            self._cells[Figure.ERRORS] = next(self._errors)
        if self._access is not None:
            self._access(record)
