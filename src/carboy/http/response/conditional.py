"""Conditional requests: whether the client has the current version, and 304, 206, 412, 416.

RFC 9110, sections 13 and 14. The functions of a response are methods of Response.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from carboy import http
from carboy.dates import http_date, parse_date
from carboy.file_wrapper import FileWrapper
from carboy.http.exceptions import RequestedRangeNotSatisfiable
from carboy.http.wsgi import _get_environ

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

    from carboy.http.fields.ranges import IfRange
    from carboy.http.request.request import Request
    from carboy.http.response.response import Response

    R = TypeVar("R", bound=Response)


def is_resource_modified(
    environ: Mapping[str, Any],
    etag: str | None = None,
    data: bytes | None = None,
    last_modified: datetime | str | None = None,
    ignore_if_range: bool = True,
) -> bool:
    """Whether a request (a WSGI environ) has to be answered in full.

    `etag` is the current version's tag as written in the header. Alternatively, `data` is the
    content to compute the tag from (TypeError if both are given). With `ignore_if_range=False`,
    `If-Range` together with `Range` replaces the other conditions.
    """
    return is_modified(
        http_range=environ.get("HTTP_RANGE"),
        http_if_range=environ.get("HTTP_IF_RANGE"),
        http_if_modified_since=environ.get("HTTP_IF_MODIFIED_SINCE"),
        http_if_none_match=environ.get("HTTP_IF_NONE_MATCH"),
        http_if_match=environ.get("HTTP_IF_MATCH"),
        etag=etag,
        data=data,
        last_modified=last_modified,
        ignore_if_range=ignore_if_range,
    )


def is_modified(
    http_range: str | None = None,
    http_if_range: str | None = None,
    http_if_modified_since: str | None = None,
    http_if_none_match: str | None = None,
    http_if_match: str | None = None,
    etag: str | None = None,
    data: bytes | None = None,
    last_modified: datetime | str | None = None,
    ignore_if_range: bool = True,
) -> bool:
    """`is_resource_modified` with the values of the header fields."""
    if data is not None:
        if etag is not None:
            raise TypeError("both data and etag given: pass only one of them.")
        etag = http.generate_etag(data)
    condition = None
    if not ignore_if_range and http_range is not None:
        condition = http.parse_if_range_header(http_if_range)
    tag = http.unquote_etag(etag)[0] if etag else None
    if tag is not None:
        by_tag = _modified_by_tag(tag, condition, http_if_none_match, http_if_match)
        if by_tag is not None:
            return by_tag
    current = _utc_second(last_modified)
    known = condition.date if condition else None
    if known is None:
        known = parse_date(http_if_modified_since)
    return not (known and current and current <= known)


def _modified_by_tag(
    tag: str, condition: IfRange | None, http_if_none_match: str | None, http_if_match: str | None
) -> bool | None:
    """The result according to the fields with entity tags; None if there are no such fields."""
    if condition is not None and condition.etag is not None:
        return condition.etag != tag
    match = http.parse_etags(http_if_match)
    if match:
        # `*` matches any current version (RFC 9110, section 13.1.1).
        return match.star_tag or match.is_strong(tag)
    none_match = http.parse_etags(http_if_none_match)
    return not none_match.contains_weak(tag) if none_match else None


def _utc_second(moment: datetime | str | None) -> datetime | None:
    """The date in UTC without fractions of a second, which HTTP dates do not have."""
    if isinstance(moment, str):
        moment = parse_date(moment)
    if moment is None:
        return None
    moment = moment.replace(microsecond=0)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


_FIELDS = (
    ("If-Match", "HTTP_IF_MATCH"),
    ("If-None-Match", "HTTP_IF_NONE_MATCH"),
    ("If-Modified-Since", "HTTP_IF_MODIFIED_SINCE"),
    ("If-Unmodified-Since", "HTTP_IF_UNMODIFIED_SINCE"),
    ("If-Range", "HTTP_IF_RANGE"),
    ("Range", "HTTP_RANGE"),
)


def conditions(source: Any) -> WSGIEnvironment:
    """The environ, or its conditions only: a request of the direct lane has no environ."""
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
    response: R,
    request_or_environ: WSGIEnvironment | Request,
    accept_ranges: bool | str = False,
    complete_length: int | None = None,
) -> R:
    """Apply the request's conditions, using ETag and Last-Modified: 304 or 412 if they fail.

    With `accept_ranges` the response becomes a 206 with the requested range of the
    `complete_length` bytes. RequestedRangeNotSatisfiable if it does not have that range.
    """
    environ = conditions(request_or_environ)
    if environ["REQUEST_METHOD"] not in {"GET", "HEAD"}:
        return response
    headers = response.headers
    if "Date" not in headers:
        headers["Date"] = http_date()
    unit = _unit(accept_ranges)
    if unit:
        headers["Accept-Ranges"] = unit
    partial = response._process_range_request(environ, complete_length, accept_ranges)
    if not partial and not _modified(response, environ):
        failed = bool(http.parse_etags(environ.get("HTTP_IF_MATCH")))
        response.status_code = 412 if failed else 304
    if response.automatically_set_content_length and "Content-Length" not in headers:
        length = response.calculate_content_length()
        if length is not None:
            headers["Content-Length"] = str(length)
    return response


def _unit(accept_ranges: bool | str) -> str:
    if isinstance(accept_ranges, str):
        return accept_ranges
    return "bytes" if accept_ranges else ""


def _modified(response: Response, environ: WSGIEnvironment, ignore_if_range: bool = True) -> bool:
    headers = response.headers
    return is_resource_modified(
        environ,
        headers.get("ETag"),
        None,
        headers.get("Last-Modified"),
        ignore_if_range=ignore_if_range,
    )


def wants_part(response: Response, environ: WSGIEnvironment) -> bool:
    """Whether a range may be sent: the request has Range, and a matching If-Range if any
    (RFC 9110, section 13.1.5). Subclasses return False if their body has no ranges."""
    if "HTTP_RANGE" not in environ:
        return False
    return "HTTP_IF_RANGE" not in environ or not _modified(response, environ, ignore_if_range=False)


def make_partial(
    response: Response,
    environ: WSGIEnvironment,
    complete_length: int | None,
    accept_ranges: bool | str,
) -> bool:
    """Become the requested range. False if the whole body is to be sent."""
    if _unit(accept_ranges) in {"", "none"} or not complete_length:
        return False
    if not response._is_range_request_processable(environ):
        return False
    asked = http.parse_range_header(environ["HTTP_RANGE"])
    bounds = asked.range_for_length(complete_length) if asked is not None else None
    if asked is None or bounds is None:
        raise RequestedRangeNotSatisfiable(complete_length)
    start, stop = bounds
    response.headers["Content-Length"] = str(stop - start)
    response.headers["Content-Range"] = asked.to_content_range_header(complete_length)
    response.status_code = 206
    response._wrap_range_response(start, stop - start)
    return True


def narrow(response: Response, start: int, length: int) -> None:
    """Reduce the body to a range. The kernel can still send a range of a file."""
    body = response.response
    if isinstance(body, FileWrapper) and hasattr(body.file, "seek"):
        body.narrow(start, length)
    else:
        response.response = RangeIterator(
            body if can_seek(body) else response.iter_encoded(), start, length
        )
        close = getattr(body, "close", None)
        if close is not None:
            response.call_on_close(close)


def can_seek(body: object) -> bool:
    """Whether the body has a position that can be set."""
    seekable = getattr(body, "seekable", None)
    return seekable is not None and bool(seekable())


class RangeIterator:
    """A range of an iterable body: at most `byte_range` bytes from `start_byte` on.

    A body with `seek` is not read up to the start. `close` closes the iterable.
    """

    def __init__(
        self, iterable: Iterable[bytes], start_byte: int = 0, byte_range: int | None = None
    ) -> None:
        self._iterable = iterable
        self._chunks = iter(iterable)
        self._skip = start_byte
        self._left = sys.maxsize if byte_range is None else byte_range
        self.seekable = can_seek(iterable)
        self._placed = not self.seekable

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if not self._placed:
            file: Any = self._iterable
            file.seek(self._skip)
            self._skip, self._placed = 0, True
        while self._left > 0:
            chunk = next(self._chunks)
            if self._skip >= len(chunk):
                self._skip -= len(chunk)
                continue
            chunk = chunk[self._skip : self._skip + self._left]
            self._skip = 0
            self._left -= len(chunk)
            return chunk
        raise StopIteration

    def close(self) -> None:
        close = getattr(self._iterable, "close", None)
        if close is not None:
            close()
