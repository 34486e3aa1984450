"""Which server name and subdomain a WSGI environ stands for."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from carboy.http.hosts import get_host
from carboy.routing.hosts import without_default_port

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


def environ_arguments(
    environ: WSGIEnvironment, server_name: str | None, subdomain: str | None, host_matching: bool
) -> tuple[str, str | None]:
    """The server name and subdomain to bind a map with."""
    port = environ.get("SERVER_PORT", "")
    server = (environ.get("SERVER_NAME", ""), int(port) if port.isdecimal() else None)
    host = get_host(environ["wsgi.url_scheme"], environ.get("HTTP_HOST"), server).lower()
    if server_name is None:
        return host, subdomain
    server_name = without_default_port(server_name.lower(), environ["wsgi.url_scheme"])
    if subdomain is not None or host_matching:
        return server_name, subdomain
    if host == server_name:
        return server_name, ""
    if host.endswith(f".{server_name}"):
        return server_name, host.removesuffix(f".{server_name}")
    warnings.warn(
        f"Current server name {host!r} doesn't match configured server name"
        f" {server_name!r}, so no rule will match. Check SERVER_NAME and the Host header.",
        stacklevel=3,
    )
    return server_name, "<invalid>"
