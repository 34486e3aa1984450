"""Learning the processor time of keys. For their wall times see test_crew.py."""

from __future__ import annotations

import pytest

from carboy.server.dispatch_times import (
    BRIEF,
    CAP,
    CREDIT,
    RARER,
    SAMPLE,
    STUCK_PAUSE,
    UNCLEAR,
    DispatchTimes,
)

BUDGET = 0.001


def learned_of(key: str, seconds: float = 0.004) -> DispatchTimes:
    learned = DispatchTimes(BUDGET, size=10)
    learned.note(key, seconds)
    return learned


def test_a_handler_that_takes_its_time_from_the_processor_computes() -> None:
    learned = learned_of("page")
    assert not learned.computes("page")
    learned.note_usage("page", 0.0018, (0.0017, 0.0018, 2))
    assert learned.computes("page") == pytest.approx(0.0017)


def test_a_handler_that_computes_and_then_waits_for_longer_waits() -> None:
    learned = learned_of("mixed")
    for _ in range(2):
        learned.note_usage("mixed", 0.102, (0.002, 0.003, 3))
    assert not learned.computes("mixed")


def test_a_handler_that_computes_little_and_sleeps_waits() -> None:
    for seconds in (0.00005, 0.0003):
        learned = learned_of("sleeps")
        learned.note_usage("sleeps", 0.010, (seconds, seconds + 0.0001, 1))
        assert not learned.computes("sleeps"), seconds
        assert not learned.is_only_delayed("sleeps"), seconds


def test_a_handler_kept_from_computing_by_other_threads_counts_as_computing() -> None:
    learned = learned_of("page")
    learned.note_usage("page", 0.050, (0.0017, 0.0499, 90))
    assert learned.computes("page")


def test_a_handler_kept_from_computing_by_other_processes_computes() -> None:
    learned = learned_of("page")
    learned.note_usage("page", 0.006, (0.0017, 0.0018, 0))
    assert learned.computes("page")


def test_a_handler_that_computes_little_and_never_sleeps_is_only_delayed() -> None:
    learned = learned_of("page")
    assert not learned.is_only_delayed("page")
    learned.note_usage("page", 0.006, (0.0003, 0.0004, 0))
    assert learned.is_only_delayed("page")


def test_a_handler_is_only_delayed_while_other_threads_compute() -> None:
    learned = learned_of("page")
    learned.note_usage("page", 0.006, (0.0003, 0.0003, 0))
    for _ in range(UNCLEAR):
        learned.note_usage("page", 0.040, (0.0003, 0.039, 80))
    assert learned.is_only_delayed("page")


def test_a_handler_that_was_only_delayed_and_begins_to_wait_is_noticed_on_the_leader() -> None:
    learned = learned_of("page")
    learned.note_usage("page", 0.006, (0.0003, 0.0004, 0))
    for _ in range(6):
        learned.note_stuck("page", 0.003, 0.0002, 0.0002)
    assert not learned.is_only_delayed("page")


def test_a_key_known_to_wait_does_so_although_the_processor_is_taken() -> None:
    """With enough threads it is always taken."""
    learned = learned_of("mixed")
    for _ in range(2):
        learned.note_usage("mixed", 0.102, (0.002, 0.003, 3))
    for _ in range(UNCLEAR - 1):
        learned.note_usage("mixed", 0.102, (0.002, 0.102, 50))
    assert not learned.computes("mixed")


def test_a_key_that_only_seemed_to_wait_is_measured_again() -> None:
    """Its first request may have waited for a database, and all later ones for each other."""
    learned = learned_of("page")
    for _ in range(2):
        learned.note_usage("page", 0.2, (0.05, 0.05, 3))
    for _ in range(UNCLEAR):
        assert not learned.computes("page")
        learned.note_usage("page", 0.050, (0.0017, 0.050, 50))
    assert learned.computes("page")
    # And rarer, if that was a mistake.
    learned.note_usage("page", 0.022, (0.002, 0.003, 50))
    for _ in range(RARER * UNCLEAR - 1):
        learned.note_usage("page", 0.050, (0.0017, 0.050, 50))
        assert not learned.computes("page")


