"""Calls from the events of `sys.setprofile`."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any

from carboy.dev.explain.recorder import Call, Recorder, Thread
from carboy.gateway import for_application


def record(work: Callable[[], object], most: int = 1000, clock: Callable[[], int] = int) -> Thread:
    thread = Thread("t", most)

    def hook(frame: FrameType, event: str, arg: Any) -> None:
        thread.note(frame, event, arg, clock())

    sys.setprofile(hook)
    try:
        with suppress(KeyError):
            work()
    finally:
        sys.setprofile(None)
    thread.end()
    return thread


def named(thread: Thread, name: str) -> list[Call]:
    found: list[Call] = []
    waiting = list(reversed(thread.roots))
    while waiting:
        call = waiting.pop()
        if (call.code if isinstance(call.code, str) else call.code.co_name) == name:
            found.append(call)
        waiting += reversed(call.children)
    return found


def add(a: int, *, b: int = 1) -> int:
    return a + b


def fail() -> None:
    raise KeyError("x")


def test_a_call_has_its_arguments_and_its_result() -> None:
    (call,) = named(record(lambda: add(1, b=2)), "add")
    assert (call.args, call.result, call.raised) == ((("a", "1"), ("b", "2")), "3", False)


def test_a_call_that_raised_has_its_line() -> None:
    (call,) = named(record(fail), "fail")
    assert call.raised
    assert call.line == fail.__code__.co_firstlineno + 1


def test_a_c_function_has_its_qualified_name() -> None:
    assert named(record("a".upper), "str.upper")


def test_after_too_many_calls_those_of_the_server_are_kept() -> None:
    def work() -> None:
        for _ in range(500):
            add(1)
        for_application(add)

    thread = record(work, most=20)
    assert thread.overflowed
    assert len(named(thread, "add")) < 40
    assert named(thread, "for_application")


def test_a_clock_that_goes_back_is_stopped() -> None:
    times = iter(range(1000, 0, -1))
    (call,) = named(record(lambda: add(1), clock=lambda: next(times)), "add")
    assert call.ended >= call.began


def test_after_too_many_calls_later_steps_are_kept() -> None:
    def loop() -> None:
        for _ in range(5000):
            add(1)

    def work() -> None:
        loop()
        add(2)

    thread = record(work, most=1000)
    assert named(thread, "add")[-1].args == (("a", "2"), ("b", "1"))
    kept = 1 + len(named(thread, "work")) + len(named(thread, "loop")) + len(named(thread, "add"))
    assert thread.count - thread.kept >= 5003 - kept > 3000


def recorder_of(*works: Callable[[], object]) -> Recorder:
    """The recorder of threads that run one after the other."""
    recorder = Recorder()
    recorder.install()
    recorder.start()
    for work in works:
        thread = threading.Thread(target=work, name=work.__name__)
        thread.start()
        thread.join()
    recorder.stop()
    recorder.uninstall()
    return recorder


def test_a_thread_that_gets_the_identifier_of_another_one_has_its_own_calls() -> None:
    recorder = recorder_of(*[add_one] * 5)
    assert [len(named(thread, "add")) for thread in recorder.threads.values()] == [1] * 5


def add_one() -> None:
    add(1)


def test_what_follows_after_the_recursion_limit_is_recorded() -> None:
    limit = sys.getrecursionlimit()

    def down(n: int) -> int:
        return down(n + 1)

    def work() -> None:
        with suppress(RecursionError):
            down(0)
        add(1)

    (thread,) = recorder_of(work).threads.values()
    assert len(named(thread, "add")) == 1
    assert 0 <= limit - len(named(thread, "down")) < 100
    deepest = named(thread, "down")[-1]
    assert deepest.result == "RecursionError: maximum recursion depth exceeded"
    assert sys.getrecursionlimit() == limit


def test_a_call_that_is_running_at_the_end_says_so() -> None:
    began, over = threading.Event(), threading.Event()

    def waits() -> None:
        began.set()
        over.wait()

    recorder = Recorder()
    recorder.install()
    recorder.start()
    thread = threading.Thread(target=waits)
    thread.start()
    began.wait()
    recorder.stop()
    recorder.uninstall()
    over.set()
    thread.join()
    (recorded,) = recorder.threads.values()
    assert recorded.roots[-1].result == "has not ended"
