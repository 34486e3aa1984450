"""The programs of docs/asgi.md run, and its tables are those of the command line."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from running import Running

PAGE = (Path(__file__).parents[2] / "docs" / "asgi.md").read_text()
PROGRAMS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def write(folder: Path) -> None:
    for number, program in enumerate(PROGRAMS):
        named = re.match(r"# (\w+\.py)\n", program)
        text = program.replace("port=8000", "port=0")
        (folder / (named[1] if named else f"program{number}.py")).write_text(text)


def test_the_first_application_is_served(tmp_path: Path) -> None:
    write(tmp_path)
    with Running("run", "shop:app", "--port", "0", cwd=tmp_path) as server:
        assert server.get() == (200, b"Hello, World!")


def test_the_program_that_serves_it_runs(tmp_path: Path) -> None:
    write(tmp_path)
    with Running(cwd=tmp_path, command=("program1.py",)) as server:
        assert server.get() == (200, b"Hello, World!")


def test_the_framework_is_served(tmp_path: Path) -> None:
    pytest.importorskip("fastapi")
    write(tmp_path)
    options = ("--port", "0", "--workers", "2")
    with Running("run", "api:app", *options, cwd=tmp_path) as server:
        assert server.get("/hello/Ann") == (200, b'{"text":"Hello, Ann!"}')


def test_the_mounted_applications_are_served(tmp_path: Path) -> None:
    pytest.importorskip("fastapi")
    write(tmp_path)
    options = ("--port", "0", "--no-supervisor")
    with Running("run", "whole:app", *options, cwd=tmp_path) as server:
        assert server.get("/") == (200, b"Hello, World!")
        assert server.get("/api/hello/Ann") == (200, b'{"text":"Hello, Ann!"}')


def test_the_websocket_is_served(tmp_path: Path) -> None:
    write(tmp_path)
    with Running("run", "echo:app", "--port", "0", "--workers", "2", cwd=tmp_path) as server:
        host, port = server.address()
        for _ in range(4):
            with connect(f"ws://{host}:{port}/", open_timeout=60) as websocket:
                websocket.send("Hello")
                assert websocket.recv(60) == "Hello"


def test_a_reload_closes_a_websocket_with_1001_and_the_new_worker_serves_it(
    tmp_path: Path,
) -> None:
    write(tmp_path)
    with Running("run", "echo:app", "--port", "0", "--workers", "1", cwd=tmp_path) as server:
        host, port = server.address()
        with connect(f"ws://{host}:{port}/", open_timeout=60) as websocket:
            websocket.send("before")
            assert websocket.recv(60) == "before"
            server.send(signal.SIGHUP)
            with pytest.raises(ConnectionClosed) as caught:
                websocket.recv(60)
            assert caught.value.rcvd is not None
            assert caught.value.rcvd.code == 1001
        with connect(f"ws://{host}:{port}/", open_timeout=60) as websocket:
            websocket.send("after")
            assert websocket.recv(60) == "after"
        server.send(signal.SIGTERM)
        assert server.process.wait(60) == 0
