"""An answer whose body fails at its first piece is a 500, on both lanes and on every server."""

from __future__ import annotations

import functools
import http.client
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from carboy import Flask, Response, request, send_file
from carboy.app.wrappers import Response as AppResponse
from carboy.gateway.interface import is_file_body
from carboy.server.first_piece import with_first_piece
from carboy.serving import make_server
from carboy.serving.wsgi_server import BaseWSGIServer
from live_engine import eventually, served
from running import PATIENCE, Running

LANES = pytest.mark.parametrize("wrapped", [False, True], ids=["direct", "wsgi"])
CLOSED: list[str] = []


class Unreadable:
    """A file that opens well and cannot be read."""

    def read(self, size: int = -1) -> bytes:
        raise OSError(5, "Input/output error")

    def close(self) -> None:
        CLOSED.append("file")


class Failing:
    """An iterable that fails at once, and counts how often it is closed."""

    def __iter__(self) -> Failing:
        return self

    def __next__(self) -> bytes:
        raise RuntimeError("no first piece")

    def close(self) -> None:
        CLOSED.append("iterable")


class Written(AppResponse):
    """A response that writes the imperative way, and not bytes."""

    def __call__(self, environ: Any, start_response: Any) -> Any:
        write = start_response("200 OK", [("Content-Type", "text/plain")])
        write("text")
        return []


def application(wrapped: bool) -> Flask:
    app = Flask(__name__, static_folder=None)

    @app.get("/request")
    def outside() -> Any:
        def pieces() -> Iterator[str]:
            yield request.path

        return pieces()

    @app.get("/response")
    def response() -> Any:
        answer = Response(Failing())
        answer.call_on_close(lambda: CLOSED.append("response"))
        return answer

    @app.get("/empty-first")
    def empty_first() -> Any:
        def pieces() -> Iterator[bytes]:
            yield b""
            yield b""
            raise RuntimeError("after two empty pieces")

        return pieces()

    @app.get("/sized")
    def sized() -> Any:
        return Response(Failing(), headers={"Content-Length": "5"})

    @app.get("/undefined")
    def undefined() -> Any:
        return Response(app.jinja_env.from_string("{{ missing.name }}").generate())

    @app.get("/number")
    def number() -> Any:
        return Response(iter([5]), direct_passthrough=True)

    @app.get("/file")
    def file() -> Any:
        return send_file(Unreadable(), mimetype="text/plain")  # type: ignore[arg-type]

    @app.get("/written")
    def written() -> Any:
        return Written()

    @app.get("/exit")
    def leaving() -> Any:
        def pieces() -> Iterator[bytes]:
            raise SystemExit(3)
            yield b""

        return pieces()

    if wrapped:
        app.wsgi_app = functools.partial(app.wsgi_app)  # type: ignore[method-assign]
    return app


PATHS = ["/request", "/response", "/empty-first", "/sized", "/undefined", "/number", "/file",
         "/exit"]  # fmt: skip


@LANES
@pytest.mark.parametrize("path", PATHS)
def test_a_body_that_fails_at_its_first_piece_is_a_500(
    path: str, wrapped: bool, caplog: pytest.LogCaptureFixture
) -> None:
    CLOSED.clear()
    with served(application(wrapped), record=True) as live, live.client() as client:
        for _ in range(3):
            client.request("GET", path)
            reply = client.reply()
            assert (reply.status, reply.headers["Connection"]) == (500, None)
        client.request("GET", "/missing")
        assert client.reply().status == 404
        # A client has its answer before the access log has its record.
        eventually(lambda: [record[4] for record in live.records] == [500, 500, 500, 404])
    failures = [each for each in caplog.records if "application failed" in each.getMessage()]
    assert [each.getMessage() for each in failures] == 3 * [
        f"The application failed: GET {path} HTTP/1.1."
    ]
    assert all(each.exc_info is not None for each in failures)
    closings = {
        "/response": ["iterable", "response"],
        "/file": ["file"],
        "/sized": ["iterable"],
    }
    expected = 3 * closings.get(path, [])
    assert expected == CLOSED


