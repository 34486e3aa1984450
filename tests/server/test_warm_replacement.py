"""Workers that are replaced at a limit: the new worker is ready before the old one stops."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from running import Running, children

APP = """
import os

def app(environ, start_response):
    body = str(os.getpid())
    if environ["PATH_INFO"] == "/grow":
        globals().setdefault("kept", []).append(bytearray(os.urandom(1024)) * (200 * 1024))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body.encode()]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "service.py").write_text(APP)
    return tmp_path


def started(folder: Path, *args: str) -> Running:
    return Running("run", "service", "-p", "0", "--no-access-log", *args, cwd=folder)


@pytest.mark.parametrize("count", ["1", "2"])
def test_no_request_is_lost_while_workers_are_replaced(folder: Path, count: str) -> None:
    with started(folder, "-w", count, "--max-requests", "20") as server:
        wrong: list[object] = []
        seen: set[bytes] = set()
        enough = threading.Event()

        def client() -> None:
            while not enough.is_set():
                try:
                    status, body = server.get()
                except OSError as error:
                    wrong.append(error)
                    return
                if status != 200:
                    wrong.append(status)
                seen.add(body)

        clients = [threading.Thread(target=client) for _ in range(4)]
        for each in clients:
            each.start()
        server.line("requests (--max-requests).", 3)
        enough.set()
        for each in clients:
            each.join()
        assert not wrong
        assert len(seen) >= 3
        assert server.stop() == 0


def test_a_single_worker_is_replaced_after_its_lifetime(folder: Path) -> None:
    with started(folder, "--max-lifetime", "0.2") as server:
        first = int(server.get()[1])
        server.line(f"Worker {first} is replaced, because it has served for")
        while first in children(server.pid):
            assert server.get()[0] == 200
        assert server.stop() == 0


def test_a_worker_that_grows_is_replaced(folder: Path) -> None:
    with started(folder, "--max-memory", "180m") as server:
        first = int(server.get()[1])
        time_limit = time.monotonic() + 60
        assert "from the start" not in server.text()
        server.get("/grow")
        server.line(f"Worker {first} is replaced, because it uses")
        while int(server.get()[1]) == first:
            assert time.monotonic() < time_limit, server.text()
        assert server.stop() == 0


def test_the_limits_require_a_supervisor(folder: Path) -> None:
    with started(folder, "--no-supervisor", "--max-requests", "5") as server:
        assert server.wait() == 2
        assert "require the supervisor" in server.text()
        assert "Leave out --no-supervisor." in server.text()


def test_serve_has_a_supervisor_if_there_is_a_limit(folder: Path) -> None:
    (folder / "script.py").write_text(
        "from carboy.server import serve\nfrom service import app\n"
        "serve(app, port=0, max_requests=1)\n"
    )
    with Running(cwd=folder, command=("script.py",)) as server:
        assert int(server.get()[1]) != server.pid
        server.line("is replaced, because it has handled")
        assert server.stop() == 0
