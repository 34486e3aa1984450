"""A process that the application forks while it answers."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

import pytest

from running import PATIENCE, Running, alive, await_gone

APP = """
import os, sys

def app(environ, start_response):
    path = environ["PATH_INFO"]
    pid = os.fork() if path != "/" else 0
    if path == "/stay" and pid == 0:
        open("gate").read()                    # until the test opens it
        os._exit(0)
    if path == "/exit":
        if pid == 0:
            sys.exit(3)
        pid = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if path == "/raise":
        if pid == 0:
            raise RuntimeError("in the copy")
        pid = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(pid).encode()]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "service.py").write_text(APP)
    os.mkfifo(tmp_path / "gate")
    return tmp_path


def started(folder: Path, *args: str) -> Running:
    return Running("run", "service", "-p", "0", *args, cwd=folder)


def to_the_end(server: Running, path: str) -> bytes:
    with socket.create_connection(server.address(), PATIENCE) as sock:
        sock.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        received = b""
        while piece := sock.recv(65536):
            received += piece
    return received


@pytest.mark.parametrize("threads", ["1", "4"])
def test_a_copy_that_returns_is_ended_and_answers_nothing(folder: Path, threads: str) -> None:
    with started(folder, "-t", threads) as server:
        for _ in range(3):
            received = to_the_end(server, "/return")
            assert received.count(b"HTTP/1.1") == 1
            pid = int(received.rpartition(b"\n")[2])
            assert pid > 0
            server.line(f"Process {pid}, which the application has forked")
        assert server.get("/") == (200, b"0")
        assert server.stop() == 0


@pytest.mark.parametrize(("path", "code"), [("/exit", b"3"), ("/raise", b"1")])
def test_a_copy_that_raises_is_ended_with_its_exit_code(
    folder: Path, path: str, code: bytes
) -> None:
    with started(folder) as server:
        assert server.get(path) == (200, code)
        assert server.get("/") == (200, b"0")
        assert server.stop() == 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_copy_that_stays_holds_neither_clients_nor_the_port(folder: Path, workers: str) -> None:
    with started(folder, "-w", workers) as server:
        address = server.address()
        pid = int(to_the_end(server, "/stay").rpartition(b"\n")[2])  # the connection ends at once
        server.send(signal.SIGTERM)
        assert server.process.wait(PATIENCE) == 0
        assert alive(pid)
        with socket.socket() as again:
            again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            again.bind(address)
            again.listen()
        (folder / "gate").write_text("")
        await_gone(pid)