@LANES
def test_writing_something_other_than_bytes_is_a_500(wrapped: bool) -> None:
    with served(application(wrapped), record=True) as live, live.client() as client:
        for _ in range(3):
            client.request("GET", "/written")
            assert client.reply().status == 500
        eventually(lambda: [record[4] for record in live.records] == [500, 500, 500])


@LANES
def test_a_http_1_0_client_gets_the_500_too(wrapped: bool) -> None:
    data = b"GET /request HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n"
    with served(application(wrapped)) as live, live.client() as client:
        for _ in range(3):
            client.send(data)
            reply = client.reply()
            assert (reply.status, reply.headers["Connection"]) == (500, "keep-alive")


@LANES
def test_head_makes_no_piece(wrapped: bool) -> None:
    with served(application(wrapped), record=True) as live, live.client() as client:
        for _ in range(3):
            client.request("HEAD", "/request")
            assert client.reply("HEAD").status == 200
        eventually(lambda: [record[4] for record in live.records] == [200, 200, 200])


@LANES
def test_the_development_server_shows_its_page_and_logs_the_error(
    wrapped: bool, caplog: pytest.LogCaptureFixture
) -> None:
    CLOSED.clear()
    server = make_server("127.0.0.1", 0, application(wrapped), threaded=True)
    with caplog.at_level(logging.INFO, "werkzeug"), in_a_thread(server):
        for _ in range(3):
            status, body = fetched(server, "/response")
            assert (status, b"<h1>Internal Server Error</h1>" in body) == (500, True)
    errors = [each.getMessage() for each in caplog.records if each.levelno >= logging.ERROR]
    assert len(errors) == 3
    assert all("RuntimeError: no first piece" in each for each in errors)
    assert CLOSED == 3 * ["iterable", "response"]


@LANES
def test_the_exception_is_raised_with_passthrough_errors(wrapped: bool) -> None:
    server = make_server("127.0.0.1", 0, application(wrapped), passthrough_errors=True)
    raised = passed_through(server, "/response")
    assert raised == "no first piece"


@contextmanager
def in_a_thread(server: BaseWSGIServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join(PATIENCE)


def passed_through(server: BaseWSGIServer, path: str) -> str:
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as sock:
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        with pytest.raises(RuntimeError) as caught:
            server.serve_forever()
    return str(caught.value)


def fetched(server: BaseWSGIServer, path: str) -> tuple[int, bytes]:
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)) as client:
        client.request("GET", path)
        reply = client.getresponse()
        return reply.status, reply.read()


APP = """
from carboy import Flask, request, stream_template_string
app = Flask(__name__)

@app.get("/")
def index():
    return (request.path for _ in range(1))

@app.get("/template")
def template():
    return stream_template_string("{{ missing.name }}")
"""


@pytest.mark.parametrize("path", ["/", "/template"])
def test_the_debugger_shows_what_a_generator_raised_first(path: str, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP)
    with Running("dev", "--port", "0", cwd=tmp_path) as server:
        for _ in range(3):
            status, body = server.get(path)
            assert status == 500
            assert b"Traceback" in body


def test_a_file_that_the_kernel_sends_is_not_read(tmp_path: Path) -> None:
    class File(list[bytes]):
        file: Any
        offset, count = 0, None

    path = tmp_path / "file"
    path.write_bytes(b"content")
    body = File()
    with path.open("rb") as body.file:
        assert is_file_body(body)
        assert with_first_piece(("200 OK", [], body, None))[2] is body


def test_empty_pieces_are_skipped_and_the_rest_is_kept() -> None:
    _, _, body, _ = with_first_piece(("200 OK", [], iter([b"", b"a", b"", b"b"]), None))
    assert b"".join(body) == b"ab"
