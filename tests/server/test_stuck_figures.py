"""Judgement of workers by their figures, without a process."""

from __future__ import annotations

import pytest

from carboy.server.processes.stuck import OVERSLEPT, Stuck, StuckDetector, beat_interval
from carboy.server.scoreboard import Figure, Row, private_row

TIMEOUT = 30.0
LIMIT = TIMEOUT + beat_interval(TIMEOUT)


def row(beat: float = 0.0, leader: float = 0.0, crew: float = 0.0) -> Row:
    made = private_row()
    made.cells[Figure.BEAT] = beat
    made.cells[Figure.LEADER] = leader
    made.cells[Figure.CREW] = crew
    return made


def test_a_worker_that_beats_is_not_stuck() -> None:
    assert StuckDetector(TIMEOUT).judge(row(100.0, 100.0, 100.0), 101.0) is None


@pytest.mark.parametrize(
    ("figures", "stuck"),
    [
        ({}, Stuck.LOCK),
        ({"beat": 100.0}, Stuck.LEADER),
        ({"beat": 100.0, "leader": 100.0}, Stuck.CREW),
    ],
)
def test_the_old_figure_shows_what_is_stuck(figures: dict[str, float], stuck: Stuck) -> None:
    assert StuckDetector(TIMEOUT).judge(row(**figures), 100.0) is stuck


def test_a_worker_is_never_ended_before_the_time_out() -> None:
    # Its last sign of life may be a beat older than what holds it.
    detector = StuckDetector(TIMEOUT)
    assert detector.judge(row(), LIMIT - 0.001) is None
    assert detector.judge(row(), LIMIT) is Stuck.LOCK


def test_nothing_is_judged_when_the_time_out_is_off() -> None:
    detector = StuckDetector(0.0)
    assert detector.judge(row(), 1e9) is None
    assert detector.wake_at([row()], 1e9) == float("inf")


def test_the_next_look_is_when_the_oldest_figure_is_due() -> None:
    detector = StuckDetector(TIMEOUT)
    rows = [row(9.0, 9.0, 9.0), row(8.0, 9.0, 9.0)]
    assert detector.wake_at(rows, 9.0) == pytest.approx(8.0 + LIMIT)
    assert detector.wake_at([], 9.0) == float("inf")


def test_workers_that_were_suspended_with_the_supervisor_have_another_timeout() -> None:
    detector = StuckDetector(TIMEOUT)
    due = detector.wake_at([row()], 0.0)
    now = due + OVERSLEPT + 3600.0
    detector.woke(now)
    assert detector.judge(row(), now) is None
    assert detector.judge(row(), now + LIMIT) is Stuck.LOCK
