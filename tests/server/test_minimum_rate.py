from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from carboy.gateway import WsgiGateway
from carboy.net import adopt, listen_tcp
from carboy.server.connection import BODY, HEAD, IDLE, LINGER, WRITING, Connection, Phase
from carboy.server.deadlines import SUSPENDED, Deadlines
from carboy.server.minimum_rate import MinimumRate
from carboy.server.settings import Settings
from live_engine import GET, eventually, hello, served
from running import Running

BEGUN = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n"


def lasts(rate: MinimumRate, moved: list[int], last: int = 10_000) -> int:
    """The second at which `rate` gives up; `moved` counts the bytes after each second."""
    for second in range(1, last):
        if rate.is_too_slow(float(second), moved[min(second, len(moved)) - 1]):
            return second
    return last


def test_the_average_has_to_reach_the_rate_after_the_grace() -> None:
    slow = [second * 499 for second in range(1, 100)]
    enough = [second * 500 for second in range(1, 10_000)]
    assert lasts(MinimumRate(0.0, 10.0, 500, 60.0), slow) == 11
    assert lasts(MinimumRate(0.0, 10.0, 500, 60.0), enough) == 10_000


def test_early_bytes_count_for_later_but_for_a_minute_at_most() -> None:
    burst = 90_000_000
    assert lasts(MinimumRate(0.0, 10.0, 500, 60.0), [burst]) == 62
    assert lasts(MinimumRate(0.0, 10.0, 500, 60.0), [5_000]) == 11


def test_a_burst_gives_credit_for_a_minute_at_most() -> None:
    trickle = [90_000_000 + second for second in range(1, 10_000)]
    assert lasts(MinimumRate(0.0, 10.0, 500, 60.0), trickle) == 62


def test_silence_is_limited_without_a_rate_and_within_the_grace() -> None:
    assert lasts(MinimumRate(0.0, 10.0, 0, 60.0), [1]) == 62
    assert lasts(MinimumRate(0.0, 10.0, 0, 60.0), list(range(1, 10_000))) == 10_000
    assert lasts(MinimumRate(0.0, 1000.0, 500, 60.0), [1]) == 62


class Standing:
    """The attributes of a connection that deadlines look at."""

    def __init__(self, phase: Phase, since: float) -> None:
        self.phase = phase
        self.since = since
        self.moved = 0
        self.minimum_rate: MinimumRate | None = None

    def is_silent(self) -> bool:
        return True

    def reset_on_close(self) -> None:
        pass


@pytest.mark.parametrize("phase", [HEAD, IDLE, BODY, WRITING, LINGER])
def test_time_in_which_the_process_was_suspended_does_not_count(phase: Phase) -> None:
    deadlines = Deadlines(Settings(linger_timeout=20.0))
    standing: Any = Standing(phase, 100.0)
    connections: list[Connection] = [standing]
    for now in (100.0, 100.5, 1100.0, 1100.5):
        assert deadlines.exceeded(connections, now) == []
    found = []
    for tick in range(1, 400):
        found += deadlines.exceeded(connections, 1100.5 + tick * SUSPENDED / 2)
    assert found


def lingers(moved: Callable[[float], float]) -> float:
    """The second in which the draining of a connection ends; `moved`: bytes after some seconds."""
    deadlines = Deadlines(Settings())
    standing: Any = Standing(LINGER, 0.0)
    for tick in range(1000):
        standing.moved = int(moved(tick / 4))
        if deadlines.exceeded([standing], tick / 4):
            return tick / 4
    return 250.0


def test_a_refused_body_is_discarded_while_the_client_sends_it_for_a_minute_at_most() -> None:
    assert lingers(lambda second: 0) == 2.25
    assert lingers(lambda second: 1000 * second) == 60.25
    assert lingers(lambda second: 1000 * min(second, 10.0)) == 12.25  # then it reads the response
    assert lingers(lambda second: 400 * second) < 5.0  # below --body-rate


