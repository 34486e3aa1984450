"""Parsed header fields of a request. The functions are attributes of Request.

Most parsers are taken from `carboy.http`, which loads their modules when they are first used.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from carboy import http
from carboy.dates import parse_date
from carboy.http.fields.content_type import WITHOUT_PARAMETERS
from carboy.http.fields.headers import EnvironHeaders
from carboy.http.fields.syntax import HeaderSet, parse_options_header, parse_set_header

if TYPE_CHECKING:
    from carboy.http.fields.accept import Accept, CharsetAccept, LanguageAccept, MIMEAccept
    from carboy.http.fields.auth import Authorization
    from carboy.http.fields.cache_control import RequestCacheControl
    from carboy.http.fields.etag import ETags
    from carboy.http.fields.ranges import IfRange, Range
    from carboy.http.request.client_certificate import ClientCertificate
    from carboy.http.request.request import Request


# Not assigned, or those of an environ, where a server has joined the fields.
ONE_COOKIE_FIELD = (type(None), EnvironHeaders)


def client_certificate(request: Request) -> ClientCertificate | None:
    """The certificate of the client; None if it was not asked for one, or has none."""
    from carboy.http.request.client_certificate import client_certificate

    return client_certificate(request)


def cookies(request: Request) -> Any:
    """The cookies of the request."""
    field = request._field("Cookie")
    if field is not None and type(request.__dict__.get("headers")) not in ONE_COOKIE_FIELD:
        # Headers that were assigned may have several Cookie fields (RFC 9113, section 8.2.3).
        field = ";".join(request.headers.getlist("Cookie"))
    return http.parse_cookie(field, request.dict_storage_class)


def parsed_content_type(request: Request) -> tuple[str, dict[str, str]]:
    """The media type in lower case and its parameters."""
    value = request._field("Content-Type")
    if value is not None and value in WITHOUT_PARAMETERS:
        return value, {}
    mimetype, options = parse_options_header(value)
    return mimetype.lower(), options


def user_agent(request: Request) -> Any:
    """The User-Agent field as `user_agent_class`."""
    return request.user_agent_class(request.headers.get("User-Agent", ""))


def authorization(request: Request) -> Authorization | None:
    """The credentials of the client; None without credentials, or if they cannot be decoded."""
    return http.Authorization.from_header(request.headers.get("Authorization"))


def accept_mimetypes(request: Request) -> MIMEAccept:
    """The media types that the client accepts."""
    return http.parse_accept_header(request.headers.get("Accept"), http.MIMEAccept)


def accept_charsets(request: Request) -> CharsetAccept:
    """The character sets that the client accepts."""
    return http.parse_accept_header(request.headers.get("Accept-Charset"), http.CharsetAccept)


def accept_encodings(request: Request) -> Accept:
    """The content codings that the client accepts."""
    return http.parse_accept_header(request.headers.get("Accept-Encoding"))


def accept_languages(request: Request) -> LanguageAccept:
    """The languages that the client accepts."""
    return http.parse_accept_header(request.headers.get("Accept-Language"), http.LanguageAccept)


def cache_control(request: Request) -> RequestCacheControl:
    """The Cache-Control field of the request."""
    value = request.headers.get("Cache-Control")
    return http.parse_cache_control_header(value, None, http.RequestCacheControl)


def pragma(request: Request) -> HeaderSet:
    """The Pragma field of the request."""
    return parse_set_header(request.headers.get("Pragma", ""))


def if_match(request: Request) -> ETags:
    """The entity tags of If-Match."""
    return http.parse_etags(request.headers.get("If-Match"))


def if_none_match(request: Request) -> ETags:
    """The entity tags of If-None-Match."""
    return http.parse_etags(request.headers.get("If-None-Match"))


def if_modified_since(request: Request) -> datetime | None:
    """If-Modified-Since in UTC."""
    return parse_date(request.headers.get("If-Modified-Since"))


def if_unmodified_since(request: Request) -> datetime | None:
    """If-Unmodified-Since in UTC."""
    return parse_date(request.headers.get("If-Unmodified-Since"))


def if_range(request: Request) -> IfRange:
    """If-Range: an entity tag or a date."""
    return http.parse_if_range_header(request.headers.get("If-Range"))


def range_(request: Request) -> Range | None:
    """The ranges that the client requests."""
    return http.parse_range_header(request.headers.get("Range"))
