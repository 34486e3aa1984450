"""Which connections are looked at when, to find those over a limit."""

from __future__ import annotations

from typing import Any

import pytest

from carboy.protocol.limits import Limits
from carboy.protocol.machine import Machine
from carboy.server.connection import IDLE, Connection
from carboy.server.deadlines import SLICE, Deadlines
from carboy.server.settings import Settings


def connections(count: int, since: float) -> list[Connection]:
    made = []
    for _ in range(count):
        sock: Any = NoSocket()
        connection = Connection(sock, Machine(Limits()), None, None, since)
        connection.phase = IDLE
        made.append(connection)
    return made


class NoSocket:
    def fileno(self) -> int:
        return -1


def test_few_connections_are_looked_at_together() -> None:
    deadlines = Deadlines(Settings(keepalive_timeout=60.0))
    late = connections(SLICE, 1000.0)
    assert len(deadlines.exceeded(late, 1100.0)) == SLICE
    assert deadlines.pause == deadlines.interval


def test_many_connections_are_looked_at_in_slices_within_one_interval() -> None:
    deadlines = Deadlines(Settings(keepalive_timeout=60.0))
    late = connections(2 * SLICE + 1, 1000.0)
    now, found = 1100.0, []
    for _ in range(3):
        looks = deadlines.exceeded(late, now)
        assert len(looks) <= SLICE
        found += looks
        now += deadlines.pause
    assert {connection for connection, _ in found} == set(late)
    assert now == pytest.approx(1100.0 + deadlines.interval)


def test_connections_that_come_during_an_interval_are_looked_at_in_the_next() -> None:
    deadlines = Deadlines(Settings(keepalive_timeout=60.0))
    late = connections(SLICE + 1, 1000.0)
    deadlines.exceeded(late, 1100.0)
    (newcomer,) = connections(1, 1000.0)
    late.append(newcomer)
    assert newcomer not in dict(deadlines.exceeded(late, 1100.1))
    found = dict(deadlines.exceeded(late, 1100.2)) | dict(deadlines.exceeded(late, 1100.3))
    assert newcomer in found
