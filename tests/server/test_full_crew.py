"""Every thread is taken by handlers that wait: what still runs, what waits, what is refused."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from carboy import Carboy, hold
from carboy.net import listen_unix
from carboy.server import busy_warnings
from carboy.server.queueing import HELD
from live_engine import Client, Live, eventually, hello, served

NEVER = float("inf")


class Room:
    """An application: /hold… waits to be let go, /stall does while it is told to."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.stalled = threading.Event()
        self.smooth = threading.Event()
        self.smooth.set()
        self.ran: list[str] = []

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        path = environ["PATH_INFO"]
        self.ran.append(path)
        if path.startswith("/hold"):
            assert self.go.wait(30)
        if path.startswith("/stall") and not self.smooth.is_set():
            self.stalled.set()
            assert self.smooth.wait(30)
        return hello(environ, start_response)


@contextmanager
def full(threads: int = 2, **settings: Any) -> Iterator[tuple[Room, Live, ExitStack]]:
    """Served with all `threads` inside /hold, which gets no trial on the leader.

    The budget is large, because a quick handler may be slow on a busy machine.
    """
    app = Room()
    options = {"inline_budget": 0.05, **settings}
    with served(app, threads=threads, **options) as live, ExitStack() as stack:
        try:
            live.get("/quick")
            live.engine.dispatch_times.averages["GET /hold"] = 1.0
            live.engine.dispatch_times.next_trial = NEVER
            for _ in range(threads):
                ask(live, stack, "/hold")
            eventually(lambda: app.ran.count("/hold") == threads)
            yield app, live, stack
        finally:
            app.go.set()
            app.smooth.set()


def ask(live: Live, stack: ExitStack, path: str) -> Client:
    client = stack.enter_context(live.client())
    client.request("GET", path)
    return client


def waiting(live: Live) -> int:
    return len(live.engine.scheduler.queue)


# --- clients that have gone


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_a_request_whose_client_has_gone_is_not_run(kind: str, tmp_path: Path) -> None:
    listener = listen_unix(str(tmp_path / "s")) if kind == "unix" else None
    with full(listener=listener, record=True) as (app, live, stack):
        with ExitStack() as leaving:
            for _ in range(30):
                ask(live, leaving, "/hold")
            eventually(lambda: waiting(live) == 30)
        stays = ask(live, stack, "/hold")
        eventually(lambda: waiting(live) == 31)
        app.go.set()
        assert stays.reply().body == b"hello"
        assert app.ran.count("/hold") == 3
        eventually(lambda: [record[4] for record in live.records].count(499) == 30)
        eventually(lambda: len(live.engine.connections) == 3)


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_a_client_that_only_ends_its_side_gets_its_response(kind: str, tmp_path: Path) -> None:
    listener = listen_unix(str(tmp_path / "s")) if kind == "unix" else None
    with full(listener=listener) as (app, live, stack):
        clients = [ask(live, stack, "/hold") for _ in range(3)]
        clients[0].sock.shutdown(socket.SHUT_WR)
        eventually(lambda: waiting(live) == 3)
        clients[1].sock.shutdown(socket.SHUT_WR)
        app.go.set()
        for client in clients[:2]:
            answer = client.rest()
            assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
            assert answer.endswith(b"\r\n\r\nhello")
            assert answer.count(b"HTTP/1.1") == 1
        assert clients[2].reply().body == b"hello"


def test_a_pipelined_request_of_a_client_that_ended_its_side_is_answered() -> None:
    with full() as (app, live, stack):
        client = ask(live, stack, "/hold")
        client.request("GET", "/quick")
        client.sock.shutdown(socket.SHUT_WR)
        eventually(lambda: waiting(live) == 1)
        app.go.set()
        assert client.reply().body == b"hello"
        assert client.reply().body == b"hello"
        assert client.closed()


# --- limits


