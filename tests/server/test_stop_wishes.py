"""Several wishes to stop, of which one interrupts the other anywhere."""

from __future__ import annotations

import sys
from itertools import count
from types import FrameType
from typing import Any

import pytest

from carboy.net.waker import Waker
from carboy.server.listening import ListenerPolicy
from carboy.server.settings import Settings
from carboy.server.stopping import Stopping


def stopping() -> Stopping:
    made = Stopping(Settings(), {}, Waker())
    made.wake = lambda: None  # type: ignore[method-assign]
    return made


def interrupted_at(
    line: int, first: ListenerPolicy, second: ListenerPolicy
) -> tuple[Stopping, bool]:
    """`first` is asked for, and after so many lines of it `second`, as by a signal handler."""
    made = stopping()
    lines = count()
    came = False

    def trace(frame: FrameType, event: str, arg: Any) -> Any:
        nonlocal came
        if frame.f_code is Stopping.ask.__code__ and event == "line" and next(lines) == line:
            came = True
            sys.settrace(None)
            made.ask(second)
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        made.ask(first)
    finally:
        sys.settrace(before)
    return made, came


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (ListenerPolicy.RESTART, ListenerPolicy.CLOSE),
        (ListenerPolicy.CLOSE, ListenerPolicy.RESTART),
    ],
    ids=str,
)
def test_the_greatest_wish_wins_wherever_another_one_interrupts_it(
    first: ListenerPolicy, second: ListenerPolicy
) -> None:
    for line in count():
        made, came = interrupted_at(line, first, second)
        assert not came or made.asked is ListenerPolicy.CLOSE, line
        if not came:
            assert line > 5
            return
