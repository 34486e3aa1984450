from __future__ import annotations

import sys
from typing import Any

import pytest

from carboy.testing import create_environ, run_wsgi_app


def test_the_body_is_taken_up_to_its_first_chunk() -> None:
    steps: list[str] = []

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("X-Y", "z")])
        steps.append("first")
        yield b"a"
        steps.append("second")
        yield b"b"

    body, status, headers = run_wsgi_app(app, create_environ())
    assert (status, headers["x-y"], steps) == ("200 OK", "z", ["first"])
    assert list(body) == [b"a", b"b"]


def test_what_was_written_comes_first() -> None:
    def app(environ: Any, start_response: Any) -> Any:
        write = start_response("200 OK", [])
        write(b"1")
        return [b"2"]

    assert b"".join(run_wsgi_app(app, create_environ())[0]) == b"12"
    assert run_wsgi_app(app, create_environ(), buffered=True)[0] == [b"1", b"2"]


class Closing:
    def __init__(self) -> None:
        self.closed = 0

    def __iter__(self) -> Any:
        yield b"1"
        yield b"2"

    def close(self) -> None:
        self.closed += 1


@pytest.mark.parametrize("buffered", [False, True])
def test_close_is_called_once(buffered: bool) -> None:
    closing = Closing()

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return closing

    body, _, _ = run_wsgi_app(app, create_environ(), buffered)
    assert list(body) == [b"1", b"2"]
    close = getattr(body, "close", None)
    if close is not None:
        close()
    assert closing.closed == 1


def test_close_is_called_after_an_error() -> None:
    class Broken(Closing):
        def __iter__(self) -> Any:
            raise KeyError("x")

    broken = Broken()

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return broken

    with pytest.raises(KeyError):
        run_wsgi_app(app, create_environ())
    assert broken.closed == 1


def test_an_error_reported_by_exc_info_is_raised() -> None:
    def app(environ: Any, start_response: Any) -> Any:
        try:
            raise ZeroDivisionError
        except ZeroDivisionError:
            start_response("500 Oh", [], sys.exc_info())
        return []

    with pytest.raises(ZeroDivisionError):
        run_wsgi_app(app, create_environ())


def test_an_answer_without_start_response_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="start_response"):
        run_wsgi_app(lambda environ, start_response: [b"x"], create_environ())


def test_the_caller_keeps_its_environ() -> None:
    def app(environ: Any, start_response: Any) -> Any:
        environ["changed"] = True
        start_response("200 OK", [])
        return []

    environ = create_environ()
    run_wsgi_app(app, environ)
    assert "changed" not in environ
