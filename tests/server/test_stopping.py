"""Stops and reloads as clients see them: no request is lost, and the port closes at once."""

from __future__ import annotations

import functools
import http.client
import os
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from running import PATIENCE, Running, children, free_port

APP = """
import os

def app(environ, start_response):
    path = environ["PATH_INFO"]
    body = environ["wsgi.input"].read() or b"hello"
    if path.startswith("/wait"):               # until the test writes to the fifo
        os.write(1, b"waiting\\n")
        with open("gate" + path[5:]) as gate:
            body = gate.read().encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
"""
GET = b"GET / HTTP/1.1\r\nHost: example.test\r\n\r\n"
RELOADS = 4
SINGLE_RELOADS = 2  # each of them loads the code three times, which takes most of this file
WORKERS = {"alone": ("--no-supervisor",), "supervised": (), "two": ("-w", "2")}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "service.py").write_text(APP)
    for name in ("gate", "gate0", "gate1"):
        os.mkfifo(tmp_path / name)
    return tmp_path


def started(folder: Path, *args: str, **options: object) -> Running:
    return Running("run", "service", "-p", "0", *args, cwd=folder, **options)  # type: ignore[arg-type]


def open_gate(folder: Path, name: str = "") -> None:
    with open(folder / f"gate{name}", "w") as gate:
        gate.write("late")


def in_background(work: Callable[[], object]) -> tuple[threading.Thread, list[object]]:
    results: list[object] = []

    def run() -> None:
        try:
            results.append(work())
        except (OSError, http.client.HTTPException) as problem:
            results.append(problem)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, results


def until_refused(address: tuple[str, int]) -> int:
    """Connect until a connection is refused; returns the number of accepted connections."""
    taken = 0
    while True:
        try:
            socket.create_connection(address, 0.1).close()
        except ConnectionRefusedError:
            return taken
        except TimeoutError:
            continue  # for a moment no connection is accepted
        taken += 1


@pytest.mark.parametrize("workers", WORKERS)
def test_a_stop_closes_the_port_at_once_and_finishes_requests(folder: Path, workers: str) -> None:
    with started(folder, *WORKERS[workers]) as server:
        thread, results = in_background(lambda: server.get("/wait"))
        server.line("waiting")
        server.send(signal.SIGTERM)
        until_refused(server.address())
        assert not results
        open_gate(folder)
        thread.join(PATIENCE)
        assert results == [(200, b"late")]
        assert server.wait() == 0


@pytest.mark.parametrize("workers", WORKERS)
def test_connections_that_wait_when_the_port_is_closed_are_answered(
    folder: Path, workers: str
) -> None:
    # One thread each, and busy: no worker can accept before the stop.
    with started(folder, *WORKERS[workers], "-t", "1") as server:
        busy = []
        for count in range(2 if workers == "two" else 1):
            busy.append(in_background(functools.partial(server.get, f"/wait{count}")))
            server.line("waiting", count + 1)
        clients = [socket.create_connection(server.address(), PATIENCE) for _ in range(5)]
        for client in clients:
            client.sendall(GET)
        server.send(signal.SIGTERM)
        until_refused(server.address())
        for count, (thread, results) in enumerate(busy):
            open_gate(folder, str(count))
            thread.join(PATIENCE)
            assert results == [(200, b"late")]
        for client in clients:
            with client:
                answer = client.makefile("rb").read()
                assert answer.startswith(b"HTTP/1.1 200 ") and b"Connection: close" in answer
        assert server.wait() == 0


