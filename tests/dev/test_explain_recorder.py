"""Calls from the events of `sys.setprofile`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any

from carboy.dev.explain.recorder import Call, Thread
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

    def below(calls: list[Call]) -> None:
        for call in calls:
            code = call.code
            if (code if isinstance(code, str) else code.co_name) == name:
                found.append(call)
            below(call.children)

    below(thread.roots)
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
        for _ in range(50):
            add(1)
        for_application(add)

    thread = record(work, most=20)
    assert thread.overflowed
    assert len(named(thread, "add")) < 20
    assert named(thread, "for_application")


def test_a_clock_that_goes_back_is_stopped() -> None:
    times = iter(range(1000, 0, -1))
    (call,) = named(record(lambda: add(1), clock=lambda: next(times)), "add")
    assert call.ended >= call.began
