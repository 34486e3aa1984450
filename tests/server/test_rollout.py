"""`carboy run --canary`: a reload that one worker tries first."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from running import Running, children

APP = """
import os

def app(environ, start_response):
    status = "STATUS"
    if environ["PATH_INFO"] == "/die":
        os.kill(os.getpid(), 9)
    start_response(status, [("Content-Type", "text/plain")])
    return [f"VERSION {os.getpid()}".encode()]
"""
LONG = "600"


def write(folder: Path, version: str, status: str = "200 OK") -> None:
    text = APP.replace("VERSION", version).replace("STATUS", status)
    (folder / "service.py").write_text(text)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, "old")
    return tmp_path


def started(folder: Path, *args: str) -> Running:
    return Running("run", "service", "-p", "0", "--no-access-log", *args, cwd=folder)


@contextmanager
def clients(server: Running) -> Iterator[dict[str, set[int]]]:
    """Two clients that send requests; the versions that have answered, with their statuses."""
    seen: dict[str, set[int]] = {}
    enough = threading.Event()

    def run() -> None:
        while not enough.is_set():
            try:
                status, body = server.get()
            except ConnectionError:
                continue  # of a worker that has crashed
            seen.setdefault(body.decode().split()[0], set()).add(status)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for each in threads:
        each.start()
    try:
        yield seen
    finally:
        enough.set()
        for each in threads:
            each.join()


def until_the_new_code_answers(server: Running) -> int:
    """The pid of the worker that tries the new code."""
    while True:
        version, pid = server.get()[1].split()
        if version == b"new":
            return int(pid)


@pytest.mark.parametrize("count", ["1", "2"])
def test_good_code_is_used_by_all_workers_after_the_time(folder: Path, count: str) -> None:
    with started(folder, "-w", count, "--canary", "0.5") as server:
        assert server.get()[1].startswith(b"old")
        with clients(server) as seen:
            write(folder, "new")
            server.send(signal.SIGHUP)
            server.line("tries the new code for 0.5 s")
            server.line("The other workers are replaced.")
            server.line("All workers have been replaced.")
        assert seen["new"] == {200}
        assert server.stop() == 0


@pytest.mark.parametrize("how", [(), ("--preload",)])
def test_code_with_errors_is_rolled_back(folder: Path, how: tuple[str, ...]) -> None:
    if how and sys.platform != "linux":
        pytest.skip("needs a subreaper")
    with started(folder, "-w", "2", "--canary", LONG, *how) as server:
        assert server.get()[1].startswith(b"old")
        before = children(server.pid)
        with clients(server):
            write(folder, "new", "500 Broken")
            server.send(signal.SIGHUP)
            line = server.line("The new code is rolled back.")
            assert "errors in" in line and "The others: 0 errors in" in line
            while children(server.pid) != before:
                pass
        assert server.get()[1].startswith(b"old")
        if how:  # without it, a worker that starts later has the new code
            os.kill(int(server.get()[1].split()[1]), signal.SIGKILL)
            server.line("another one takes its place")
            while len(children(server.pid)) < len(before):
                pass
            with clients(server) as seen:
                while "old" not in seen:
                    pass
            assert set(seen) == {"old"}
        assert server.stop() == 0


def test_code_that_crashes_is_rolled_back_at_once(folder: Path) -> None:
    with started(folder, "--canary", LONG) as server:
        first = int(server.get()[1].split()[1])
        write(folder, "new")
        server.send(signal.SIGHUP)
        os.kill(until_the_new_code_answers(server), signal.SIGKILL)
        server.line("The new code is rolled back.")
        assert server.get()[1] == f"old {first}".encode()
        assert server.stop() == 0


def test_code_that_does_not_load_is_not_tried(folder: Path) -> None:
    with started(folder, "--canary", LONG) as server:
        first = int(server.get()[1].split()[1])
        (folder / "service.py").write_text("import nothing_of_that_name\n")
        server.send(signal.SIGHUP)
        server.line("The workers are not replaced.")
        assert children(server.pid) == {first}
        write(folder, "new")
        server.send(signal.SIGHUP)
        until_the_new_code_answers(server)
        assert server.stop() == 0


def test_another_reload_starts_over(folder: Path) -> None:
    with started(folder, "--canary", LONG) as server:
        first = int(server.get()[1].split()[1])
        write(folder, "new")
        server.send(signal.SIGHUP)
        second = until_the_new_code_answers(server)
        server.send(signal.SIGHUP)
        server.line("tries the new code", 2)
        while second in (found := children(server.pid)):
            pass
        assert first in found and len(found) == 2
        assert server.stop() == 0


def test_a_canary_requires_the_supervisor(folder: Path) -> None:
    with started(folder, "--canary", "5", "--no-supervisor") as server:
        assert server.wait() == 2
        assert "--canary require the supervisor" in server.text()