def test_requests_above_the_queue_limit_get_503_and_their_connections_are_kept() -> None:
    with full(queue_limit=2) as (app, live, stack):
        waits = [ask(live, stack, "/hold") for _ in range(2)]
        eventually(lambda: waiting(live) == 2)
        refused = ask(live, stack, "/hold")
        refused.request("GET", "/quick")  # behind it on the same connection
        reply = refused.reply()
        assert reply.status == 503
        assert 1 <= int(reply.headers["Retry-After"]) <= 30
        assert refused.reply().body == b"hello"
        app.go.set()
        for client in waits:
            assert client.reply().status == 200
        assert ask(live, stack, "/hold").reply().status == 200


def test_a_request_that_gets_a_thread_is_not_refused_because_others_wait() -> None:
    with full(queue_limit=1) as (app, live, stack):
        learned, crew = live.engine.dispatch_times, live.engine.crew
        queue = live.engine.scheduler.queue
        waits = ask(live, stack, "/hold")
        eventually(lambda: waiting(live) == 1)
        for path in ("/brief", "/burn"):
            learned.averages[f"GET {path}"] = 1.0
        learned.note_away("GET /brief", 0.01)
        learned.note_usage("GET /burn", 0.1, (0.1, 0.1, 0))  # computes for long
        for path in ("/burn", "/brief") * 3:
            eventually(lambda: crew.away == 2 and time.monotonic() > queue.last_free + HELD)
            assert live.get(path).status == 200
        app.go.set()
        assert waits.reply().status == 200


def test_requests_whose_clients_have_gone_do_not_count_in_the_queue() -> None:
    with full(queue_limit=2) as (app, live, stack):
        with ExitStack() as leaving:
            for _ in range(2):
                ask(live, leaving, "/hold")
            eventually(lambda: waiting(live) == 2)
        stays = ask(live, stack, "/hold")
        eventually(lambda: waiting(live) == 1)
        app.go.set()
        assert stays.reply().status == 200


def test_a_request_that_waits_too_long_gets_503() -> None:
    with full(queue_timeout=0.05, record=True) as (app, live, stack):
        late = ask(live, stack, "/hold")
        reply = late.reply()
        assert reply.status == 503 and reply.headers["Retry-After"]
        late.request("GET", "/quick")
        assert late.reply().body == b"hello"
        eventually(lambda: [record[4] for record in live.records] == [200, 503, 200])
        assert live.records[1][6] >= 0.05  # seconds, the wait included
        assert app.ran.count("/hold") == 2


def test_a_connection_is_usable_after_a_refused_request_with_a_body() -> None:
    with full(queue_timeout=0.05) as (_, live, stack):
        live.engine.dispatch_times.averages["POST /hold"] = 1.0
        client = stack.enter_context(live.client())
        client.request("POST", "/hold", body=b"x" * 1000)
        assert client.reply("POST").status == 503
        client.request("GET", "/quick")
        assert client.reply().body == b"hello"


# --- what stays quick


def test_the_first_call_of_another_slow_route_does_not_delay_quick_ones() -> None:
    with full() as (app, live, stack):
        for _ in range(4):
            ask(live, stack, "/hold")
        eventually(lambda: waiting(live) == 4)
        ask(live, stack, "/hold/other")  # not seen before: it takes a leader
        eventually(lambda: "/hold/other" in app.ran)
        for _ in range(20):
            assert live.get("/quick").body == b"hello"
        assert not app.go.is_set()


def test_many_new_slow_routes_do_not_delay_quick_ones() -> None:
    with full() as (app, live, stack):
        for letter in "abcdefghijklmnopqrstuvwxyz":
            ask(live, stack, f"/hold/{letter}")
        eventually(lambda: len(live.engine.in_flight()) == 28)
        for _ in range(20):
            assert live.get("/quick").body == b"hello"
        assert len(live.engine.crew._members) < 12


