from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from carboy.server.queueing import (
    ANY_THREAD,
    CPU_THREAD,
    HELD,
    HOLD,
    LEADER,
    THREAD,
    Queue,
    WaitsFor,
)


def request(key: str, queued_at: float = 0.0) -> Any:
    return SimpleNamespace(key=key, queued_at=queued_at, waits_for=None, in_reserve=False)


def filled(*waiting: tuple[WaitsFor, str, float], threads: int = 2, processors: int = 1) -> Queue:
    queue = Queue(threads, processors)
    for waits_for, key, queued_at in waiting:
        queue.put(request(key, queued_at), waits_for)
    return queue


def key_of(exchange: Any) -> Any:
    return None if exchange is None else exchange.key


def test_requests_of_all_queues_get_threads_in_order_of_arrival() -> None:
    queue = filled((THREAD, "c", 3.0), (ANY_THREAD, "a", 1.0), (CPU_THREAD, "b", 2.0), threads=8)
    assert [key_of(queue.next_for_thread(n, 4.0)) for n in range(4)] == ["a", "b", "c", None]


def test_waiting_requests_get_no_more_threads_than_allowed() -> None:
    queue = filled((THREAD, "a", 1.0))
    assert queue.next_for_thread(2, 2.0) is None
    assert key_of(queue.next_for_thread(1, 2.0)) == "a"


def test_few_handlers_compute_at_once_and_waiting_ones_overtake_them() -> None:
    queue = filled((CPU_THREAD, "a", 1.0), (CPU_THREAD, "b", 1.1), (THREAD, "c", 1.2), threads=8)
    first = queue.next_for_thread(0, 2.0)
    assert first is not None and first.key == "a"
    assert key_of(queue.next_for_thread(1, 2.0)) == "c"
    assert queue.next_for_thread(2, 2.0) is None
    queue.ended(first)
    assert key_of(queue.next_for_thread(1, 2.0)) == "b"


def test_another_handler_begins_beside_one_that_computes_for_long() -> None:
    queue = filled((CPU_THREAD, "a", 1.0), (CPU_THREAD, "b", 1.1), threads=8)
    queue.next_for_thread(0, 2.0)
    assert queue.due() == 2.0 + HOLD
    assert queue.next_for_thread(1, 2.0 + HOLD / 2) is None
    assert key_of(queue.next_for_thread(1, 2.0 + HOLD)) == "b"


def test_one_computing_handler_may_use_the_reserve() -> None:
    queue = filled((CPU_THREAD, "a", 1.0), (CPU_THREAD, "b", 1.0))
    assert key_of(queue.next_for_thread(2, 2.0)) == "a"
    assert queue.next_for_thread(2, 9.0) is None


def test_the_reserve_is_for_brief_keys_and_only_while_no_thread_gets_free() -> None:
    queue = filled((THREAD, "slow", 1.0), (ANY_THREAD, "a", 1.0))
    queue.last_free = 5.0
    assert queue.next_for_thread(2, 5.0 + HELD / 2) is None
    assert queue.due() == 5.0 + HELD
    assert key_of(queue.next_for_thread(2, 5.0 + HELD)) == "a"


def test_the_reserve_is_for_two_requests_of_a_key_at_a_time() -> None:
    queue = filled((THREAD, "slow", 1.0), *[(ANY_THREAD, "a", 2.0)] * 3, (ANY_THREAD, "b", 4.0))
    first = queue.next_for_thread(2, 5.0)
    assert first is not None and first.key == "a"
    assert [key_of(queue.next_for_thread(n, 5.0)) for n in (3, 4, 5)] == ["a", "b", None]
    queue.ended(first)
    assert key_of(queue.next_for_thread(4, 5.0)) == "a"
    assert filled((ANY_THREAD, "a", 1.0)).next_for_thread(6, 5.0) is None


def test_requests_of_a_key_move_to_the_leader_in_their_order() -> None:
    queue = filled(
        (THREAD, "a", 1.0), (THREAD, "b", 2.0), (ANY_THREAD, "a", 3.0), (CPU_THREAD, "a", 4.0)
    )
    queue.move_to_leader("a")
    assert [each.key for each in queue.for_leader] == ["a", "a", "a"] and len(queue) == 4
    assert key_of(queue.next_for_thread(0, 5.0)) == "b"
    assert [key_of(queue.next_for_leader()) for _ in range(4)] == ["a", "a", "a", None]
    assert len(queue) == 0


def test_a_request_that_gets_no_thread_is_first_again() -> None:
    queue = filled((CPU_THREAD, "a", 1.0), (CPU_THREAD, "b", 1.0), threads=8)
    exchange = queue.next_for_thread(0, 2.0)
    assert exchange is not None
    queue.put_back(exchange)
    assert key_of(queue.next_for_thread(0, 2.0)) == "a"


def test_those_that_have_waited_too_long_are_taken_out() -> None:
    queue = filled(
        (THREAD, "a", 1.0), (THREAD, "b", 3.0), (LEADER, "c", 1.5), (ANY_THREAD, "d", 2.5)
    )
    assert queue.oldest() == 1.0
    assert sorted(each.key for each in queue.older_than(2.0)) == ["a", "c"]
    assert [each.key for each in queue] == ["b", "d"] and len(queue) == 2


def test_a_request_that_will_not_run_is_taken_out() -> None:
    queue = filled((THREAD, "a", 1.0), (THREAD, "b", 3.0))
    queue.take_out(next(iter(queue)))
    assert [each.key for each in queue] == ["b"]
    assert queue.oldest() == 3.0
