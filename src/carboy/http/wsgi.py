"""Helpers on a WSGI environ: host, URL, path, input, files (PEP 3333)."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable
from functools import update_wrapper
from typing import IO, TYPE_CHECKING, Any

from carboy.http.closing import ClosingIterator
from carboy.http.current_url import get_current_url as _current_url
from carboy.http.exceptions import RequestEntityTooLarge
from carboy.http.file_body import FileWrapper, wrap_file
from carboy.http.hosts import get_host as _host
from carboy.http.streams import LimitedStream

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

__all__ = [
    "ClosingIterator",
    "FileWrapper",
    "LimitedStream",
    "content_length",
    "environ_text",
    "get_content_length",
    "get_current_url",
    "get_host",
    "get_input_stream",
    "get_path_info",
    "get_server",
    "responder",
    "wrap_file",
]

# int() is quadratic in the digits and refuses more than 4,300.
_digits = re.compile("[0-9]{1,1000}").fullmatch


def responder(f: Callable[..., Any]) -> Callable[..., Any]:
    """A function that returns a WSGI application becomes one; its last two arguments are
    the environ and start_response, so that it may be a method."""

    def application(*args: Any) -> Any:
        return f(*args)(*args[-2:])

    return update_wrapper(application, f)


def environ_text(value: str) -> str:
    """Text of an environ, which holds octets as latin-1, decoded as UTF-8 (PEP 3333)."""
    if value.isascii():
        return value
    return value.encode("latin-1").decode("utf-8", "replace")


def _get_environ(obj: Any) -> WSGIEnvironment:
    """The environ of a request, or the environ itself."""
    environ = getattr(obj, "environ", obj)
    if not isinstance(environ, dict):
        raise AssertionError(
            f"{type(environ).__name__!r} is not a WSGI environment: it has to be a dict."
        )
    return environ


def get_path_info(environ: WSGIEnvironment) -> str:
    """PATH_INFO as text."""
    return environ_text(environ.get("PATH_INFO", ""))


def get_server(environ: WSGIEnvironment) -> tuple[str, int | None] | None:
    """Name and port of the server; the port is None where it is not a number."""
    name = environ.get("SERVER_NAME")
    if not name:
        return None
    try:
        return name, int(environ.get("SERVER_PORT", ""))
    except (TypeError, ValueError):
        return name, None


def get_host(environ: WSGIEnvironment, trusted_hosts: Iterable[str] | None = None) -> str:
    """The host of the request: see `hosts.get_host`."""
    return _host(
        environ["wsgi.url_scheme"], environ.get("HTTP_HOST"), get_server(environ), trusted_hosts
    )


def get_current_url(
    environ: WSGIEnvironment,
    root_only: bool = False,
    strip_querystring: bool = False,
    host_only: bool = False,
    trusted_hosts: Iterable[str] | None = None,
) -> str:
    """The URL of the request as an IRI, whole or up to the query, the application or the host."""
    root = path = None
    query = b""
    if not host_only:
        root = environ_text(environ.get("SCRIPT_NAME", ""))
        if not root_only:
            path = get_path_info(environ)
            if not strip_querystring:
                query = environ.get("QUERY_STRING", "").encode("latin-1")
    host = get_host(environ, trusted_hosts)
    return _current_url(environ["wsgi.url_scheme"], host, root, path, query)


def content_length(
    http_content_length: str | None = None, http_transfer_encoding: str | None = None
) -> int | None:
    """Content-Length as a number: None where there is none or the body is chunked, 0 where
    it is not a number."""
    if http_content_length is None or (http_transfer_encoding or "").strip().lower() == "chunked":
        return None
    value = http_content_length.strip(" \t")
    return int(value) if _digits(value) else 0


def get_content_length(environ: WSGIEnvironment) -> int | None:
    """CONTENT_LENGTH as a number: see `content_length`."""
    return content_length(environ.get("CONTENT_LENGTH"), environ.get("HTTP_TRANSFER_ENCODING"))


def get_input_stream(
    environ: WSGIEnvironment,
    safe_fallback: bool = True,
    max_content_length: int | None = None,
) -> IO[bytes]:
    """The body as a stream that ends where the body ends.

    Empty where neither its length is known nor the server ends it (`wsgi.input_terminated`),
    unless `safe_fallback` is off: reading would wait for ever. RequestEntityTooLarge if the
    declared length is over `max_content_length`; the stream raises it where none is declared.
    """
    stream: IO[bytes] = environ["wsgi.input"]
    length = get_content_length(environ)
    if length is not None and max_content_length is not None and length > max_content_length:
        raise RequestEntityTooLarge
    if environ.get("wsgi.input_terminated", False):
        if max_content_length is None:
            return stream
        return LimitedStream(stream, max_content_length, is_max=True)  # type: ignore[return-value]
    if length is None:
        return io.BytesIO() if safe_fallback else stream
    return LimitedStream(stream, length)  # type: ignore[return-value]