def test_a_port_inherited_from_a_service_manager_stays_open(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        fd = listener.fileno()
        command = ("run", "service", "--fd", str(fd), "-w", "2")
        with Running(*command, cwd=folder, pass_fds=[fd]) as server:
            assert server.get() == (200, b"hello")
            assert server.stop() == 0
            # The next server will answer it.
            with socket.create_connection(listener.getsockname(), PATIENCE) as client:
                client.sendall(GET)
                accepted, _ = listener.accept()
                with accepted:
                    assert accepted.recv(4) == b"GET "


@pytest.mark.parametrize("workers", WORKERS)
def test_an_idle_connection_may_ask_once_more_after_a_stop(folder: Path, workers: str) -> None:
    with started(folder, *WORKERS[workers], "--idle-grace", "60") as server:
        connection = server.connect()
        connection.request("GET", "/")
        connection.getresponse().read()
        server.send(signal.SIGTERM)
        until_refused(server.address())
        closing = None
        while closing != "close":  # the supervisor may be quicker than the worker
            connection.request("POST", "/", b"once more")
            response = connection.getresponse()
            assert response.read() == b"once more"
            closing = response.headers["Connection"]
        connection.close()
        assert server.wait() == 0


def test_an_interrupt_does_not_wait_for_idle_connections(folder: Path) -> None:
    with started(folder, "--idle-grace", "60", "--graceful-timeout", "60") as server:
        connection = server.connect()
        connection.request("GET", "/")
        connection.getresponse().read()
        server.send(signal.SIGINT)
        assert connection.sock is not None
        assert connection.sock.recv(1) == b""
        assert server.wait() == 0
        connection.close()


def test_a_single_process_that_starts_again_accepts_during_the_idle_grace(folder: Path) -> None:
    options = ("--no-supervisor", "--idle-grace", "60", "--graceful-timeout", "60")
    with started(folder, *options) as server:
        idle = server.connect()
        idle.request("GET", "/")
        idle.getresponse().read()
        server.send(signal.SIGHUP)
        closing = ""
        while closing != "close":
            other = server.connect()
            other.request("GET", "/")
            response = other.getresponse()
            response.read()
            closing = response.headers.get("Connection", "")
            other.close()
        idle.request("GET", "/")
        assert idle.getresponse().headers["Connection"] == "close"
        idle.close()
        assert server.get() == (200, b"hello")
        assert server.stop() == 0


class Load:
    """Clients that post on keep-alive connections all the time; each answer is checked."""

    def __init__(self, address: tuple[str, int], clients: int) -> None:
        self.address = address
        self.answered = 0
        self.lost: list[str] = []
        self._over = threading.Event()
        self._progress = threading.Condition()
        self._threads = [threading.Thread(target=self._run) for _ in range(clients)]

    def _run(self) -> None:
        connection = http.client.HTTPConnection(*self.address, timeout=PATIENCE)
        number = 0
        while not self._over.is_set():
            number += 1
            body = b"%d" % number
            try:
                connection.request("POST", "/", body)
                response = connection.getresponse()
                found = (response.status, response.read())
            except (OSError, http.client.HTTPException) as problem:
                found = (0, repr(problem).encode())
                connection.close()
            with self._progress:
                if found == (200, body):
                    self.answered += 1
                else:
                    self.lost.append(repr(found))
                self._progress.notify_all()
        connection.close()

    def more(self, count: int) -> None:
        """Wait until `count` more requests have been answered."""
        with self._progress:
            goal = self.answered + count
            assert self._progress.wait_for(lambda: self.answered >= goal or self.lost, PATIENCE)

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(PATIENCE)


def reload_under(load: Load, server: Running) -> None:
    """SIGHUP, and requests until all workers are new ones."""
    before = children(server.pid)
    server.send(signal.SIGHUP)
    while before & children(server.pid) and not load.lost:
        load.more(10)


def test_reloads_under_load_on_kept_connections_lose_nothing(folder: Path) -> None:
    with started(folder, "-w", "2", "--no-access-log") as server:
        with Load(server.address(), 6) as load:
            for _ in range(RELOADS):
                load.more(100)
                reload_under(load, server)
        assert not load.lost and load.answered > 100 * RELOADS
        assert server.stop() == 0


def test_reloads_of_a_single_process_under_load_lose_nothing(folder: Path) -> None:
    with started(folder, "--no-supervisor", "--no-access-log") as server:
        with Load(server.address(), 6) as load:
            for count in range(1, SINGLE_RELOADS + 1):
                (folder / "service.py").write_text("import nothing_of_that_name\n")
                server.send(signal.SIGHUP)
                server.line("The old code continues to serve.", count)
                load.more(50)
                (folder / "service.py").write_text(APP)
                server.send(signal.SIGHUP)
                server.line("is serving service", count + 1)
                load.more(50)
        assert not load.lost and load.answered > 100 * SINGLE_RELOADS
        assert server.stop() == 0


NGINX = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    upstream app {{ server 127.0.0.1:{upstream}; keepalive 16; }}
    server {{
        listen 127.0.0.1:{port};
        keepalive_requests 1000000;
        location / {{
            proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection "";
        }}
    }}
}}
"""


@contextmanager
def nginx(folder: Path, upstream: int) -> Iterator[tuple[str, int]]:
    port = free_port()
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, upstream=upstream, port=port))
    command = ["nginx", "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), PATIENCE).close()
                break
            except ConnectionRefusedError:
                assert process.poll() is None, (folder / "error.log").read_text()
        yield "127.0.0.1", port
    finally:
        process.terminate()
        process.wait(PATIENCE)


@pytest.mark.skipif(shutil.which("nginx") is None, reason="needs nginx")
def test_reloads_under_posts_through_a_proxy_lose_nothing(folder: Path) -> None:
    with started(folder, "-w", "2", "--no-access-log") as server:
        with nginx(folder, server.address()[1]) as front, Load(front, 6) as load:
            for _ in range(RELOADS):
                load.more(100)
                reload_under(load, server)
        assert not load.lost and load.answered > 100 * RELOADS
        assert server.stop() == 0
