"""Which worker should take the next connection, by the figures they share."""

from __future__ import annotations

import select
from collections.abc import Iterator

import pytest

from carboy.server.balancing import ANY, ASK_AGAIN, STALE, Balancer
from carboy.server.scoreboard import Figure, Row, Scoreboard

NOW = 1000.0


@pytest.fixture
def board() -> Iterator[Scoreboard]:
    board = Scoreboard(8)
    board.open_wakers(4)
    yield board
    board.close_wakers()


def worker(board: Scoreboard, connections: int, busy: int = 0, serving: bool = True) -> Row:
    row = board.take()
    row.cells[Figure.PID] = 1
    row.cells[Figure.SERVING] = float(serving)
    row.cells[Figure.CONNECTIONS] = connections
    row.cells[Figure.BUSY] = busy
    return row


def share(row: Row, threads: int = 16) -> int:
    return Balancer(row, threads).share(NOW)


def test_a_worker_without_others_takes_everything(board: Scoreboard) -> None:
    assert share(worker(board, 100)) == ANY


def test_the_worker_with_the_fewest_connections_takes_up_to_one_more_than_the_next(
    board: Scoreboard,
) -> None:
    me = worker(board, 2)
    worker(board, 5)
    worker(board, 7)
    assert share(me) == 4


def test_a_worker_with_more_connections_than_another_takes_none(board: Scoreboard) -> None:
    me = worker(board, 3)
    worker(board, 2)
    assert share(me) == 0


def test_many_quick_connections_may_be_a_little_uneven(board: Scoreboard) -> None:
    me = worker(board, 32)
    worker(board, 30)
    assert share(me) == 2


def test_slow_requests_are_not_taken_unevenly(board: Scoreboard) -> None:
    me = worker(board, 32, busy=12)
    worker(board, 30, busy=12)
    assert share(me) == 0


def test_of_workers_with_equally_many_connections_the_less_busy_one_takes_the_next(
    board: Scoreboard,
) -> None:
    me = worker(board, 3, busy=2)
    other = worker(board, 3, busy=1)
    assert share(me) == 0
    assert share(other) == 1


def test_a_worker_whose_threads_are_all_busy_comes_last(board: Scoreboard) -> None:
    full = worker(board, 4, busy=4)
    free = worker(board, 9, busy=3)
    assert share(full, threads=4) == 0
    assert share(free, threads=4) == 1


def test_with_one_thread_connections_are_taken_one_at_a_time(board: Scoreboard) -> None:
    me = worker(board, 1)
    worker(board, 9)
    assert share(me, threads=1) == 1


def test_with_one_thread_a_busy_worker_takes_none(board: Scoreboard) -> None:
    me = worker(board, 1, busy=1)
    worker(board, 1, busy=1)
    assert share(me, threads=1) == 0


def test_workers_that_do_not_serve_are_left_out(board: Scoreboard) -> None:
    me = worker(board, 3)
    worker(board, 0, serving=False)
    assert share(me) == ANY


def test_a_worker_that_does_not_react_is_left_out_until_it_does(board: Scoreboard) -> None:
    me = worker(board, 3)
    silent = worker(board, 0)
    peers = Balancer(me, 16)
    assert peers.share(NOW) == 0
    peers.ask_better()
    peers.waited(NOW)
    assert peers.share(NOW) == 1
    silent.cells[Figure.REACTED] = NOW + 0.01
    assert peers.share(NOW) == 0


def test_a_worker_that_did_not_react_is_asked_again_later(board: Scoreboard) -> None:
    me = worker(board, 3)
    worker(board, 0)
    peers = Balancer(me, 16)
    peers.share(NOW)
    peers.waited(NOW)
    assert peers.share(NOW + ASK_AGAIN / 2) == 1
    assert peers.share(NOW + 2 * ASK_AGAIN) == 0


def test_a_worker_that_reacted_in_time_is_not_left_out(board: Scoreboard) -> None:
    me = worker(board, 3)
    other = worker(board, 0)
    peers = Balancer(me, 16)
    peers.share(NOW)
    other.cells[Figure.REACTED] = NOW + 0.001
    peers.waited(NOW)
    assert peers.share(NOW) == 0


@pytest.mark.parametrize("figure", [Figure.BEAT, Figure.LEADER])
def test_a_worker_that_is_known_to_be_stuck_is_left_out(board: Scoreboard, figure: Figure) -> None:
    me = worker(board, 3)
    stuck = worker(board, 0)
    stuck.cells[Figure.BEAT] = stuck.cells[Figure.LEADER] = NOW - 1
    assert share(me) == 0
    stuck.cells[figure] = NOW - 2 * STALE
    assert share(me) == ANY


def test_asking_wakes_the_better_worker(board: Scoreboard) -> None:
    me, other = worker(board, 3), worker(board, 0)
    peers = Balancer(me, 16)
    peers.share(NOW)
    peers.ask_better()
    assert other.waker is not None
    assert me.waker is not None
    assert readable(other.waker.fileno())
    assert not readable(me.waker.fileno())
    other.waker.clear()
    peers.ask_better()  # only the other worker knows whether it has reacted since
    assert readable(other.waker.fileno())


def test_workers_beyond_the_bells_share_the_last_one(board: Scoreboard) -> None:
    rows = [worker(board, 0) for _ in range(6)]
    assert rows[3].waker is rows[5].waker
    assert rows[2].waker is not rows[3].waker


def readable(fd: int) -> bool:
    return bool(select.select([fd], [], [], 0)[0])
