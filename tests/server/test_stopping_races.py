"""Other threads and signal handlers that interrupt an engine that stops, at any point."""

from __future__ import annotations

import sys
import threading
from itertools import count
from types import FrameType, SimpleNamespace
from typing import Any

import pytest

from carboy.net.waker import Waker
from carboy.server.connection import RUNNING
from carboy.server.listening import ListenerPolicy
from carboy.server.settings import Settings
from carboy.server.stopping import Stopping
from live_engine import GET, hello, served


def stopping() -> Stopping:
    no_part: Any = SimpleNamespace(listeners=None)
    made = Stopping(Settings(), {}, Waker(), no_part, no_part, no_part, no_part)
    made.wake = lambda: None  # type: ignore[method-assign]
    return made


def interrupted_at(
    line: int, first: ListenerPolicy, second: ListenerPolicy
) -> tuple[Stopping, bool]:
    """Ask for `first`, and after this many lines of it for `second`, as a signal handler would."""
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
def test_the_greatest_policy_wins_wherever_another_one_interrupts_it(
    first: ListenerPolicy, second: ListenerPolicy
) -> None:
    for line in count():
        made, came = interrupted_at(line, first, second)
        assert not came or made.asked is ListenerPolicy.CLOSE, line
        if not came:
            assert line > 5
            return


class Answered:
    """A connection whose exchange the leader deletes as soon as it has been looked at."""

    phase = RUNNING

    def __init__(self) -> None:
        self.exchanges: list[Any] = [SimpleNamespace(began=0.0, request_line=lambda: "GET /")]

    @property
    def exchange(self) -> Any:
        return self.exchanges.pop() if self.exchanges else None


def test_the_list_of_requests_can_be_made_while_the_leader_answers_them() -> None:
    made = stopping()
    made._crew.current = SimpleNamespace(slot=[])  # type: ignore[assignment]
    made._connections = {number: Answered() for number in range(3)}  # type: ignore[misc]
    assert [line for line, _ in made.in_flight()] == 3 * ["GET /"]


def test_a_request_read_in_the_turn_in_which_a_stop_begins_is_answered() -> None:
    """A turn reads the requests of all connections before it runs the first."""
    with served(hello) as live, live.client() as client:
        client.send(GET)
        assert client.reply().body == b"hello"
        engine = live.engine
        connection, waker = next(iter(engine.connections)), engine._waker.fileno()
        wait = engine.poller.wait
        together: list[set[int]] = []
        entered = threading.Event()

        def wait_for_both(timeout: float) -> list[tuple[int, int]]:
            entered.set()
            events = wait(timeout)
            while events and not together:
                found = dict([*events, *wait(1.0)])
                if {connection, waker} <= found.keys():
                    together.append(set(found))
                    return sorted(found.items(), key=lambda event: event[0] != connection)
                if connection not in found:
                    break
            return events

        engine.poller.wait = wait_for_both  # type: ignore[method-assign]
        engine.nudge()  # the turn that waits ends
        assert entered.wait(60)
        engine.connections[connection].since -= 60  # a client that has been idle is not awaited
        client.send(GET)
        engine.stop()
        assert client.reply().body == b"hello"
        live.join()
    assert together


def test_a_connection_after_the_listeners_were_left_is_for_another_process() -> None:
    """The thread that stops the engine leaves them while the leader is inside a handler."""
    entered, gate, left = threading.Event(), threading.Event(), threading.Event()

    def waits(environ: Any, start_response: Any) -> Any:
        entered.set()
        gate.wait(60)
        return hello(environ, start_response)

    with served(waits, threads=1) as live, live.listener.dup() as other, live.client() as client:
        client.send(GET)
        assert entered.wait(60)
        listeners, fd = live.engine.listeners, live.listener.fileno()
        live.engine.stopping.left = left.set
        live.engine.stop(listeners=ListenerPolicy.DRAIN)
        assert left.wait(60)
        with live.client() as late:
            assert list(listeners.accept(fd, 1, 0.0)) == []  # as a leader whose turn is not over
            gate.set()
            assert client.reply().body == b"hello"
            live.join()
            other.settimeout(60)
            with other.accept()[0] as accepted:
                assert accepted.getpeername() == late.sock.getsockname()
