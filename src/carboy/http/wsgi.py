"""Helpers for WSGI (PEP 3333): values of an environ, the request body, response iterables."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Iterator
from functools import update_wrapper
from itertools import chain
from typing import IO, TYPE_CHECKING, Any

from carboy.file_wrapper import FileWrapper
from carboy.http.exceptions import ClientDisconnected, RequestEntityTooLarge
from carboy.http.fields.headers import Headers
from carboy.http.request.url import get_current_url as _current_url
from carboy.http.request.url import get_host as _host

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

# int() is quadratic in the number of digits and refuses more than 4,300.
_digits = re.compile("[0-9]{1,1000}").fullmatch


def responder(f: Callable[..., Any]) -> Callable[..., Any]:
    """Make a WSGI application of a function or method that returns one.

    The last two arguments of the function are the environ and start_response.
    """

    def application(*args: Any) -> Any:
        return f(*args)(*args[-2:])

    return update_wrapper(application, f)


def environ_text(value: str) -> str:
    """A text of an environ, where bytes are decoded as Latin-1 (PEP 3333), decoded as UTF-8."""
    if value.isascii():
        return value
    return value.encode("latin-1").decode("utf-8", "replace")


def environ_value(text: str) -> str:
    """The reverse of `environ_text`: a text as it is stored in an environ."""
    return text.encode().decode("latin-1")


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
    """Name and port of the server. The port is None if it is not a number."""
    name = environ.get("SERVER_NAME")
    if not name:
        return None
    try:
        return name, int(environ.get("SERVER_PORT", ""))
    except (TypeError, ValueError):
        return name, None


def get_host(environ: WSGIEnvironment, trusted_hosts: Iterable[str] | None = None) -> str:
    """The host of the request: see `carboy.http.request.url.get_host`."""
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
    """The URL of the request as an IRI: the whole URL, or only its beginning."""
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
    """Content-Length as a number; 0 if it is not a number, None for a chunked or unknown length."""
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
    """The body as a stream that ends at the end of the body.

    The stream is empty if the length is unknown and the server does not end the stream
    (`wsgi.input_terminated`), because reading would not end; `safe_fallback=False` returns the
    server's stream. RequestEntityTooLarge if Content-Length is above `max_content_length`; without
    Content-Length, the stream raises it.
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


class ClosingIterator:
    """An iterator over `iterable`. `close` closes the iterable and then calls the callbacks."""

    def __init__(
        self,
        iterable: Iterable[bytes],
        callbacks: Callable[[], Any] | Iterable[Callable[[], Any]] | None = None,
    ) -> None:
        self._next = iter(iterable).__next__
        if callbacks is None:
            todo: list[Callable[[], Any]] = []
        elif callable(callbacks):
            todo = [callbacks]
        else:
            todo = list(callbacks)
        close = getattr(iterable, "close", None)
        if close is not None:
            todo.insert(0, close)
        self._callbacks = todo

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return self._next()

    def close(self) -> None:
        for callback in self._callbacks:
            callback()


def run_wsgi_app(
    app: WSGIApplication, environ: WSGIEnvironment, buffered: bool = False
) -> tuple[Iterable[bytes], str, Headers]:
    """Call a WSGI application and return the body, status and headers of its response.

    With `buffered` the whole body is read and its iterable is closed. The application is given a
    copy of the environ. RuntimeError if it does not call start_response.
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
        # The application may call start_response as late as the first piece (PEP 3333).
        pieces = iter(body)
        if not started:
            pieces = chain([next(pieces, b"")], pieces)
        pieces = chain(written, pieces) if written else pieces
        if close is not None:
            pieces = ClosingIterator(pieces, close)
    if not started:
        raise RuntimeError("The application has not called start_response(status, headers).")
    return pieces, started[0], Headers(started[1])


_CHUNK = 64 * 1024


class LimitedStream(io.RawIOBase):
    """The first `limit` bytes of `stream`, which may be a socket with more data.

    `limit` is the exact length: ClientDisconnected if the stream ends earlier. With `is_max` it is
    the maximum: RequestEntityTooLarge if the stream is longer.
    """

    def __init__(self, stream: IO[bytes], limit: int, is_max: bool = False) -> None:
        super().__init__()
        self._stream = stream
        self._pos = 0
        self.limit = limit
        self._limit_is_max = is_max

    @property
    def is_exhausted(self) -> bool:
        """Whether `limit` bytes have been read."""
        return self._pos >= self.limit

    def on_exhausted(self) -> bytes | None:
        """Called for a read after the limit. RequestEntityTooLarge with `is_max` if there is more.

        One more byte is read to find out, so that a body with the maximum size is accepted.
        """
        if self._limit_is_max and self._read_some(1):
            raise RequestEntityTooLarge
        return None

    def on_disconnect(self, error: Exception | None = None) -> bytes | None:
        """Called if the stream fails (`error`) or ends before the limit: ClientDisconnected.

        With `is_max` the stream may end before the limit.
        """
        if error is not None or not self._limit_is_max:
            raise ClientDisconnected from error
        return None

    def _read_some(self, size: int) -> bytes:
        return self._stream.read(size)

    def exhaust(self) -> bytes:
        """Read and return the rest."""
        return b"" if self.is_exhausted else self.readall()

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        """Number of bytes read."""
        return self._pos

    def _next(self, size: int) -> bytes:
        """Up to `size` bytes. At the end, on_exhausted or on_disconnect is called."""
        size = min(size, self.limit - self._pos)
        if size <= 0:
            self.on_exhausted()
            return b""
        try:
            data = self._read_some(size)
        except (OSError, ValueError) as error:
            self.on_disconnect(error=error)
            return b""
        if not data:
            self.on_disconnect()
        self._pos += len(data)
        return data

    def readinto(self, b: Any) -> int | None:
        if not len(b):
            return 0
        data = self._next(len(b))
        b[: len(data)] = data
        return len(data)

    def readall(self) -> bytes:
        """The rest of the body."""
        left = self.limit - self._pos
        if left <= 0:
            self.on_exhausted()
            return b""
        pieces: list[bytes] = []
        while not self.is_exhausted:
            # The client sets the limit, so memory is allocated only for bytes that arrive.
            data = self._next(min(_CHUNK if not pieces else 1 << 20, self.limit - self._pos))
            if not data:
                break
            pieces.append(data)
        if self._limit_is_max and self.is_exhausted:
            self.on_exhausted()
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def wrap_file(
    environ: WSGIEnvironment, file: IO[bytes], buffer_size: int = 8192
) -> Iterable[bytes]:
    """The file in the server's wrapper (`wsgi.file_wrapper`), or in FileWrapper without one."""
    wrapper = environ.get("wsgi.file_wrapper", FileWrapper)
    wrapped: Iterable[bytes] = wrapper(file, buffer_size)
    return wrapped
