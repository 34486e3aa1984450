from __future__ import annotations

import pytest

from carboy.server.busy_warnings import MOMENT, NAMED, PAUSE, REMINDER, BusyWarnings

RUNNING = [("GET /a HTTP/1.1", 3.0), ("GET /b HTTP/1.1", 12.25)]


class Told:
    """A BusyWarnings, and what it has logged."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self.warnings = BusyWarnings(2)
        self.caplog = caplog

    def look(self, now: float, full: bool = True, moved: float = 0.0, **more: object) -> list[str]:
        self.caplog.clear()
        running = more.get("running", RUNNING)
        self.warnings.check(now, full, moved, more.get("oldest"), 3, lambda: running)  # type: ignore
        return [record.getMessage() for record in self.caplog.records]


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Told:
    return Told(caplog)


def test_busy_threads_for_a_moment_are_not_logged(told: Told) -> None:
    assert told.look(100.0) == []
    assert told.look(100.0 + MOMENT / 2) == []
    assert told.look(100.0 + MOMENT, full=False) == []


def test_the_warning_names_the_longest_requests_first(told: Told) -> None:
    told.look(100.0)
    assert told.look(100.0 + MOMENT) == [
        "All 2 threads are busy, and 3 requests wait for one. Running: GET /b HTTP/1.1 (12.2 s),"
        " GET /a HTTP/1.1 (3.0 s)."
    ]
    assert told.look(102.0) == []
    told.warnings.refused()
    assert told.look(104.0, full=False) == [
        "Threads are free again after 4.0 s. Meanwhile 1 request was answered with 503,"
        " and 0 were dropped because their clients had gone."
    ]
    assert told.look(105.0, full=False) == []


def test_threads_that_come_and_go_are_not_stuck_unless_a_request_waits_long(told: Told) -> None:
    for second in range(100, 110):
        assert told.look(float(second), moved=second - 0.01, oldest=second - 0.5) == []
    assert told.look(110.0, moved=109.9, oldest=110.0 - MOMENT)


def test_only_some_requests_are_named(told: Told) -> None:
    told.look(100.0)
    many = [(f"GET /{n} HTTP/1.1", float(n)) for n in range(NAMED + 5)]
    (line,) = told.look(102.0, running=many)
    assert line.count("HTTP/1.1") == NAMED and line.endswith(" and 5 more.")


def test_the_log_is_not_flooded(told: Told) -> None:
    lines = 0
    for tenth in range(1000, 2000):  # full for two seconds of every three
        lines += len(told.look(tenth / 10, full=tenth % 30 < 20))
    assert 2 <= lines <= 2 * (100 / PAUSE + 1)


def test_the_warning_is_repeated_after_a_while(told: Told) -> None:
    lines = sum(len(told.look(float(second))) for second in range(100, 100 + int(3 * REMINDER)))
    assert lines == 3
