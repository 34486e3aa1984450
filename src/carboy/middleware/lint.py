"""Warns when an application or a server breaks PEP 3333 or HTTP.

For tests and development. A warning names the line that broke the rule where that line is known.
Requests and responses are not changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import IO, Any
from urllib.parse import urlsplit
from warnings import warn

from carboy.file_wrapper import FileWrapper
from carboy.http.fields.headers import Headers, is_entity_header

__all__ = ["HTTPWarning", "LintMiddleware", "WSGIWarning"]

# PEP 3333, "environ Variables": keys that every server has to set.
REQUIRED = (
    "REQUEST_METHOD", "SERVER_NAME", "SERVER_PORT", "wsgi.version", "wsgi.input", "wsgi.errors",
    "wsgi.multithread", "wsgi.multiprocess", "wsgi.run_once",
)  # fmt: skip
# RFC 9110, section 15.4.5: entity headers that a 304 may have.
ALLOWED_IN_304 = ("expires", "content-location")


class WSGIWarning(Warning):
    """An application or a server breaks PEP 3333."""


class HTTPWarning(Warning):
    """An application or a server breaks HTTP."""


def check_type(context: str, obj: object, need: type = str) -> None:
    """Warn unless the type of `obj` is `need`. PEP 3333 does not allow subclasses."""
    if type(obj) is not need:
        message = (
            f"{context!r} requires {need.__name__!r}, got {type(obj).__name__!r}. Pass"
            " exactly that type."
        )
        warn(message, WSGIWarning, stacklevel=3)


class InputStream:
    """The body of the request. Warns about calls that PEP 3333 does not guarantee."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def read(self, *args: Any) -> bytes:
        if not args:
            warn(
                "WSGI does not guarantee an EOF marker on wsgi.input, so read() without a size"
                " may never return. Read as much as Content-Length says.",
                WSGIWarning,
                stacklevel=2,
            )
        elif len(args) > 1:
            warn(
                "Too many parameters passed to 'wsgi.input.read()': it takes one size.",
                WSGIWarning,
                stacklevel=2,
            )
        return self._stream.read(*args)

    def readline(self, *args: Any) -> bytes:
        if not args:
            warn(
                "Calls to 'wsgi.input.readline()' without arguments are unsafe: a line of any"
                " length is kept in memory. Use read() with a size.",
                WSGIWarning,
                stacklevel=2,
            )
        elif len(args) == 1:
            warn(
                "'wsgi.input.readline()' was called with a size hint, which PEP 3333 does not"
                " ask of servers. Use read() with a size.",
                WSGIWarning,
                stacklevel=2,
            )
        else:
            raise TypeError(
                "Too many arguments passed to 'wsgi.input.readline()': it takes one size."
            )
        return self._stream.readline(*args)

    def __iter__(self) -> Iterator[bytes]:
        try:
            return iter(self._stream)
        except TypeError:
            warn("The server's wsgi.input cannot be iterated.", WSGIWarning, stacklevel=2)
            return iter(())

    def close(self) -> None:
        warn(
            "The application closed the input stream, which belongs to the server. Leave it open.",
            WSGIWarning,
            stacklevel=2,
        )
        self._stream.close()


