"""The decisions of a supervisor, without processes: tests report events and read the plan."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from carboy.server.processes.generations import (
    DELAY_WITHOUT_SERVICE,
    KILL_DELAY,
    LONGEST_DELAY,
    MOST_FAILED_STARTS,
    STACKS_DELAY,
    Do,
    Generations,
    State,
)


def generations(target: int, ready: bool = True) -> Generations:
    """Generations with the workers 1, 2, … started at time 0."""
    made = Generations(target, graceful_timeout=30.0)
    for pid, (do, _) in enumerate(made.plan(0.0), 1):
        assert do is Do.START
        made.started(pid, 0.0)
        if ready:
            made.ready(pid)
    return made


def test_as_many_workers_are_started_as_are_wanted() -> None:
    assert len(generations(3).members) == 3
    assert generations(3).plan(1.0) == []


def test_a_worker_that_served_is_replaced_at_once_however_often() -> None:
    workers = generations(2)
    for pid in range(2, 12):
        workers.died(pid, 1.0)
        assert workers.plan(1.0) == [(Do.START, 0)]
        workers.started(pid + 1, 1.0)
        workers.ready(pid + 1)


def delays(workers: Generations, first: int) -> list[float]:
    """Seconds before each start after the death of `first` and of its successors."""
    now, found = 0.0, []
    for pid in range(first, first + 8):
        workers.died(pid, now)
        wake_at = workers.wake_at()
        assert wake_at is not None
        found.append(wake_at - now)
        assert not found[-1] or workers.plan(now) == []
        now = wake_at
        assert workers.plan(now) == [(Do.START, 0)]
        workers.started(pid + 1, now)
    return found


def test_a_worker_that_never_became_ready_is_replaced_after_a_delay_that_doubles() -> None:
    workers = generations(1)
    workers.target = 2
    assert workers.plan(0.0) == [(Do.START, 0)]
    workers.started(2, 0.0)
    assert delays(workers, 2) == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, LONGEST_DELAY, LONGEST_DELAY]


def test_while_no_worker_serves_the_next_start_is_soon() -> None:
    assert delays(generations(1, ready=False), 1) == [0.0, *[DELAY_WITHOUT_SERVICE] * 7]


def test_after_a_worker_that_became_ready_delays_are_short_again() -> None:
    workers = generations(2)
    workers.died(2, 0.0)
    for pid in (3, 4, 5):
        workers.started(pid, 0.0)
        workers.died(pid, 0.0)
    workers.started(6, 0.0)
    workers.ready(6)
    workers.target = 3
    assert workers.plan(0.0) == [(Do.START, 0)]


def test_a_worker_that_takes_too_long_to_start_is_killed() -> None:
    workers = Generations(1, graceful_timeout=30.0, start_timeout=60.0)
    workers.started(1, 0.0)
    assert workers.wake_at() == 60.0
    assert workers.plan(59.0) == []
    assert workers.plan(60.0) == [(Do.GIVE_UP, 1)]
    workers.ready(1)  # too late: it is about to be killed
    assert workers.wake_at() == 60.0 + STACKS_DELAY
    assert workers.plan(61.0) == [(Do.DROP, 1)]
    assert workers.died(1, 61.0).state is State.STARTING


def test_a_stuck_worker_is_replaced_before_it_is_killed() -> None:
    workers = generations(2)
    workers.kill_soon(1, 1.0)
    assert workers.plan(1.0) == [(Do.START, 0)]
    workers.started(3, 1.0)
    assert workers.plan(1.0 + STACKS_DELAY) == [(Do.DROP, 1)]


def test_a_worker_that_another_program_stopped_is_replaced_at_once() -> None:
    workers = generations(1)
    assert workers.leaves(1, 1.0)
    assert not workers.leaves(1, 1.0)
    assert workers.plan(1.0) == [(Do.START, 0)]


def test_a_second_replacement_starts_over() -> None:
    workers = generations(1)
    workers.replace()
    assert workers.plan(1.0) == [(Do.START, 0)]
    workers.started(2, 1.0)
    workers.replace()
    assert workers.plan(2.0) == [(Do.DROP, 2), (Do.START, 0)]
    workers.started(3, 2.0)
    workers.died(2, 2.0)
    assert not workers.replaced()
    workers.ready(3)
    assert not workers.replaced()
    assert workers.plan(3.0) == [(Do.STOP, 1)]
    workers.left(1)
    assert workers.replaced()
    assert not workers.replaced()


def test_a_stop_reaches_each_worker_once() -> None:
    workers = generations(2)
    workers.stopping = True
    assert workers.plan(1.0) == [(Do.STOP, 1), (Do.STOP, 2)]
    assert workers.plan(1.5) == []


def test_a_worker_that_does_not_stop_is_killed_after_the_graceful_timeout() -> None:
    workers = generations(1)
    workers.stopping = True
    workers.plan(1.0)
    assert workers.wake_at() == 1.0 + 30.0 + KILL_DELAY
    assert workers.plan(1.0 + 30.0 + KILL_DELAY) == [(Do.KILL, 1)]
    assert workers.plan(99.0) == []


def test_an_old_worker_is_stopped_only_when_a_new_one_is_ready() -> None:
    workers = generations(2)
    workers.replace()
    assert workers.plan(1.0) == [(Do.START, 0)]
    workers.started(3, 1.0)
    assert workers.plan(2.0) == []
    workers.ready(3)
    assert workers.plan(3.0) == [(Do.START, 0), (Do.STOP, 1)] or workers.plan(3.0) == []


def test_a_replacement_ends_with_new_workers_only() -> None:
    workers = generations(3)
    workers.replace()
    pid, now, least = 3, 1.0, 3
    for _ in range(20):
        for do, who in workers.plan(now):
            if do is Do.START:
                pid += 1
                workers.started(pid, now)
            else:
                workers.died(who, now)
        starting = [m.number for m in workers.members.values() if m.state is State.STARTING]
        for each in starting:
            workers.ready(each)
        serving = sum(m.state is State.SERVING for m in workers.members.values())
        least = min(least, serving)
        now += 1.0
    assert sorted(workers.members) == [4, 5, 6]
    assert least == 3


def test_a_replacement_has_ended_when_the_old_workers_take_no_more_connections() -> None:
    workers = generations(1)
    workers.replace()
    workers.plan(1.0)
    workers.started(2, 1.0)
    workers.ready(2)
    assert workers.plan(2.0) == [(Do.STOP, 1)]
    assert not workers.replaced()
    workers.left(1)
    assert workers.replaced()
    assert not workers.replaced()


def test_a_replacement_that_is_given_up_keeps_the_old_workers() -> None:
    workers = generations(2)
    workers.replace()
    workers.plan(1.0)
    workers.started(3, 1.0)
    workers.died(3, 2.0)
    assert workers.keep()
    assert workers.plan(100.0) == []
    assert sorted(workers.members) == [1, 2]


def test_keep_says_whether_workers_were_being_replaced() -> None:
    assert not generations(2).keep()


def test_it_is_hopeless_when_several_workers_died_and_none_was_ever_ready() -> None:
    workers = generations(1, ready=False)
    for pid in range(1, MOST_FAILED_STARTS + 1):
        assert not workers.start_failed()
        workers.died(pid, float(pid))
        workers.started(pid + 1, float(pid))
    assert workers.start_failed()
    once_ready = generations(1)
    for pid in range(1, 10):
        once_ready.died(pid, 0.0)
        once_ready.started(pid + 1, 0.0)
    assert not once_ready.start_failed()


def test_the_youngest_workers_stop_when_fewer_are_wanted() -> None:
    workers = generations(2)
    workers.target = 3
    assert workers.plan(5.0) == [(Do.START, 0)]
    workers.started(3, 5.0)
    workers.ready(3)
    workers.target = 2
    assert workers.plan(6.0) == [(Do.STOP, 3)]


def test_without_overlap_old_workers_stop_when_new_ones_start() -> None:
    workers = Generations(1, graceful_timeout=5.0, overlap=False)
    workers.started(1, 0.0)
    workers.ready(1)
    workers.replace()
    assert workers.plan(1.0) == [(Do.STOP, 1), (Do.START, 0)]
    workers.started(2, 1.0)
    workers.replace()  # the new worker is still loading
    assert workers.plan(2.0) == [(Do.DROP, 2), (Do.START, 0)]


EVENTS = st.lists(st.sampled_from(["ready", "die", "hup", "more", "fewer", "wait"]), max_size=60)


@given(EVENTS)
def test_after_any_events_there_are_as_many_workers_as_wanted(events: list[str]) -> None:
    workers, pid, now = Generations(2, 30.0), 0, 0.0

    def obey() -> None:
        nonlocal pid
        for do, who in workers.plan(now):
            if do is Do.START:
                pid += 1
                workers.started(pid, now)
            else:
                workers.died(who, now)

    def ready() -> None:
        for each in [m.number for m in workers.members.values() if m.state is State.STARTING]:
            workers.ready(each)

    for event in events:
        obey()
        if event == "ready":
            ready()
        elif event == "die" and workers.members:
            workers.died(next(iter(workers.members)), now)
        elif event == "hup":
            workers.replace()
        elif event in ("more", "fewer"):
            workers.target = max(1, workers.target + (1 if event == "more" else -1))
        now += 1.0
        assert len(workers.members) <= workers.target + 1 or event == "fewer" or "fewer" in events
    for _ in range(2 * len(workers.members) + 2 * workers.target + 4):
        now += LONGEST_DELAY
        obey()
        ready()
    assert len(workers.members) == workers.target
    assert {m.state for m in workers.members.values()} == {State.SERVING}
    assert {m.generation for m in workers.members.values()} == {workers.generation}


def test_a_worn_worker_stops_when_another_one_is_ready() -> None:
    workers = generations(2)
    assert workers.settled()
    workers.wear(1)
    assert not workers.settled()
    assert workers.plan(1.0) == [(Do.START, 0)]
    workers.started(3, 1.0)
    assert workers.plan(1.0) == [] and workers.wake_at() is None
    workers.ready(3)
    assert workers.plan(2.0) == [(Do.STOP, 1)]
    assert not workers.settled()
    workers.died(1, 3.0)
    assert workers.settled() and workers.plan(3.0) == []


def test_a_worn_worker_serves_on_if_its_replacement_does_not_start() -> None:
    workers = generations(1)
    workers.wear(1)
    workers.plan(1.0)
    workers.started(2, 1.0)
    workers.died(2, 1.0)
    assert workers.plan(1.0) == []
    wake_at = workers.wake_at()
    assert wake_at is not None and wake_at > 1.0
    assert workers.plan(wake_at) == [(Do.START, 0)]


def test_a_reload_and_fewer_workers_are_not_confused_by_a_worn_worker() -> None:
    workers = generations(2)
    workers.wear(2)
    workers.target = 1
    assert workers.plan(1.0) == [(Do.STOP, 2)]
    workers.replace()
    assert workers.plan(1.0) == [(Do.START, 0)]
