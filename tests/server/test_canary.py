"""The decision of --canary: whether new code that one worker has tried may be used."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carboy.server.processes.canary import Canary, Sample, at_least, judge


@pytest.mark.parametrize(
    ("canary", "others", "good"),
    [
        (Sample(0, 0), Sample(0, 0), True),
        (Sample(100, 0), Sample(100, 50), True),
        (Sample(1, 1), Sample(0, 0), False),
        (Sample(5, 5), Sample(20, 0), False),
        (Sample(1000, 1), Sample(1000, 0), True),
        (Sample(1000, 5), Sample(1000, 0), False),
        (Sample(100, 10), Sample(1000, 100), True),
        (Sample(100, 13), Sample(1000, 100), True),
        (Sample(100, 20), Sample(1000, 100), False),
        (Sample(100_000, 1100), Sample(400_000, 4000), False),
        (Sample(100_000, 1010), Sample(400_000, 4000), True),
        (Sample(50, 50), Sample(50, 50), True),
        (Sample(1000, 0, crashes=1), Sample(1000, 0), False),
        (Sample(1000, 0, crashes=1), Sample(1000, 0, crashes=1), True),
    ],
)
def test_the_share_of_errors_decides_beyond_chance(
    canary: Sample, others: Sample, good: bool
) -> None:
    assert judge(canary, others) is good


@given(st.integers(1, 5000), st.data())
def test_more_errors_never_make_new_code_better(requests: int, data: st.DataObject) -> None:
    errors = data.draw(st.integers(0, requests - 1))
    seen = data.draw(st.integers(0, 5000))
    others = Sample(seen, data.draw(st.integers(0, seen)))
    if not judge(Sample(requests, errors), others):
        assert not judge(Sample(requests, errors + 1), others)


@given(st.integers(0, 300), st.integers(0, 300), st.floats(0, 1))
def test_a_probability_is_between_0_and_1(count: int, trials: int, rate: float) -> None:
    assert 0.0 <= at_least(count, trials, rate) <= 1.0


def test_the_probability_of_a_coin_is_known() -> None:
    assert at_least(1, 1, 0.5) == pytest.approx(0.5)
    assert at_least(2, 3, 0.5) == pytest.approx(0.5)
    assert at_least(10, 10, 0.5) == pytest.approx(1 / 1024)


def test_only_requests_since_the_new_worker_serves_count() -> None:
    canary = Canary(30.0)
    assert canary.verdict({1: (500, 400)}, 5.0) is None  # it is still loading
    canary.ready(3, {1: (500, 400), 2: (100, 0)}, 10.0)
    verdict = canary.verdict({1: (600, 400), 2: (200, 0), 3: (100, 50)}, 40.0)
    assert verdict is not None and not verdict.good and verdict.worker == 3
    assert verdict.figures == (
        "50 errors in 100 requests (50.0%). The others: 0 errors in 200 requests (0.0%)"
    )


def test_code_that_clearly_fails_is_found_before_the_time_is_over() -> None:
    canary = Canary(30.0)
    canary.ready(3, {1: (0, 0)}, 10.0)
    assert canary.verdict({1: (20, 0), 3: (1, 1)}, 11.0) is None  # it may be chance
    assert canary.wake_at() < 40.0
    verdict = canary.verdict({1: (50, 0), 3: (5, 5)}, canary.wake_at())
    assert verdict is not None and not verdict.good


def test_good_code_is_tried_for_the_whole_time() -> None:
    canary = Canary(30.0)
    canary.ready(3, {1: (0, 0)}, 10.0)
    while (now := canary.wake_at()) < 40.0:
        assert canary.verdict({1: (5000, 0), 3: (5000, 0)}, now) is None
    verdict = canary.verdict({1: (5000, 0), 3: (5000, 0)}, 40.0)
    assert verdict is not None and verdict.good


def test_a_crash_of_the_new_worker_ends_the_time_at_once() -> None:
    canary = Canary(30.0)
    canary.ready(3, {1: (0, 0)}, 10.0)
    canary.ended(3, (7, 0), True, 12.0)
    verdict = canary.verdict({1: (20, 0)}, 12.0)
    assert verdict is not None and not verdict.good
    assert verdict.figures.startswith("0 errors in 7 requests (0.0%), 1 crashes")


def test_an_old_worker_that_has_ended_is_not_forgotten() -> None:
    canary = Canary(30.0)
    canary.ready(3, {1: (0, 0), 2: (0, 0)}, 10.0)
    canary.ended(2, (100, 50), True, 20.0)
    verdict = canary.verdict({1: (100, 50), 3: (100, 50), 4: (100, 100)}, 40.0)
    assert verdict is not None and verdict.good
    assert "The others: 100 errors in 200 requests (50.0%), 1 crashes" in verdict.figures
