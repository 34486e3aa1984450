"""How one engine takes connections beside another worker, of which there is only the row."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from carboy.gateway import for_application
from carboy.net import listen_tcp
from carboy.server.engine import Engine
from carboy.server.scoreboard import Figure, Row, Scoreboard
from carboy.server.settings import Settings
from live_engine import LAST, Live, eventually, hello


@contextmanager
def beside(poller: str = "auto", threads: int = 4) -> Iterator[tuple[Live, Row, Row]]:
    """An engine that runs, its row, and that of a worker that serves and never reacts."""
    board = Scoreboard(2)
    board.open_wakers(2)
    rows = [board.take()]
    rows[0].cells[Figure.PID] = 1
    rows.append(board.take())
    rows[1].cells[Figure.PID] = 2
    rows[1].cells[Figure.SERVING] = 1
    listener = listen_tcp("127.0.0.1", 0)
    settings = Settings(threads=threads, poller=poller, switch_interval=None)
    engine = Engine(for_application(hello), [listener], settings, row=rows[0])
    live = Live(engine, listener)
    live.thread = threading.Thread(target=engine.run)
    live.thread.start()
    eventually(lambda: rows[0].cells[Figure.SERVING])
    try:
        yield live, *rows
    finally:
        engine.stop(graceful=False)
        live.join()
        listener.close()
        board.close_wakers()


def is_rung(row: Row) -> bool:
    assert row.waker is not None
    return bool(select.select([row.waker.fileno()], [], [], 0)[0])


BOTH = pytest.mark.parametrize("poller", ["auto", "selectors"])


@BOTH
def test_a_row_has_the_number_of_open_connections(poller: str) -> None:
    with beside(poller) as (live, own, _):
        with live.client() as client:
            client.request("GET", "/")
            assert client.reply().status == 200
            assert own.cells[Figure.CONNECTIONS] == 1
        eventually(lambda: own.cells[Figure.CONNECTIONS] == 0)


@BOTH
@pytest.mark.parametrize("threads", [1, 4])
def test_a_connection_is_accepted_when_a_better_worker_does_not_react(
    poller: str, threads: int
) -> None:
    turns = 0
    with beside(poller, threads) as (live, _, other), live.client() as first:
        first.request("GET", "/")
        assert first.reply().status == 200
        wait = live.engine.poller.wait

        def counted(timeout: float) -> list[tuple[int, int]]:
            nonlocal turns
            turns += 1
            return wait(timeout)

        live.engine.poller.wait = counted
        with live.client() as second:  # the other has fewer connections
            second.request("GET", "/")
            assert second.reply().status == 200
        assert turns < 30  # it waited, and did not look again and again
        assert is_rung(other)


@BOTH
def test_a_worker_that_is_asked_accepts_what_waits(poller: str) -> None:
    with beside(poller) as (live, own, other), live.client() as first:
        first.request("GET", "/")
        assert first.reply().status == 200
        before = own.cells[Figure.REACTED]
        assert own.waker is not None
        own.waker.wake()
        eventually(lambda: own.cells[Figure.REACTED] > before)
        other.cells[Figure.SERVING] = 0
        with live.client() as second:
            second.request("GET", "/")
            assert second.reply().status == 200


def test_a_worker_that_stops_asks_another_one_to_accept() -> None:
    with beside() as (live, own, other):
        assert not is_rung(other)
        live.engine.stop()
        live.join()
        assert own.cells[Figure.SERVING] == 0
        assert is_rung(other)


def test_a_listener_that_is_due_twice_is_accepted_from_once() -> None:
    with beside(threads=1) as (live, _, other), ExitStack() as clients:
        other.cells[Figure.CONNECTIONS] = 9
        accepting = live.engine.accepting
        take = accepting.take
        most = 0

        def twice(now: float) -> None:  # the tick and the poller name the same one
            nonlocal most
            accepting.due *= 2
            before = len(live.engine.connections)
            take(now)
            most = max(most, len(live.engine.connections) - before)

        accepting.take = twice  # type: ignore[method-assign]
        asked = [clients.enter_context(live.client()) for _ in range(6)]
        for client in asked:
            client.request("GET", "/")
        for client in asked:
            assert client.reply().status == 200
        assert most == 1


def test_nothing_is_accepted_before_the_supervisor_knows_that_the_worker_is_ready() -> None:
    """It kills a worker that is not ready, at once."""
    listener = listen_tcp("127.0.0.1", 0)
    engine = Engine(for_application(hello), [listener], Settings(threads=4, switch_interval=None))
    accepted: list[int] = []

    def started() -> None:
        for _ in range(3):  # turns of the leader
            before = engine.row.cells[Figure.LEADER]
            engine.nudge()
            eventually(lambda before=before: engine.row.cells[Figure.LEADER] != before)
        accepted.append(len(engine.connections))

    with listener, socket.create_connection(listener.getsockname()) as client:
        client.sendall(LAST)
        thread = threading.Thread(target=engine.run, args=(started,))
        thread.start()
        try:
            assert client.makefile("rb").read().endswith(b"hello")
        finally:
            engine.stop(graceful=False)
            thread.join(60)
    assert accepted == [0]
