"""The host and the URL of a request, and its attributes that are made of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from carboy.http.containers.multidict import made_of
from carboy.http.exceptions import SecurityError
from carboy.http.fields.syntax import parse_list_header
from carboy.http.forms.urlencoded import parse_query
from carboy.http.urls import PATH_SAFE, QUERY_SAFE, uri_to_iri
from carboy.late import compiled_later, parse

if TYPE_CHECKING:
    from carboy.http.request.request import Request

_DEFAULT_PORTS = {"http": "80", "ws": "80", "https": "443", "wss": "443"}
# A name of letters, digits, dots and dashes (RFC 1123, section 2.1), or an IPv6 address in
# brackets; then a port. The host becomes part of URLs, so characters that could change their
# meaning are refused. The rule of the HTTP parser (carboy.grammar) accepts all of RFC 9110.
_HOST = compiled_later(
    r"([A-Za-z0-9.-]++|\[[0-9A-Fa-f]*+:[0-9A-Fa-f:.]++\])(?::([1-9][0-9]{0,4}+))?"
)


def _split(host: str) -> tuple[str, str | None] | None:
    """Name and port of a host; None if it is not valid."""
    found = _HOST.fullmatch(host)
    if found is None:
        return None
    name, port = found.groups()
    if port is not None and int(port) > 65535:
        return None
    return name, port


def get_host(
    scheme: str,
    host_header: str | None,
    server: tuple[str, int | None] | None = None,
    trusted_hosts: Iterable[str] | None = None,
) -> str:
    """The host of a request, without the default port of the scheme.

    It comes from the Host field, or from the server's address without one. "" if it is not valid;
    SecurityError if it does not match `trusted_hosts`.
    """
    host = ""
    if host_header is not None:
        host = host_header
    elif server is not None and server[1] is not None:
        host = f"[{server[0]}]" if ":" in server[0] else server[0]
        host = f"{host}:{server[1]}"
    parts = _split(host)
    if parts is None:
        valid = ""
    elif parts[1] is not None and parts[1] == _DEFAULT_PORTS.get(scheme):
        valid = parts[0]
    else:
        valid = host
    if trusted_hosts and not host_is_trusted(valid, trusted_hosts):
        raise SecurityError(f"Host {host!r} is not trusted.")
    return valid


def _encoded(name: str) -> str | None:
    """A name as it is sent: an international name in IDNA."""
    if name.isascii():
        return name
    try:
        return name.encode("idna").decode("ascii")
    except UnicodeError:
        return None


def host_is_trusted(hostname: str | None, trusted_list: Iterable[str] | None = None) -> bool:
    """Whether a host is in the list; an entry with a leading dot includes all subdomains.

    Ports are ignored. Without a list, any valid host is trusted.
    """
    parts = _split(hostname) if hostname else None
    if parts is None:
        return False
    if not trusted_list:
        return True
    if isinstance(trusted_list, str):
        trusted_list = [trusted_list]
    return any(_matches(parts[0], entry) for entry in trusted_list)


def _matches(name: str, entry: str) -> bool:
    below = entry.startswith(".")
    encoded = _encoded(entry[1:] if below else entry)
    parts = _split(encoded) if encoded else None
    if parts is None:
        return False
    return name == parts[0] or (below and name.endswith(f".{parts[0]}"))


def get_current_url(
    scheme: str,
    host: str,
    root_path: str | None = None,
    path: str | None = None,
    query_string: bytes | None = None,
) -> str:
    """The IRI of the host; with `root_path` of the application; with `path` of the request.

    A "%" in the path or query is not encoded: they were decoded, and are shown that way.
    """
    url = f"{scheme}://{host}"
    if root_path is None:
        return uri_to_iri(f"{url}/")
    url += parse.quote(root_path.rstrip("/"), safe=PATH_SAFE) + "/"
    if path is None:
        return uri_to_iri(url)
    url += parse.quote(path.lstrip("/"), safe=PATH_SAFE)
    if query_string:
        url += f"?{parse.quote(query_string, safe=QUERY_SAFE)}"
    return uri_to_iri(url)


def args(request: Request) -> Any:
    """The parameters of the query."""
    query = request.query_string
    new = request.parameter_storage_class
    return made_of(new, parse_query(query)) if query else new(None)


def host(request: Request) -> str:
    """The host, without the default port of the scheme; "" if it is not valid.

    SecurityError if it does not match `trusted_hosts`.
    """
    return get_host(request.scheme, request.host_header, request.server, request.trusted_hosts)


def host_url(request: Request) -> str:
    """Scheme and host, with a "/" at the end."""
    return get_current_url(request.scheme, request.host)


def root_url(request: Request) -> str:
    """The URL that the application is mounted at, with a "/" at the end."""
    return get_current_url(request.scheme, request.host, request.root_path)


def base_url(request: Request) -> str:
    """The URL without the query."""
    return get_current_url(request.scheme, request.host, request.root_path, request.path)


def url(request: Request) -> str:
    """The whole URL, as an IRI."""
    return get_current_url(
        request.scheme, request.host, request.root_path, request.path, request.query_string
    )


def full_path(request: Request) -> str:
    """Path, "?" and query."""
    return f"{request.path}?{request.query_string.decode('utf-8', 'replace')}"


def access_route(request: Request) -> Any:
    """The addresses in X-Forwarded-For, or the address of the client if it is known."""
    forwarded = request.headers.get("X-Forwarded-For")
    if forwarded is not None:
        return request.list_storage_class(parse_list_header(forwarded))
    known = () if request.remote_addr is None else (request.remote_addr,)
    return request.list_storage_class(known)
