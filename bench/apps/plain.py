"""WSGI without a framework, to measure the server only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from bench.apps import payload

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

BODY = payload.HELLO.encode()
HEADERS = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(BODY)))]


def hello(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
    start_response("200 OK", list(HEADERS))
    return [BODY]


def doing(job: Callable[[], str]) -> Callable[[WSGIEnvironment, StartResponse], list[bytes]]:
    def application(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        body = job().encode()
        start_response("200 OK", list(HEADERS))
        return [body]

    return application


def stream(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
    """100 MiB, 64 KiB at a time."""
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    return payload.pieces()


sleep = doing(payload.sleep_always)
sometimes = doing(payload.sleep_sometimes)
_compute = doing(payload.compute)


def seldom(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
    """Hello, or a wait at /sleep."""
    answer = sleep if environ["PATH_INFO"] == "/sleep" else hello
    return answer(environ, start_response)


def beside(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
    """Hello, or a computation at /cpu."""
    answer = _compute if environ["PATH_INFO"] == "/cpu" else hello
    return answer(environ, start_response)
