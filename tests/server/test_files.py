from __future__ import annotations

import io
import os
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from live_engine import GET, eventually, hello, served

CONTENT = os.urandom(1024) * 3000


@pytest.fixture(params=["epoll", "selectors", "no sendfile"])
def settings(request: pytest.FixtureRequest) -> dict[str, Any]:
    if request.param == "no sendfile":
        return {"sendfile": False}
    return {"poller": request.param}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "content"
    path.write_bytes(CONTENT)
    return path


class Files:
    """An application that answers with a file through wsgi.file_wrapper."""

    def __init__(self, path: Path, skip: int = 0, length: str | None = None) -> None:
        self.path = path
        self.skip = skip
        self.length = length
        self.opened: list[Any] = []

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        if environ["PATH_INFO"] == "/hello":
            return hello(environ, start_response)
        file = self.path.open("rb")
        self.opened.append(file)
        file.seek(self.skip)
        headers = [("Content-Length", self.length)] if self.length else []
        start_response("200 OK", headers)
        return environ["wsgi.file_wrapper"](file)


def test_a_file_arrives_whole_and_is_closed(file: Path, settings: dict[str, Any]) -> None:
    app = Files(file)
    with served(app, **settings) as live, live.client() as client:
        for _ in range(2):
            client.send(GET)
            reply = client.reply()
            assert reply.headers["Content-Length"] == str(len(CONTENT))
            assert reply.body == CONTENT
    eventually(lambda: [each.closed for each in app.opened] == [True, True])


def test_a_file_is_sent_from_its_position(file: Path, settings: dict[str, Any]) -> None:
    with served(Files(file, skip=1000), **settings) as live:
        assert live.get().body == CONTENT[1000:]


def test_a_file_is_sent_up_to_its_announced_length(file: Path, settings: dict[str, Any]) -> None:
    with served(Files(file, length="100"), **settings) as live, live.client() as client:
        for _ in range(2):
            client.send(GET)
            assert client.reply().body == CONTENT[:100]


def test_head_of_a_file_sends_no_content(file: Path, settings: dict[str, Any]) -> None:
    app = Files(file)
    with served(app, **settings) as live, live.client() as client:
        client.request("HEAD", "/")
        assert client.reply("HEAD").headers["Content-Length"] == str(len(CONTENT))
        client.request("GET", "/hello")
        assert client.reply().body == b"hello"
    eventually(lambda: app.opened[0].closed)


def test_a_slow_reader_of_a_file_holds_no_thread(file: Path, settings: dict[str, Any]) -> None:
    file.write_bytes(CONTENT * 4)
    with served(Files(file), threads=1, **settings) as live, live.client() as client:
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
        client.send(GET)
        client.until(b"\r\n\r\n")
        assert live.get("/hello").body == b"hello"
        assert client.file.read(len(CONTENT) * 4) == CONTENT * 4


def test_a_client_that_leaves_frees_the_file(file: Path, settings: dict[str, Any]) -> None:
    file.write_bytes(CONTENT * 4)
    before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0
    with served(Files(file), **settings) as live:
        with live.client() as client:
            client.send(GET)
            client.until(b"\r\n\r\n")
        eventually(lambda: not live.engine.connections)
    if before:
        eventually(lambda: len(os.listdir("/proc/self/fd")) <= before)


def test_a_file_that_shrinks_cuts_the_connection(file: Path, settings: dict[str, Any]) -> None:
    with served(Files(file, length=str(len(CONTENT) + 5)), **settings) as live:
        with live.client() as client:
            client.send(GET)
            client.until(b"\r\n\r\n")
            assert client.file.read(len(CONTENT)) == CONTENT
            assert client.closed()


def test_an_object_that_is_not_a_file_is_iterated(settings: dict[str, Any]) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", [])
        return environ["wsgi.file_wrapper"](io.BytesIO(CONTENT), 8192)

    with served(app, **settings) as live:
        assert live.get().body == CONTENT


def test_a_pipe_is_iterated(settings: dict[str, Any]) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Any:
        read, write = os.pipe()
        os.write(write, b"through a pipe")
        os.close(write)
        start_response("200 OK", [])
        return environ["wsgi.file_wrapper"](open(read, "rb"))

    with served(app, **settings) as live:
        assert live.get().body == b"through a pipe"


def test_many_readers_of_files_are_served_side_by_side(file: Path) -> None:
    results: list[bool] = []
    with served(Files(file), threads=2) as live:

        def read() -> None:
            results.append(live.get().body == CONTENT)

        threads = [threading.Thread(target=read) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
    assert results == [True] * 8
