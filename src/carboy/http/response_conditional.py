"""Makes a response fit a conditional request: 304, 412, 206, 416 (RFC 9110, 13 and 14)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from carboy.dates import http_date
from carboy.http.conditional import is_resource_modified
from carboy.http.etag import parse_etags
from carboy.http.exceptions import RequestedRangeNotSatisfiable
from carboy.http.file_body import FileWrapper, RangeIterator, can_seek
from carboy.http.ranges import parse_range_header
from carboy.http.wsgi import _get_environ

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_FIELDS = (
    ("If-Match", "HTTP_IF_MATCH"),
    ("If-None-Match", "HTTP_IF_NONE_MATCH"),
    ("If-Modified-Since", "HTTP_IF_MODIFIED_SINCE"),
    ("If-Unmodified-Since", "HTTP_IF_UNMODIFIED_SINCE"),
    ("If-Range", "HTTP_IF_RANGE"),
    ("Range", "HTTP_RANGE"),
)


def conditions(source: Any) -> WSGIEnvironment:
    """The keys of an environ that count here; a request of the direct lane has no environ."""
    if isinstance(source, dict):
        return source
    if not hasattr(source, "headers"):
        return _get_environ(source)
    headers = source.headers
    found = {key: headers.get(name) for name, key in _FIELDS}
    environ = {key: value for key, value in found.items() if value is not None}
    environ["REQUEST_METHOD"] = source.method
    return environ


def make_conditional(
    response: Any, source: Any, accept_ranges: bool | str, complete_length: int | None
) -> None:
    """Change `response` into what the request's conditions ask for."""
    environ = conditions(source)
    if environ["REQUEST_METHOD"] not in {"GET", "HEAD"}:
        return
    headers = response.headers
    if "Date" not in headers:
        headers["Date"] = http_date()
    unit = _unit(accept_ranges)
    if unit:
        headers["Accept-Ranges"] = unit
    partial = response._process_range_request(environ, complete_length, accept_ranges)
    if not partial and not _modified(response, environ):
        failed = bool(parse_etags(environ.get("HTTP_IF_MATCH")))
        response.status_code = 412 if failed else 304
    if response.automatically_set_content_length and "Content-Length" not in headers:
        length = response.calculate_content_length()
        if length is not None:
            headers["Content-Length"] = str(length)


def _unit(accept_ranges: bool | str) -> str:
    if isinstance(accept_ranges, str):
        return accept_ranges
    return "bytes" if accept_ranges else ""


def _modified(response: Any, environ: WSGIEnvironment, ignore_if_range: bool = True) -> bool:
    headers = response.headers
    return is_resource_modified(
        environ,
        headers.get("ETag"),
        None,
        headers.get("Last-Modified"),
        ignore_if_range=ignore_if_range,
    )


def wants_part(response: Any, environ: WSGIEnvironment) -> bool:
    """Whether the request asks for a range, of what the client has already if it says so
    (If-Range, RFC 9110, section 13.1.5)."""
    if "HTTP_RANGE" not in environ:
        return False
    return "HTTP_IF_RANGE" not in environ or not _modified(response, environ, ignore_if_range=False)


def make_partial(
    response: Any, environ: WSGIEnvironment, complete_length: int | None, accept_ranges: bool | str
) -> bool:
    """Whether the request asked for a range and got it; one that cannot be had raises 416."""
    if _unit(accept_ranges) in {"", "none"} or not complete_length:
        return False
    if not response._is_range_request_processable(environ):
        return False
    asked = parse_range_header(environ["HTTP_RANGE"])
    bounds = asked.range_for_length(complete_length) if asked is not None else None
    if asked is None or bounds is None:
        raise RequestedRangeNotSatisfiable(complete_length)
    start, stop = bounds
    response.headers["Content-Length"] = str(stop - start)
    response.headers["Content-Range"] = asked.to_content_range_header(complete_length)
    response.status_code = 206
    response._wrap_range_response(start, stop - start)
    return True


def narrow(response: Any, start: int, length: int) -> None:
    """Leave only a part of the body. Of a file the kernel can still send it."""
    body = response.response
    file: Any = getattr(body, "file", None)
    if hasattr(body, "count") and hasattr(file, "seek"):
        wrapper = body if isinstance(body, FileWrapper) else FileWrapper(file)
        wrapper.narrow(start, length)
        response.response = wrapper
    else:
        response.response = RangeIterator(
            body if can_seek(body) else response.iter_encoded(), start, length
        )
        close = getattr(body, "close", None)
        if close is not None:
            response.call_on_close(close)
