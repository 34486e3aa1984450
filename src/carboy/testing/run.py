"""Calling a WSGI application and catching what it answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain
from typing import TYPE_CHECKING, Any

from carboy.http.fields.headers import Headers
from carboy.http.wsgi import ClosingIterator, _get_environ

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

Result = tuple[Iterable[bytes], str, Headers]


def run_wsgi_app(app: WSGIApplication, environ: WSGIEnvironment, buffered: bool = False) -> Result:
    """Body, status and headers of one call of `app` (PEP 3333).

    The body is taken up to its first chunk, or whole and closed if `buffered`. An error the
    application reports through `exc_info` is raised: a test wants to see it.
    """
    started: list[Any] = []
    written: list[bytes] = []

    def start_response(
        status: str, headers: list[tuple[str, str]], exc_info: Any = None, /
    ) -> Callable[[bytes], object]:
        if exc_info is not None:
            raise exc_info[1].with_traceback(exc_info[2])
        started[:] = [status, Headers(headers)]
        return written.append

    result = app(dict(_get_environ(environ)), start_response)
    close = getattr(result, "close", None)
    try:
        body = _take(result, started, written, buffered)
        if not started:
            raise RuntimeError(f"{app!r} answered without calling start_response(status, headers).")
    except BaseException:
        if close is not None:
            close()
        raise
    status, headers = started
    if buffered:
        if close is not None:
            close()
    elif close is not None and body is not result:
        body = ClosingIterator(body, close)
    return body, status, headers


def _take(
    result: Iterable[bytes], started: list[Any], written: list[bytes], buffered: bool
) -> Iterable[bytes]:
    if buffered:
        rest = list(result)
        return [*written, *rest]
    iterator = iter(result)
    for chunk in iterator:
        written.append(chunk)
        if started:
            break
    return chain(written, iterator) if written else iterator
