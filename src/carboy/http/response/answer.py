"""The final header fields of a response for the server, and the answer for the direct lane."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from carboy.http.fields.headers import Headers, remove_entity_headers
from carboy.http.request.request import Request
from carboy.http.status import WITHOUT_CONTENT, has_no_content
from carboy.http.urls import iri_to_uri
from carboy.late import parse

if TYPE_CHECKING:
    from carboy.gateway.interface import Answer, Exchange
    from carboy.http.response.response import Response

# Usual spellings of names that `plain_fields` has no rule for; they need no lower().
_WITHOUT_RULE = frozenset({"Content-Type", "Set-Cookie", "Vary", "Cache-Control", "Date", "ETag"})
_LOCATIONS = frozenset({"location", "content-location"})


def plain_fields(response: Response) -> list[tuple[str, str]] | None:
    """The header fields of a response that is sent as it is; None for all others.

    Such a response has one piece of bytes as its body and a Content-Length, and neither a
    location to encode nor functions to call when it is closed.
    """
    body = response.response
    code = response._status_code
    if (
        response._on_close
        or body.__class__ is not list
        or len(body) != 1
        or body[0].__class__ is not bytes
        or (code != 200 and (code < 200 or code in WITHOUT_CONTENT))
    ):
        return None
    kept = response.__dict__
    if "headers" not in kept:
        if response._length is None:
            return None
        if response._content_type is None:
            return [("Content-Length", str(response._length))]
        return [
            ("Content-Type", response._content_type),
            ("Content-Length", str(response._length)),
        ]
    headers = kept["headers"]
    if headers.__class__ is not Headers:
        return None  # A mapping or list was assigned; get_wsgi_headers reads it.
    found: list[tuple[str, str]] = list(headers._list)
    counted = False
    for name, _ in found:
        if name in _WITHOUT_RULE:
            continue
        name = name.lower()
        if name == "content-length":
            counted = True
        elif name in _LOCATIONS:
            return None
    return found if counted else None


def finish_fields(response: Response, headers: Headers, base_url: Callable[[], str]) -> None:
    """Encode locations, add the length if it is known, remove what the status forbids."""
    location = headers.get("Location")
    if location is not None:
        location = iri_to_uri(location)
        if response.autocorrect_location_header:
            location = parse.urljoin(iri_to_uri(base_url()), location)
        headers["Location"] = location
    content_location = headers.get("Content-Location")
    if content_location is not None:
        headers["Content-Location"] = iri_to_uri(content_location)
    if response.status_code == 304:
        remove_entity_headers(headers)
    elif has_no_content(response.status_code):
        headers.remove("Content-Length")
    elif (
        response.automatically_set_content_length
        and response.is_sequence
        and "Content-Length" not in headers
    ):
        headers["Content-Length"] = str(sum(len(piece) for piece in response.iter_encoded()))


def full_answer(response: Response, origin: Request | Exchange, method: str) -> Answer:
    """The answer of a response without `plain_fields`."""
    headers = Headers(response.headers)
    finish_fields(response, headers, lambda: request_of(origin).base_url)
    body: Any
    later = getattr(response.response, "answer_later", None)
    if method == "HEAD" or has_no_content(response.status_code):
        body = b""
    elif later is not None and getattr(origin, "may_answer_later", False):
        found: Answer = later(origin, response.status, headers.to_wsgi_list())
        return found
    elif response.direct_passthrough:
        body = response.response
    elif response.is_sequence:
        body = b"".join(response.iter_encoded())
    else:
        body = response.iter_encoded()
    close = response.close if response._on_close or hasattr(response.response, "close") else None
    return response.status, headers.to_wsgi_list(), body, close


def hooked_answer(response: Response, origin: Request | Exchange) -> Answer:
    """The answer of a subclass that overrides how it is made from an environ."""
    environ = request_of(origin).environ
    body, status, headers = response.get_wsgi_response(environ)
    return status, headers, body, getattr(body, "close", None)


def request_of(origin: Request | Exchange) -> Request:
    return origin if isinstance(origin, Request) else Request.from_exchange(origin)
