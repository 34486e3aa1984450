"""Content over MAX_CONTENT_LENGTH from a real client: the application answers, as with Flask."""

from __future__ import annotations

import http.client
from collections.abc import Iterator

import pytest

from carboy import Flask, request
from carboy.testing.live import live_server


@pytest.fixture
def app() -> Flask:
    app = Flask("large_content")
    app.config["MAX_CONTENT_LENGTH"] = 1000

    @app.errorhandler(413)
    def too_large(error: Exception) -> tuple[str, int]:
        return "at most 1000 bytes, please", 413

    @app.post("/form")
    def form() -> str:
        return request.form["name"]

    @app.post("/more")
    def more() -> str:
        request.max_content_length = 10_000_000
        return str(len(request.get_data()))

    @app.post("/blind")
    def blind() -> str:
        return "not read"

    return app


@pytest.fixture
def port(app: Flask) -> Iterator[int]:
    with live_server(app, threaded=True) as url:
        yield int(url.rpartition(":")[2])


def post(port: int, path: str, size: int) -> tuple[int, bytes, str | None]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST", path, b"name=" + b"x" * size, form)
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.getheader("Connection")
    finally:
        connection.close()


def test_the_applications_own_handler_answers_content_over_its_limit(port: int) -> None:
    assert post(port, "/form", 500_000) == (413, b"at most 1000 bytes, please", "close")


def test_a_view_may_raise_the_limit_for_itself(port: int) -> None:
    status, body, _ = post(port, "/more", 3_000_000)
    assert (status, body) == (200, b"3000005")


def test_a_view_that_does_not_read_the_content_answers(port: int) -> None:
    assert post(port, "/blind", 500_000)[:2] == (200, b"not read")


def test_content_within_the_limit_keeps_the_connection(port: int) -> None:
    assert post(port, "/form", 5) == (200, b"xxxxx", None)


@pytest.mark.parametrize("path", ["/form", "/more", "/blind"])
def test_the_application_answers_content_of_unknown_length_over_its_limit(
    port: int, path: str
) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"name="
        yield b"x" * 3000

    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST", path, pieces(), form, encode_chunked=True)
        answer = connection.getresponse()
        found = answer.status, answer.read()
    finally:
        connection.close()
    assert (
        found
        == {
            "/form": (413, b"at most 1000 bytes, please"),
            "/more": (200, b"3005"),
            "/blind": (200, b"not read"),
        }[path]
    )
