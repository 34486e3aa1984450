"""What a request's URL is made of: functions of a request, attributes of Request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from carboy.http.current_url import get_current_url
from carboy.http.forms.urlencoded import parse_query
from carboy.http.hosts import get_host
from carboy.http.options import parse_list_header

if TYPE_CHECKING:
    from carboy.http.request import Request


def args(request: Request) -> Any:
    """The parameters of the query."""
    query = request.query_string
    return request.parameter_storage_class(parse_query(query) if query else None)


def host(request: Request) -> str:
    """The host, with a port that the scheme does not imply; "" if it is none.

    SecurityError if `trusted_hosts` is set and does not name it.
    """
    return get_host(request.scheme, request.host_header, request.server, request.trusted_hosts)


def host_url(request: Request) -> str:
    """Scheme and host, ended by "/"."""
    return get_current_url(request.scheme, request.host)


def root_url(request: Request) -> str:
    """The URL the application is mounted at, ended by "/"."""
    return get_current_url(request.scheme, request.host, request.root_path)


def base_url(request: Request) -> str:
    """The URL without its query."""
    return get_current_url(request.scheme, request.host, request.root_path, request.path)


def url(request: Request) -> str:
    """The whole URL, as an IRI."""
    return get_current_url(
        request.scheme, request.host, request.root_path, request.path, request.query_string
    )


def full_path(request: Request) -> str:
    """Path and query; the "?" is there without a query too."""
    return f"{request.path}?{request.query_string.decode('utf-8', 'replace')}"


def access_route(request: Request) -> Any:
    """The addresses in X-Forwarded-For, otherwise the one of the client, if it is known."""
    forwarded = request.headers.get("X-Forwarded-For")
    if forwarded is not None:
        return request.list_storage_class(parse_list_header(forwarded))
    known = () if request.remote_addr is None else (request.remote_addr,)
    return request.list_storage_class(known)
