"""Calls a WSGI application and collects what it answers."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import TYPE_CHECKING, Any

from carboy.http.closing import ClosingIterator
from carboy.http.headers import Headers
from carboy.http.wsgi import _get_environ

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment


def run_wsgi_app(
    app: WSGIApplication, environ: WSGIEnvironment, buffered: bool = False
) -> tuple[Iterable[bytes], str, Headers]:
    """Body, status and headers of what `app` answers.

    With `buffered` the whole body is read and its iterable closed at once. The environ is
    copied, so that the application may change it. RuntimeError if it never starts a response.
    """
    started: list[Any] = []
    written: list[bytes] = []

    def start_response(status: str, headers: Any, exc_info: Any = None) -> Any:
        if exc_info is not None:
            raise exc_info[1].with_traceback(exc_info[2])
        started[:] = [status, headers]
        return written.append

    body = app(dict(_get_environ(environ)), start_response)
    close = getattr(body, "close", None)
    if buffered:
        try:
            body = [*body]
        finally:
            if close is not None:
                close()
        pieces: Iterable[bytes] = [*written, *body]
    else:
        # The head may come with the first piece: PEP 3333 wants it before that is yielded.
        pieces = iter(body)
        if not started:
            pieces = chain([next(pieces, b"")], pieces)
        pieces = chain(written, pieces) if written else pieces
        if close is not None:
            pieces = ClosingIterator(pieces, close)
    if not started:
        raise RuntimeError("The application has not called start_response(status, headers).")
    return pieces, started[0], Headers(started[1])
