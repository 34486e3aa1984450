from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from carboy.net import READ, WRITE, Poller, Waker, make_poller
from carboy.net.poller import HANGUP, RESET


@pytest.fixture(params=["epoll", "selectors"])
def poller(request: pytest.FixtureRequest) -> Iterator[Poller]:
    made = make_poller(request.param)
    yield made
    made.close()


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    left, right = socket.socketpair()
    with left, right:
        yield left, right


Pair = tuple[socket.socket, socket.socket]


def test_nothing_is_ready_at_first(poller: Poller, pair: Pair) -> None:
    poller.add(pair[0].fileno(), READ)
    assert poller.wait(0) == []


def test_a_socket_with_input_is_readable(poller: Poller, pair: Pair) -> None:
    poller.add(pair[0].fileno(), READ)
    pair[1].send(b"x")
    assert poller.wait(10) == [(pair[0].fileno(), READ)]
    assert poller.wait(10) == [(pair[0].fileno(), READ)]  # until it is read
    pair[0].recv(1)
    assert poller.wait(0) == []


def test_a_socket_with_room_is_writable(poller: Poller, pair: Pair) -> None:
    poller.add(pair[0].fileno(), WRITE)
    assert poller.wait(10) == [(pair[0].fileno(), WRITE)]


def test_the_watched_flags_can_change(poller: Poller, pair: Pair) -> None:
    fd = pair[0].fileno()
    poller.add(fd, READ)
    poller.change(fd, WRITE)
    pair[1].send(b"x")
    assert poller.wait(10) == [(fd, WRITE)]
    poller.change(fd, READ)
    assert poller.wait(10) == [(fd, READ)]


def test_a_removed_descriptor_is_silent_even_when_the_peer_is_gone(
    poller: Poller, pair: Pair
) -> None:
    poller.add(pair[0].fileno(), READ)
    poller.remove(pair[0].fileno())
    pair[1].close()
    assert poller.wait(0) == []


def test_removing_a_closed_descriptor_is_not_an_error(poller: Poller, pair: Pair) -> None:
    fd = pair[0].fileno()
    poller.add(fd, READ)
    pair[0].close()
    poller.remove(fd)


def test_the_end_of_input_is_reported(poller: Poller, pair: Pair) -> None:
    poller.add(pair[0].fileno(), READ)
    pair[1].close()
    ((fd, flags),) = poller.wait(10)
    assert (fd, flags & READ) == (pair[0].fileno(), READ)


def test_a_shared_listener_reports_connections(poller: Poller) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        poller.add(listener.fileno(), READ, shared=True)
        with socket.create_connection(listener.getsockname()):
            assert poller.wait(10) == [(listener.fileno(), READ)]


def test_auto_makes_an_available_poller() -> None:
    made = make_poller("auto")
    made.close()


def test_a_waker_wakes_another_thread(poller: Poller) -> None:
    waker = Waker()
    poller.add(waker.fileno(), READ)
    thread = threading.Thread(target=waker.wake)
    thread.start()
    assert poller.wait(10) == [(waker.fileno(), READ)]
    thread.join()
    waker.clear()
    assert poller.wait(0) == []
    waker.wake()
    waker.wake()
    assert poller.wait(10) == [(waker.fileno(), READ)]
    waker.close()


def test_no_wake_is_lost_between_threads(poller: Poller) -> None:
    waker = Waker()
    poller.add(waker.fileno(), READ)
    done: list[int] = []

    def work() -> None:
        for number in range(3000):
            done.append(number)
            waker.wake()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    taken = 0
    while taken < 6000:
        assert poller.wait(10), "a wake-up was lost"
        waker.clear()
        while done:
            done.pop()
            taken += 1
    for thread in threads:
        thread.join()
    waker.close()


def test_a_closed_waker_does_not_write() -> None:
    waker = Waker()
    waker.close()
    left, right = socket.socketpair()
    with left, right:
        waker.wake()
        right.setblocking(False)
        left.setblocking(False)
        for sock in (left, right):
            with pytest.raises(BlockingIOError):
                sock.recv(1)


def test_the_end_of_the_peers_side_is_reported_beside_unread_input(pair: Pair) -> None:
    poller = make_poller("epoll")
    fd = pair[0].fileno()
    poller.add(fd, HANGUP)
    pair[1].send(b"x")
    assert poller.wait(0) == []
    pair[1].shutdown(socket.SHUT_WR)
    assert poller.wait(10) == [(fd, HANGUP)]
    poller.change(fd, RESET)
    assert poller.wait(0) == []
    pair[1].close()
    ((found, flags),) = poller.wait(10)
    assert found == fd
    assert flags & ~(READ | WRITE | HANGUP)
    poller.close()


def test_flags_that_are_not_known_are_ignored(pair: Pair) -> None:
    poller = make_poller("selectors")
    fd = pair[0].fileno()
    poller.add(fd, HANGUP)
    pair[1].send(b"x")
    assert poller.wait(0) == []
    poller.change(fd, READ)
    assert poller.wait(10) == [(fd, READ)]
    poller.change(fd, RESET)
    assert poller.wait(0) == []
    poller.remove(fd)
    poller.close()
