"""Which worker is replaced because of its requests, its age or its memory."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carboy.server.machine import resident
from carboy.server.processes.wear import MIB, RESERVE, REST, Seen, Wear
from carboy.server.worker_limits import WorkerLimits

LIMIT = 1024 * MIB


def wear(uniform: float = 0.0, **limits: object) -> tuple[Wear, list[str]]:
    said: list[str] = []
    made = Wear(
        WorkerLimits(**limits),  # type: ignore[arg-type]
        said.append,
        lambda low, high: low + uniform * (high - low),
        lambda: LIMIT,
    )
    return made, said


def reason(wear: Wear, *seen: Seen, count: int = 1) -> tuple[int, str] | None:
    worn = wear.due(seen, count)
    return None if worn is None else (worn.number, worn.reason)


def test_without_limits_no_worker_is_replaced() -> None:
    plain, _ = wear()
    assert plain.wake_at == float("inf")
    assert reason(plain, Seen(1, 1e9, 10**9, None)) is None


def test_a_worker_is_replaced_after_its_requests_and_the_log_says_why() -> None:
    ours, _ = wear(max_requests=100)
    assert reason(ours, Seen(1, 1, 99, None)) is None
    worn = ours.due([Seen(1, 2, 100, None)], 1)
    assert worn is not None
    assert worn.text == "it has handled 100 requests (--max-requests)"


def test_jitter_is_added_once_for_each_worker() -> None:
    ours, _ = wear(0.5, max_requests=100, max_requests_jitter=20)
    assert reason(ours, Seen(1, 1, 109, None)) is None
    assert reason(ours, Seen(1, 1, 110, None)) == (1, "max_requests")


def test_a_tenth_of_the_lifetime_is_added_at_most() -> None:
    ours, _ = wear(1.0, max_lifetime=100.0)
    assert reason(ours, Seen(1, 109.9, 0, None)) is None
    assert reason(ours, Seen(1, 110.1, 0, None)) == (1, "max_lifetime")


def test_a_worker_that_grows_above_the_limit_is_replaced() -> None:
    ours, said = wear(max_memory="100m")
    assert reason(ours, Seen(1, 1, 0, 90 * MIB)) is None
    assert reason(ours, Seen(1, 2, 0, 101 * MIB)) == (1, "max_memory")
    assert reason(ours, Seen(2, 2, 0, None)) is None
    assert said == []


def test_a_worker_that_is_too_large_from_the_start_is_replaced_late_with_a_warning() -> None:
    ours, said = wear(max_memory="100m")
    for number in (1, 2):
        size = 300 * MIB
        assert reason(ours, Seen(number, 1, 0, size, size)) is None
        assert reason(ours, Seen(number, REST + 1, 0, size, size)) == (number, "max_memory")
    assert len(said) == 1 and "300 MiB" in said[0] and "Use a larger --max-memory" in said[0]


def test_auto_is_a_share_of_the_container_for_each_worker() -> None:
    ours, _ = wear(max_memory="auto")
    assert ours.memory_allowed(1) == 0.75 * LIMIT
    assert ours.memory_allowed(4) == 0.75 * LIMIT / 4


@pytest.mark.parametrize("count", [1, 4])
def test_auto_leaves_room_for_a_replacement_of_a_large_application(count: int) -> None:
    ours, _ = wear(max_memory="auto")
    loaded = 300 * MIB / count
    allowed = ours.memory_allowed(count, loaded)
    assert count * allowed + loaded + RESERVE <= LIMIT
    seen = Seen(1, 1, 0, int(allowed) + MIB, int(loaded))
    assert reason(ours, seen, count=count) == (1, "max_memory")


def test_auto_does_not_replace_an_application_that_only_fits_once() -> None:
    ours, said = wear(max_memory="auto")
    loaded = int(0.45 * LIMIT)
    assert reason(ours, Seen(1, REST + 1, 0, int(1.4 * loaded), loaded)) is None
    assert said == []
    assert ours.memory_allowed(1, LIMIT) == 0.75 * LIMIT


def test_the_worker_that_exceeds_its_limit_most_is_first() -> None:
    ours, _ = wear(max_requests=100)
    assert reason(ours, Seen(1, 1, 110, None), Seen(2, 1, 150, None)) == (2, "max_requests")


@given(st.integers(1, 10**6), st.integers(0, 1000), st.floats(0, 1))
def test_no_worker_is_replaced_before_its_limit(most: int, jitter: int, drawn: float) -> None:
    ours, _ = wear(drawn, max_requests=most, max_requests_jitter=jitter)
    assert reason(ours, Seen(1, 1, most - 1, None)) is None
    assert reason(ours, Seen(1, 1, most + jitter, None)) == (1, "max_requests")


@pytest.mark.parametrize(
    ("limits", "part"),
    [
        ({"max_memory": "much"}, "--max-memory: 'much' is not a size"),
        ({"max_memory": "0"}, "--max-memory must be more than 0 bytes"),
        ({"max_requests": -1}, "max_requests must not be negative"),
    ],
)
def test_a_limit_that_cannot_work_is_refused(limits: dict[str, object], part: str) -> None:
    with pytest.raises(ValueError, match=part):
        WorkerLimits(**limits)  # type: ignore[arg-type]


def test_the_memory_of_a_process_can_be_read() -> None:
    found = resident(os.getpid())
    assert found is not None and found > 5 * MIB
    assert resident(2**22 + 1) is None


def test_a_worker_with_too_many_stuck_threads_is_replaced() -> None:
    ours = Wear(WorkerLimits(), most_stuck=4)
    assert ours.due([Seen(1, 1, 0, None, stuck=3)], 1) is None
    worn = ours.due([Seen(1, 1, 0, None, stuck=3), Seen(2, 1, 0, None, stuck=4)], 2)
    assert worn is not None
    assert (worn.number, worn.reason) == (2, "stuck_threads")
    assert worn.text == "4 threads do not end requests that are over their time limit"
