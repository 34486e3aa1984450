"""Where a redirect leads, and with what request (RFC 9110, section 15.4)."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from carboy.http.request.environ_builder import EnvironBuilder
from carboy.testing.response import ClientRedirectError, TestResponse

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

REDIRECTS = {301, 302, 303, 305, 307, 308}
KEEP_METHOD = {307, 308}


def followed(response: TestResponse, environ: WSGIEnvironment, subdomains: bool) -> EnvironBuilder:
    """The request that follows a redirect of the request in `environ`.

    Raises RuntimeError for another host, or a subdomain unless `subdomains`.
    """
    location = response.headers.get("Location")
    if location is None:
        raise ClientRedirectError(f"A {response.status_code} response has no Location to follow.")
    target = urlsplit(urljoin(response.request.url, location))
    builder = EnvironBuilder.from_environ(environ, query_string=target.query)
    _set_host(builder, target.scheme, target.netloc, subdomains)
    _set_path(builder, target.path)
    if response.status_code in KEEP_METHOD:
        _rewind(builder.input_stream)
    else:
        _without_body(builder)
    return builder


def _set_host(builder: EnvironBuilder, scheme: str, netloc: str, subdomains: bool) -> None:
    old = builder.server_name.lower()
    builder.host = netloc
    builder.url_scheme = scheme
    new = builder.server_name.lower()
    if new == old:
        return
    if not new.endswith(f".{old}"):
        raise RuntimeError(
            f"Following external redirects is not supported: {old!r} to {new!r}. The client"
            " calls one application only."
        )
    if not subdomains:
        raise RuntimeError(
            f"Following subdomain redirects is not enabled: {new!r}. Create the client with"
            " allow_subdomain_redirects=True."
        )


def _set_path(builder: EnvironBuilder, path: str) -> None:
    """Within the application where it is mounted, else at the root."""
    root = builder.script_root
    if root and (path == root or path.startswith(f"{root}/")):
        path = path[len(root) :]
    else:
        builder.script_root = ""
    builder.path = builder.request_uri = path or "/"


def _rewind(stream: Any) -> None:
    """The application may have read the body already."""
    try:
        stream.seek(0)
    except (AttributeError, OSError, io.UnsupportedOperation):
        pass


def _without_body(builder: EnvironBuilder) -> None:
    if builder.method not in ("GET", "HEAD"):
        builder.method = "GET"
    builder.input_stream = None
    for name in ("Content-Type", "Content-Length", "Transfer-Encoding"):
        builder.headers.pop(name, None)
