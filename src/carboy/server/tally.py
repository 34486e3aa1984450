"""Counts the requests of a worker, where the supervisor reads the numbers.

It takes the place of the access log, so requests cost nothing where no number is needed.
"""

from __future__ import annotations

import itertools

from carboy.server.logs.access_log import Record, RequestLog
from carboy.server.scoreboard import Figure, Row

FAILED = 500  # the smallest status that counts as an error


class Tally:
    """Passes records on to `access` and counts them in `row`. Any thread may call it.

    `next` of a counter is one step for all threads. Two threads may write their numbers in the
    wrong order; the next request corrects that.
    """

    def __init__(self, row: Row, access: RequestLog | None) -> None:
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