class Streaming(WsgiGateway):
    """A gateway whose application reads the body itself."""

    def wants_stream(self, exchange: Any) -> bool:
        return True


def test_a_body_that_stops_after_a_burst_is_refused() -> None:
    with served(hello, silence_timeout=0.1, body_grace=0.0, body_rate=1) as live:
        data = live.ask(BEGUN + bytes(900_000))
    assert data.startswith(b"HTTP/1.1 408 ")


def test_a_body_that_the_application_reads_is_given_up_too() -> None:
    seen: list[str] = []

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        try:
            environ["wsgi.input"].read()
        except OSError as error:
            seen.append(str(error))
        return hello(environ, start_response)

    options = {"silence_timeout": 0.1, "body_grace": 0.0, "body_rate": 1}
    with served(app, gateway=Streaming(app), **options) as live, live.client() as client:
        client.send(BEGUN + bytes(900_000))
        eventually(lambda: seen)
    assert seen == ["The client sends its body too slowly."]


@pytest.mark.parametrize("pieces", [1, 3000])
def test_a_response_whose_reader_stops_after_a_burst_is_cut(pieces: int) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", [])
        return (bytes(30_000_000 // pieces) for _ in range(pieces))

    options = {"silence_timeout": 0.1, "write_grace": 0.0, "write_rate": 1}
    with served(app, **options) as live, live.client() as client:
        client.send(GET)
        with contextlib.suppress(ConnectionResetError):  # on a busy machine, even this is too slow
            client.file.read(1_000_000)
        eventually(lambda: not live.engine.connections)


def test_a_steady_client_is_not_affected_by_the_limit_on_silence() -> None:
    going = threading.Event()

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        body = environ["wsgi.input"].read()
        start_response("200 OK", [])
        return [body]

    with served(app, silence_timeout=1.0, body_grace=0.0, body_rate=1) as live:
        with live.client() as client:
            client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 40\r\n\r\n")
            for _ in range(40):
                client.send(b"x")
                going.wait(0.04)  # 1.6 s in total
            assert client.reply().body == b"x" * 40


def test_a_request_that_came_while_the_process_was_stopped_is_answered(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "def app(environ, start_response):\n"
        "    start_response('200 OK', [])\n"
        "    return [environ['wsgi.input'].read()]\n"
    )
    options = ("--headers-timeout", "2", "--keepalive-timeout", "2", "--silence-timeout", "2")
    with Running("run", "app:app", "-p", "0", *options, cwd=tmp_path) as running:
        with (
            socket.create_connection(running.address(), 20) as head,
            socket.create_connection(running.address(), 20) as idle,
            socket.create_connection(running.address(), 20) as body,
        ):
            idle.sendall(GET)
            assert b"200 OK" in idle.recv(1000)
            head.sendall(GET[:10])
            body.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab")
            os.killpg(running.pid, signal.SIGSTOP)  # the worker and its supervisor
            time.sleep(2.2)  # the time that must not count
            head.sendall(GET[10:])
            idle.sendall(GET)
            body.sendall(b"cd")
            os.killpg(running.pid, signal.SIGCONT)
            for sock in (head, idle, body):
                assert sock.recv(1000).startswith(b"HTTP/1.1 200 OK")


def test_the_kernel_probes_silent_clients() -> None:
    with listen_tcp("127.0.0.1", 0) as listener:
        with socket.create_connection(listener.getsockname()):
            listener.setblocking(True)
            accepted, _ = listener.accept()
            with accepted:
                assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
                if hasattr(socket, "TCP_KEEPIDLE"):
                    assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 60


def test_keepalive_times_of_an_inherited_socket_are_kept() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        plain = adopt(listener.detach())
    with plain:
        assert plain.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        before = listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL)
        careful = adopt(listener.detach())
    with careful:
        assert careful.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) == before