def test_a_quick_route_that_stalls_once_is_quick_again_though_every_thread_is_taken() -> None:
    with full(inline_budget=0.001) as (app, live, stack):
        live.engine.dispatch_times.next_trial = 0.0
        live.get("/stall")
        app.smooth.clear()
        while live.engine.dispatch_times.is_quick("GET /stall"):
            app.stalled.clear()
            ask(live, stack, "/stall")
            eventually(app.stalled.is_set)
            eventually(lambda: not live.engine.crew.current.slot)
        app.smooth.set()
        for _ in range(20):
            assert live.get("/stall").body == b"hello"
        assert not app.go.is_set()


def test_a_new_route_is_answered_though_one_route_has_taken_all_of_the_reserve() -> None:
    with full(inline_budget=0.001) as (app, live, stack):
        live.get("/stall")
        app.smooth.clear()
        while live.engine.crew.away < live.engine.scheduler.queue.most:
            live.engine.dispatch_times.averages["GET /stall"] = 0.0
            app.stalled.clear()
            ask(live, stack, "/stall")
            eventually(app.stalled.is_set)
            eventually(lambda: not live.engine.crew.current.slot)
        assert live.get("/new").body == b"hello"
        assert not app.go.is_set()


def test_quick_routes_that_all_stall_start_a_limited_number_of_threads() -> None:
    with full(inline_budget=0.001) as (app, live, stack):
        live.engine.dispatch_times.next_trial = 0.0
        paths = [f"/stall/{chr(97 + number)}" for number in range(20)]
        for path in [*paths, "/quick"]:
            live.get(path)
        app.smooth.clear()
        for _ in range(3):
            for path in paths:
                ask(live, stack, path)
        eventually(lambda: len(live.engine.in_flight()) == 62)
        assert live.get("/quick").body == b"hello"
        queue = live.engine.scheduler.queue
        assert live.engine.crew.away <= queue.most + len(paths) + 1
        app.smooth.set()
        for path in paths:
            assert live.get(path).body == b"hello"


# --- the log


def test_the_log_says_when_all_threads_are_busy_and_when_they_are_free_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(busy_warnings, "MOMENT", 0.01)
    with full(headers_timeout=0.1) as (app, live, stack):
        late = ask(live, stack, "/hold")
        eventually(lambda: "All 2 threads are busy" in caplog.text)
        assert caplog.text.count("GET /hold HTTP/1.1 (") == 2
        app.go.set()
        assert late.reply().status == 200
        eventually(lambda: "Threads are free again" in caplog.text)


def test_the_log_does_not_name_held_connections_as_running(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """They have no thread."""
    monkeypatch.setattr(busy_warnings, "MOMENT", 0.01)
    go = threading.Event()
    app = Carboy("held")
    app.add_url_rule("/held", "held", view_func=lambda: hold("news"))
    app.add_url_rule("/wait", "wait", view_func=lambda: str(go.wait(60)))
    with served(app, headers_timeout=0.1, threads=2) as live, ExitStack() as stack:
        ask(live, stack, "/held").until(b"retry: 3000\n\n")
        waits = [ask(live, stack, "/wait") for _ in range(3)]
        try:
            eventually(lambda: "All 2 threads are busy" in caplog.text)
        finally:
            go.set()
        assert "/wait" in caplog.text
        assert "/held" not in caplog.text
        assert [client.reply().status for client in waits] == [200] * 3


# --- a burst


def test_a_burst_for_a_key_that_others_delay_takes_no_threads() -> None:
    """On threads, its requests would take the interpreter from each other, and stay slow."""
    with served(hello, threads=16) as live:
        scheduler = live.engine.scheduler
        times = live.engine.dispatch_times
        times.note("page", 0.008)
        times.note_usage("page", 0.008, (0.0004, 0.0005, 0))
        for _ in range(5000):
            request: Any = SimpleNamespace(key="page")
            average = times.averages["page"]
            assert not scheduler.place(request, average, time.monotonic(), away=False)
            assert request.usage_before is not None
            request.usage_before = None
            scheduler.ran_here(request, 0.008)
            assert not times.is_quick("page")
        assert not scheduler.busy()
