"""Header fields of a response as attributes: text is converted to numbers, dates or sets, and back.

Mutable values (a set of names, a cache control) update the headers when they change.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from carboy import http
from carboy.dates import http_date, parse_date
from carboy.http.containers.immutable import CallbackDict
from carboy.http.fields.content_type import get_content_type
from carboy.http.fields.syntax import (
    HeaderSet,
    dump_header,
    dump_options_header,
    parse_options_header,
    parse_set_header,
)

if TYPE_CHECKING:
    from carboy.http.fields.auth import WWWAuthenticate
    from carboy.http.fields.cache_control import ResponseCacheControl
    from carboy.http.fields.policies import COEP, COOP, ContentSecurityPolicy
    from carboy.http.fields.ranges import ContentRange


def _write_back(response: Any, name: str) -> Callable[[Any], None]:
    """A function that stores a changed value in the headers. An empty value removes the field."""

    def on_update(value: Any) -> None:
        if value:
            response.headers[name] = value.to_header()
        else:
            response.headers.pop(name, None)

    return on_update


def set_property(name: str, doc: str) -> property:
    """An attribute with names as a HeaderSet. Text, an iterable or None can be assigned."""

    def get(response: Any) -> HeaderSet:
        return parse_set_header(response.headers.get(name), _write_back(response, name))

    def put(response: Any, value: Any) -> None:
        if not value:
            response.headers.pop(name, None)
        else:
            response.headers[name] = value if isinstance(value, str) else dump_header(value)

    return property(get, put, doc=doc)


def policy_property(name: str, doc: str) -> property:
    """An attribute with a ContentSecurityPolicy. Text, a mapping or None can be assigned."""

    def get(response: Any) -> ContentSecurityPolicy:
        return http.parse_csp_header(response.headers.get(name), _write_back(response, name))

    def put(response: Any, value: Any) -> None:
        if not value:
            response.headers.pop(name, None)
        else:
            response.headers[name] = _policy_text(value)

    return property(get, put, doc=doc)


def choice_property(name: str, kind: str) -> property:
    """An attribute with a member of an enum of `carboy.http`; UNSAFE_NONE for a missing field."""

    def get(response: Any) -> COEP | COOP:
        members: Any = getattr(http, kind)
        try:
            return members(response.headers[name])  # type: ignore[no-any-return]
        except (KeyError, ValueError):
            return members.UNSAFE_NONE  # type: ignore[no-any-return]

    def put(response: Any, value: COEP | COOP | None) -> None:
        if value is None:
            response.headers.pop(name, None)
        else:
            response.headers[name] = value.value

    return property(get, put, lambda response: put(response, None))


def _policy_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    to_header = getattr(value, "to_header", None)
    return http.dump_csp_header(value) if to_header is None else str(to_header())


def get_cache_control(response: Any) -> ResponseCacheControl:
    """Cache-Control. Changes are written to the headers."""
    return http.parse_cache_control_header(
        response.headers.get("Cache-Control"),
        _write_back(response, "Cache-Control"),
        http.ResponseCacheControl,
    )


def get_content_range(response: Any) -> ContentRange:
    """Content-Range. The object is false if the response does not have the field."""
    on_update = _write_back(response, "Content-Range")
    found = http.parse_content_range_header(response.headers.get("Content-Range"), on_update)
    # Calling `set` of the empty object adds the field.
    return found if found is not None else http.ContentRange(None, None, None, on_update=on_update)


def put_content_range(response: Any, value: ContentRange | str | None) -> None:
    if not value:
        response.headers.pop("Content-Range", None)
    else:
        text = value if isinstance(value, str) else value.to_header()
        response.headers["Content-Range"] = text


def get_retry_after(response: Any) -> datetime | None:
    """Retry-After as a datetime in UTC. A number or a datetime can be assigned."""
    value = response.headers.get("Retry-After")
    if value is None:
        return None
    try:
        seconds = int(value)
    except ValueError:
        return parse_date(value)
    try:
        return datetime.now(UTC) + timedelta(seconds=seconds)
    except OverflowError:  # after the year 9999
        return None


def put_retry_after(response: Any, value: datetime | int | str | None) -> None:
    if value is None:
        response.headers.pop("Retry-After", None)
    else:
        text = http_date(value) if isinstance(value, datetime) else str(value)
        response.headers["Retry-After"] = text


def get_www_authenticate(response: Any) -> WWWAuthenticate:
    """The first challenge of WWW-Authenticate. Changes are written to the headers."""
    value = http.WWWAuthenticate.from_header(response.headers.get("WWW-Authenticate"))
    if value is None:
        value = http.WWWAuthenticate("basic")

    def on_update(changed: WWWAuthenticate) -> None:
        response.www_authenticate = changed

    value._on_update = on_update
    return value


def put_www_authenticate(
    response: Any, value: WWWAuthenticate | list[WWWAuthenticate] | None
) -> None:
    if not value:
        response.headers.pop("WWW-Authenticate", None)
        return
    challenges = value if isinstance(value, list) else [value]
    response.headers.setlist("WWW-Authenticate", [str(each) for each in challenges])
    if not isinstance(value, list):

        def on_update(changed: WWWAuthenticate) -> None:
            response.www_authenticate = changed

        value._on_update = on_update


def delete_www_authenticate(response: Any) -> None:
    response.headers.pop("WWW-Authenticate", None)


def get_allow_credentials(response: Any) -> bool:
    """Whether the response has Access-Control-Allow-Credentials."""
    return "Access-Control-Allow-Credentials" in response.headers


def put_allow_credentials(response: Any, value: bool | None) -> None:
    if value is True:
        response.headers["Access-Control-Allow-Credentials"] = "true"
    else:
        response.headers.pop("Access-Control-Allow-Credentials", None)


def get_mimetype(response: Any) -> str | None:
    """The media type without parameters. Assigning a type of text adds charset=utf-8."""
    value = response.headers.get("Content-Type")
    return value.split(";")[0].strip() if value else None


def put_mimetype(response: Any, value: str) -> None:
    response.headers["Content-Type"] = get_content_type(value, "utf-8")


def get_mimetype_params(response: Any) -> dict[str, str]:
    """The parameters of Content-Type. Changes are written to the headers."""

    def on_update(params: Any) -> None:
        response.headers["Content-Type"] = dump_options_header(response.mimetype, params)

    params = parse_options_header(response.headers.get("Content-Type", ""))[1]
    return CallbackDict(params, on_update)