class ErrorStream:
    """The error stream of the server. Warns about bytes and about closing it."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, s: str) -> None:
        check_type("wsgi.error.write()", s)
        self._stream.write(s)

    def flush(self) -> None:
        self._stream.flush()

    def writelines(self, seq: Iterable[str]) -> None:
        for line in seq:
            self.write(line)

    def close(self) -> None:
        warn(
            "The application closed the error stream, which belongs to the server. Leave it open.",
            WSGIWarning,
            stacklevel=2,
        )
        self._stream.close()


class GuardedWrite:
    """The `write` function of start_response. Counts the bytes that are sent."""

    def __init__(self, write: Callable[[bytes], object], chunks: list[int]) -> None:
        self._write = write
        self._chunks = chunks

    def __call__(self, s: bytes) -> None:
        check_type("write()", s, bytes)
        self._write(s)
        self._chunks.append(len(s))


class GuardedIterator:
    """The body of the response. Checks the complete response when it is closed.

    `headers_set` is empty until the response is started, then (status, headers).
    """

    def __init__(
        self, iterator: Iterable[bytes], headers_set: Sequence[Any], chunks: list[int]
    ) -> None:
        # Set first: __del__ reads it even when the next line raises.
        self.closed = True
        self._iterator = iterator
        self._next = iter(iterator).__next__
        self.closed = False
        self.headers_set = headers_set
        self.chunks = chunks

    def __iter__(self) -> GuardedIterator:
        return self

    def __next__(self) -> bytes:
        if self.closed:
            warn(
                "Iterated over closed 'app_iter'. Read the body before closing it.",
                WSGIWarning,
                stacklevel=2,
            )
        item = self._next()
        if not self.headers_set:
            warn(
                "The application returned before it started the response. Call start_response"
                " before the first item of the body.",
                WSGIWarning,
                stacklevel=2,
            )
        check_type("application iterator items", item, bytes)
        self.chunks.append(len(item))
        return item

    def close(self) -> None:
        self.closed = True
        if hasattr(self._iterator, "close"):
            self._iterator.close()
        if self.headers_set:
            status, headers = self.headers_set
            for message, category in _problems(status, headers, sum(self.chunks)):
                warn(message, category, stacklevel=2)

    def __del__(self) -> None:
        if not self.closed:
            warn(
                "Iterator was garbage collected before it was closed. Close the body after"
                " reading it.",
                WSGIWarning,
                stacklevel=2,
            )


def _problems(
    status: int, headers: Headers, sent: int
) -> Iterator[tuple[str, type[WSGIWarning] | type[HTTPWarning]]]:
    """The problems of a complete response."""
    length = headers.get("Content-Length", type=int)
    if status == 304:
        for key, _ in headers:
            if key.lower() not in ALLOWED_IN_304 and is_entity_header(key):
                yield (
                    f"A 304 response must not have the header {key}.",
                    HTTPWarning,
                )
    elif 100 <= status < 200 or status == 204:
        if length != 0:
            yield f"The Content-Length of a {status} response must be 0.", HTTPWarning
    elif length is not None and length != sent:
        yield f"Content-Length is {length}, but the body has {sent} bytes.", WSGIWarning
    if sent and (status in (204, 304) or 100 <= status < 200):
        yield f"A {status} response must not have a body.", HTTPWarning


class LintMiddleware:
    """Calls the application and warns about its mistakes and those of the server.

    A WSGIWarning is about PEP 3333, an HTTPWarning about HTTP.
    """

    def __init__(self, app: Any) -> None:
        self.app = app

    def check_environ(self, environ: dict[str, Any]) -> None:
        """Warn about missing and wrong values in the environ."""
        if type(environ) is not dict:
            warn(
                "WSGI environment is not a standard Python dict. Pass a plain dict.",
                WSGIWarning,
                stacklevel=4,
            )
        for key in REQUIRED:
            if key not in environ:
                warn(
                    f"Required environment key {key!r} not found. The server has to set it.",
                    WSGIWarning,
                    stacklevel=3,
                )
        if environ["wsgi.version"] != (1, 0):
            warn(
                "Environ is not a WSGI 1.0 environ: set wsgi.version to (1, 0).",
                WSGIWarning,
                stacklevel=3,
            )
        for key in ("SCRIPT_NAME", "PATH_INFO"):
            path = environ.get(key, "")
            if path and path[0] != "/":
                warn(f"{key!r} does not start with a slash: {path!r}.", WSGIWarning, stacklevel=3)

    def check_start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any
    ) -> tuple[int, Headers]:
        """Warn about malformed arguments of start_response; returns status and headers."""
        check_type("status", status)
        code = (status.split(None, 1) or [""])[0]
        if len(code) != 3 or not code.isdecimal():
            warn("Status code must be three digits.", WSGIWarning, stacklevel=3)
        if len(status) < 4 or status[3] != " ":
            message = f"Invalid value for status {status!r}: write a code, a space and a reason."
            warn(message, WSGIWarning, stacklevel=3)
        number = int(code)
        if number < 100:
            warn("Status code < 100 detected. Codes begin at 100.", WSGIWarning, stacklevel=3)
        self._check_list(headers)
        if exc_info is not None and not isinstance(exc_info, tuple):
            warn(
                "Invalid value for exc_info: pass what sys.exc_info() gives.",
                WSGIWarning,
                stacklevel=3,
            )
        given = Headers(headers)
        self.check_headers(given)
        return number, given

    def _check_list(self, headers: list[tuple[str, str]]) -> None:
        if type(headers) is not list:
            warn("Header list is not a list. Pass a list of tuples.", WSGIWarning, stacklevel=4)
        for item in headers:
            if type(item) is not tuple or len(item) != 2:
                warn(
                    "Header items must be 2-item tuples: a name and a value.",
                    WSGIWarning,
                    stacklevel=4,
                )
            name, value = item
            if type(name) is not str or type(value) is not str:
                warn("Header keys and values must be strings.", WSGIWarning, stacklevel=4)
            if name.lower() == "status":
                message = (
                    "The status header is not supported: it means something else to CGI. Pass the"
                    " status to start_response."
                )
                warn(message, WSGIWarning, stacklevel=4)

    def check_headers(self, headers: Headers) -> None:
        """Warn about an entity tag without quotes and a Location without a host."""
        etag = headers.get("etag")
        if etag is not None:
            if etag.startswith(("W/", "w/")):
                if etag.startswith("w/"):
                    warn("Weak etag indicator should be upper case: W/.", HTTPWarning, stacklevel=4)
                etag = etag[2:]
            if not (etag[:1] == etag[-1:] == '"'):
                warn("Unquoted etag emitted. Put it in double quotes.", HTTPWarning, stacklevel=4)
        location = headers.get("location")
        if location is not None and not urlsplit(location).netloc:
            warn(
                "Absolute URLs required for location header. Give it a host.",
                HTTPWarning,
                stacklevel=4,
            )

    def check_iterator(self, app_iter: object) -> None:
        """Warn about a string as body, which would be sent character by character."""
        if isinstance(app_iter, str):
            message = (
                "The application returned a string, and each letter would be sent alone."
                " Return a list of bytes."
            )
            warn(message, WSGIWarning, stacklevel=3)

    def __call__(self, *args: Any, **kwargs: Any) -> Iterable[bytes]:
        if len(args) != 2:
            warn(
                "A WSGI app takes two arguments: environ and start_response.",
                WSGIWarning,
                stacklevel=2,
            )
        if kwargs:
            warn("A WSGI app does not take keyword arguments.", WSGIWarning, stacklevel=2)
        environ, start_response = args[0], args[1]
        self.check_environ(environ)
        environ["wsgi.input"] = InputStream(environ["wsgi.input"])
        environ["wsgi.errors"] = ErrorStream(environ["wsgi.errors"])
        # A wrapper that is iterated, so that the guard sees the contents of files.
        environ["wsgi.file_wrapper"] = FileWrapper
        headers_set: list[Any] = []
        chunks: list[int] = []

        def checking(*args: Any, **kwargs: Any) -> GuardedWrite:
            if len(args) not in (2, 3):
                message = f"Invalid number of arguments: {len(args)}. start_response takes 2 or 3."
                warn(message, WSGIWarning, stacklevel=2)
            if kwargs:
                warn("'start_response' does not take keyword arguments.", WSGIWarning, stacklevel=2)
            status, headers = args[0], args[1]
            exc_info = args[2] if len(args) > 2 else None
            headers_set[:] = self.check_start_response(status, headers, exc_info)
            return GuardedWrite(start_response(status, headers, exc_info), chunks)

        app_iter = self.app(environ, checking)
        self.check_iterator(app_iter)
        return GuardedIterator(app_iter, headers_set, chunks)