def test_the_first_request_of_a_key_does_not_show_that_it_waits() -> None:
    """It imports and connects."""
    learned = learned_of("page")
    learned.note_usage("page", 0.2, (0.05, 0.05, 3))
    learned.note_usage("page", 0.0018, (0.0017, 0.0018, 0))
    assert learned.computes("page")


def test_a_leader_stuck_without_computing_shows_that_the_key_waits() -> None:
    learned = learned_of("mixed")
    learned.note_usage("mixed", 0.102, (0.002, 0.102, 9))
    learned.note_stuck("mixed", 0.008, 0.002, 0.008)  # others compute
    assert learned.computes("mixed")
    learned.note_stuck("mixed", 0.008, 0.002, 0.002)
    assert not learned.computes("mixed")


def test_one_waiting_request_does_not_make_a_key_a_waiting_one() -> None:
    learned = learned_of("page")
    for _ in range(5):
        learned.note_usage("page", 0.0018, (0.0017, 0.0018, 0))
    learned.note_usage("page", 0.1, (0.0017, 0.002, 3))
    assert learned.computes("page")
    for _ in range(10):
        learned.note_usage("page", 0.1, (0.0017, 0.002, 3))
    assert not learned.computes("page")


def test_only_some_requests_of_a_key_that_waits_are_measured() -> None:
    learned = learned_of("sleeps")
    assert learned.wants_usage("sleeps")
    learned.note_usage("sleeps", 0.010, (0.00005, 0.0001, 1))
    assert [learned.wants_usage("sleeps") for _ in range(SAMPLE)] == [False] * (SAMPLE - 1) + [True]


def test_a_key_that_was_quick_is_brief_until_it_proves_to_be_slow() -> None:
    learned = learned_of("quick", 0.00001)
    while learned.is_quick("quick"):
        learned.note("quick", 1.0, stuck=True)
    for _ in range(CREDIT):
        assert learned.is_brief("quick")
        learned.note_away("quick", BRIEF * 1.1)
    assert not learned.is_brief("quick")


def test_a_slow_key_is_brief_while_it_holds_threads_for_a_moment_only() -> None:
    learned = learned_of("known")
    assert learned.is_brief("known")  # 4 ms
    learned.note("stuck", 0.004, stuck=True)
    assert not learned.is_brief("stuck")  # for a time that is not known
    learned.note_away("stuck", 0.05)
    assert learned.is_brief("stuck")
    learned.note_away("stuck", 12.0)
    assert not learned.is_brief("stuck")


def test_trials_are_rarer_while_a_leader_is_stuck_in_one() -> None:
    learned = learned_of("key")
    assert learned.on_trial("key", 100.0, stuck=True)
    assert not learned.on_trial("key", 100.0 + STUCK_PAUSE * 0.9, stuck=True)
    assert learned.on_trial("key", 100.0 + STUCK_PAUSE, stuck=True)


def test_a_key_can_be_made_slow_at_once() -> None:
    learned = learned_of("quick", 0.00001)
    learned.make_slow("quick")
    learned.make_slow("new")
    assert learned.averages == {"quick": CAP * BUDGET, "new": CAP * BUDGET}
    assert learned.is_brief("quick") and not learned.is_brief("new")


def test_a_key_that_was_slow_once_can_be_quick_again() -> None:
    learned = learned_of("quick", 0.00001)
    learned.make_slow("quick")
    learned.forgive("quick")
    assert learned.is_quick("quick")


def test_a_flood_of_quick_keys_leaves_the_slow_ones_half_the_table() -> None:
    learned = DispatchTimes(BUDGET, size=10)
    for number in range(4):
        learned.note(number, 1.0)
    for number in range(100):
        learned.note(f"flood {number}", 0.00001)
    assert len(learned.averages) == 10
    assert not any(learned.is_quick(number) for number in range(4))
