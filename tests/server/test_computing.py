"""Handlers that compute run one after the other, those that wait at the same time."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from typing import Any

import pytest

from carboy.server.dispatch_times import DispatchTimes
from live_engine import Live, eventually, hello, served

BURN = 0.003  # seconds of processor time: above the budget, and short enough for the leader
COMPANY = 6


def burn(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        sum(range(200))


def known_to_compute(learned: DispatchTimes, key: str, seconds: float = 0.002) -> None:
    learned.note(key, 0.008)
    learned.note_usage(key, seconds, (seconds, seconds, 0))
    assert learned.computes(key)


def at_once(live: Live, stack: ExitStack, *paths: str) -> list[Any]:
    clients = [stack.enter_context(live.client()) for _ in paths]
    for client, path in zip(clients, paths, strict=True):
        client.request("GET", path)
    return clients


class Work:
    """/burn… computes; /mixed computes, and then waits until COMPANY requests do."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.inside = 0
        self.most = 0
        self.order: list[str] = []
        self.together = threading.Barrier(COMPANY)
        self.go = threading.Event()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        path = environ["PATH_INFO"]
        with self.lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
            self.order.append(path)
        if path.startswith("/burn"):
            if environ["QUERY_STRING"] == "held":
                self.go.wait(30)
            burn(BURN)
        elif path == "/mixed":
            burn(BURN)
            self.together.wait(30)
        elif path == "/hold":
            assert self.go.wait(30)
        with self.lock:
            self.inside -= 1
        return hello(environ, start_response)


def test_a_handler_that_computes_is_recognized() -> None:
    app = Work()
    with served(app) as live:

        def learned() -> float:
            # One after the other: on a busy machine, requests that wait for the interpreter cannot
            # be told from those that wait for something else.
            assert live.get("/burn").status == 200
            return live.engine.dispatch_times.computes("GET /burn")

        eventually(learned)


def test_short_computing_handlers_run_one_at_a_time_in_order_of_arrival() -> None:
    app = Work()
    # The leader is patient, because the machine of a test may be slow.
    with served(app, watch_interval=5.0) as live, ExitStack() as stack:
        paths = [f"/burn/{letter}" for letter in "abcdefgh"]
        for path in paths:
            known_to_compute(live.engine.dispatch_times, f"GET {path}")
        for client in at_once(live, stack, *paths):
            assert client.reply().status == 200
    assert app.order == paths
    assert app.most == 1


def test_quick_requests_run_between_computing_ones() -> None:
    app = Work()
    with served(app, watch_interval=5.0) as live, ExitStack() as stack:
        live.get("/quick")
        app.order.clear()
        known_to_compute(live.engine.dispatch_times, "GET /burn")
        slow = at_once(live, stack, "/burn?held")
        eventually(lambda: app.order)
        slow += at_once(live, stack, *["/burn"] * 20)
        (quick,) = at_once(live, stack, "/quick")
        app.go.set()
        assert quick.reply().body == b"hello"
        for client in slow:
            assert client.reply().status == 200
    assert app.order.index("/quick") < 20


def test_long_computing_handlers_run_in_the_crew_and_few_at_a_time() -> None:
    app = Work()
    with served(app, threads=16) as live, ExitStack() as stack:
        live.engine.dispatch_times.next_trial = float("inf")
        known_to_compute(live.engine.dispatch_times, "GET /burn", 0.05)
        live.engine.scheduler.queue._at_once = 1
        clients = at_once(live, stack, *["/burn"] * 8)
        eventually(lambda: "/burn" in app.order)
        assert live.get("/quick").body == b"hello"
        for client in clients:
            assert client.reply().status == 200


def test_handlers_that_compute_and_then_wait_get_threads() -> None:
    """None of them ends before enough have begun."""
    app = Work()
    with served(app, threads=16) as live, ExitStack() as stack:
        for _ in range(3):
            for client in at_once(live, stack, *["/mixed"] * COMPANY):
                assert client.reply().status == 200
        assert live.get("/quick").body == b"hello"


@pytest.mark.parametrize("seconds", [0.002, 0.05], ids=["on the leader", "on threads"])
def test_handlers_that_begin_to_wait_get_threads(seconds: float) -> None:
    app = Work()
    with served(app, threads=16) as live, ExitStack() as stack:
        known_to_compute(live.engine.dispatch_times, "GET /mixed", seconds)
        for client in at_once(live, stack, *["/mixed"] * COMPANY):
            assert client.reply().status == 200


def test_a_computing_handler_runs_although_every_thread_waits() -> None:
    app = Work()
    with served(app, threads=2) as live, ExitStack() as stack:
        learned = live.engine.dispatch_times
        learned.averages["GET /hold"] = 1.0
        learned.next_trial = float("inf")
        known_to_compute(learned, "GET /burn/short", 0.002)
        known_to_compute(learned, "GET /burn/long", 0.05)
        held = at_once(live, stack, *["/hold"] * 4)
        eventually(lambda: app.order == ["/hold"] * 2)
        for path in ("/burn/short", "/burn/long", "/burn/short"):
            assert live.get(path).status == 200
        app.go.set()
        for client in held:
            assert client.reply().status == 200
