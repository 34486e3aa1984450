"""The adaptive limit in a simulated server: no clock, no threads."""

from __future__ import annotations

import heapq
from collections import deque

import pytest

from carboy.server.adaptive_limit import MOST_KEYS, SAMPLES, AdaptiveLimit

THREADS = 8
SERVICE = 0.010  # seconds that a thread has a request


class Server:
    """Threads that serve in order of arrival; requests above the limit are refused."""

    def __init__(self, limit: AdaptiveLimit) -> None:
        self.limit = limit
        self.now = 0.0
        self.service = SERVICE
        self.refused = 0
        self.seconds: list[float] = []
        self._waiting: deque[tuple[float, str]] = deque()
        self._running: list[tuple[float, float, str]] = []  # end, arrival, key

    def running(self) -> int:
        return len(self._waiting) + len(self._running)

    def offer(self, rate: float, seconds: float, key: str = "/", factor: float = 1.0) -> None:
        """Requests at this rate."""
        end = self.now + seconds
        arrival = self.now
        while arrival < end:
            self._run_until(arrival)
            self.now = arrival
            if self.limit.allows(self.running()):
                self._waiting.append((arrival, key))
                self._start(arrival, factor)
            else:
                self.refused += 1
            arrival += 1.0 / rate

    def forget(self) -> None:
        self.refused = 0
        self.seconds = []

    def _start(self, now: float, factor: float = 1.0) -> None:
        while self._waiting and len(self._running) < THREADS:
            arrival, key = self._waiting.popleft()
            heapq.heappush(self._running, (now + self.service * factor, arrival, key))

    def _run_until(self, moment: float) -> None:
        while self._running and self._running[0][0] <= moment:
            end, arrival, key = self._running[0]
            running = self.running()
            heapq.heappop(self._running)
            self.seconds.append(end - arrival)
            self.limit.note(key, end - arrival, running, end)
            self._start(end)


CAPACITY = THREADS / SERVICE


@pytest.fixture
def server() -> Server:
    return Server(AdaptiveLimit(THREADS, 2, 1000))


def test_nothing_is_refused_below_the_capacity(server: Server) -> None:
    server.offer(CAPACITY * 0.7, 60)
    assert server.refused == 0


def test_an_overload_is_refused_and_the_others_stay_quick(server: Server) -> None:
    server.offer(CAPACITY * 0.5, 10)
    server.offer(CAPACITY * 3, 30)
    server.forget()
    server.offer(CAPACITY * 3, 30)
    done = len(server.seconds)
    assert server.refused > done  # two thirds are too many
    assert done > 0.85 * CAPACITY * 30  # the threads are used
    assert max(server.seconds) < 10 * SERVICE


def test_the_limit_follows_a_service_that_becomes_slow_and_quick_again(server: Server) -> None:
    server.offer(CAPACITY * 0.7, 20)
    server.service = 10 * SERVICE
    server.offer(CAPACITY * 0.7, 5)
    assert server.refused
    server.service = SERVICE
    server.offer(CAPACITY * 0.7, 20)
    server.forget()
    server.offer(CAPACITY * 0.7, 20)
    assert server.refused == 0


def test_a_slow_route_beside_a_quick_one_is_not_an_overload() -> None:
    limit = AdaptiveLimit(THREADS, 2, 1000)
    for number in range(4000):
        key, seconds = ("/slow", 2.0) if number % 10 > 5 else ("/quick", 0.005)
        limit.note(key, seconds, THREADS - 1, number * 0.01)
    assert limit.limit >= THREADS


def test_a_limit_that_is_not_used_does_not_grow() -> None:
    limit = AdaptiveLimit(THREADS, 2, 1000)
    for number in range(4000):
        limit.note("/", SERVICE, 1, number * 0.01)
    assert limit.limit == THREADS


def test_the_limit_stays_between_its_bounds() -> None:
    limit = AdaptiveLimit(THREADS, 4, 12)
    for number in range(4000):
        limit.note("/", SERVICE, 100, number * 0.01)
    assert limit.limit == 12
    seconds = SERVICE
    for number in range(4000, 8000):
        if number % SAMPLES == 0:
            seconds *= 1.2
        limit.note("/", min(seconds, 1e6), 100, number * 0.01)
    assert limit.limit >= 4


def test_the_memory_for_keys_is_bounded() -> None:
    limit = AdaptiveLimit(THREADS, 2, 1000)
    for number in range(2 * MOST_KEYS):
        limit.note(number, SERVICE, 1, 0.0)
    assert len(limit._usual) <= MOST_KEYS
