"""The client's address, scheme and host behind a proxy."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from carboy.http.fields.syntax import parse_list_header

__all__ = ["ProxyFix"]

FORWARDED = [f"HTTP_X_FORWARDED_{name}" for name in ("FOR", "PROTO", "HOST", "PORT", "PREFIX")]


class ProxyFix:
    """Takes the client's address, scheme, host, port and prefix from X-Forwarded-* headers.

    Each parameter is the number of proxies that set that header; 0 ignores the header. The value is
    counted from the right end of the list, because a client can send the values on the left. The
    original values of the environ are in `environ["werkzeug.proxy_fix.orig"]`.
    """

    def __init__(
        self,
        app: Any,
        x_for: int = 1,
        x_proto: int = 1,
        x_host: int = 0,
        x_port: int = 0,
        x_prefix: int = 0,
    ) -> None:
        self.app = app
        self.x_for = x_for
        self.x_proto = x_proto
        self.x_host = x_host
        self.x_port = x_port
        self.x_prefix = x_prefix

    def _get_real_value(self, trusted: int, value: str | None) -> str | None:
        """The value that the outermost trusted proxy set; None if there are too few values."""
        if not trusted or not value:
            return None
        if "," not in value and '"' not in value:  # one value, as from one proxy
            return (value.strip(" \t") or None) if trusted == 1 else None
        values = parse_list_header(value)
        return values[-trusted] if len(values) >= trusted else None

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        get = environ.get
        environ["werkzeug.proxy_fix.orig"] = {
            "REMOTE_ADDR": get("REMOTE_ADDR"),
            "wsgi.url_scheme": get("wsgi.url_scheme"),
            "HTTP_HOST": get("HTTP_HOST"),
            "SERVER_NAME": get("SERVER_NAME"),
            "SERVER_PORT": get("SERVER_PORT"),
            "SCRIPT_NAME": get("SCRIPT_NAME"),
        }
        if not environ.keys().isdisjoint(FORWARDED):
            self._apply(environ, get)
        return self.app(environ, start_response)  # type: ignore[no-any-return]

    def _apply(self, environ: dict[str, Any], get: Any) -> None:
        real = self._get_real_value
        if client := real(self.x_for, get("HTTP_X_FORWARDED_FOR")):
            environ["REMOTE_ADDR"] = client
        if scheme := real(self.x_proto, get("HTTP_X_FORWARDED_PROTO")):
            environ["wsgi.url_scheme"] = scheme
        if host := real(self.x_host, get("HTTP_X_FORWARDED_HOST")):
            _set_host(environ, host)
        if port := real(self.x_port, get("HTTP_X_FORWARDED_PORT")):
            _set_port(environ, port)
        if prefix := real(self.x_prefix, get("HTTP_X_FORWARDED_PREFIX")):
            environ["SCRIPT_NAME"] = prefix


def _split(host: str) -> tuple[str, str]:
    """Name and port. Colons within a bracketed IPv6 address do not start a port."""
    if ":" in host and not host.endswith("]"):
        name, _, port = host.rpartition(":")
        return name, port
    return host, ""


def _set_host(environ: dict[str, Any], host: str) -> None:
    name, port = _split(host)
    environ["HTTP_HOST"] = host
    environ["SERVER_NAME"] = name
    if port:
        environ["SERVER_PORT"] = port


def _set_port(environ: dict[str, Any], port: str) -> None:
    if host := environ.get("HTTP_HOST"):
        environ["HTTP_HOST"] = f"{_split(host)[0]}:{port}"
    environ["SERVER_PORT"] = port
