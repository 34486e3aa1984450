"""The client's address, scheme and host behind a proxy."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from carboy.http.fields.syntax import parse_list_header

__all__ = ["ProxyFix"]

ORIGINAL = (
    "REMOTE_ADDR", "wsgi.url_scheme", "HTTP_HOST", "SERVER_NAME", "SERVER_PORT", "SCRIPT_NAME",
)  # fmt: skip
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
        values = parse_list_header(value)
        return values[-trusted] if len(values) >= trusted else None

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        environ["werkzeug.proxy_fix.orig"] = dict(
            zip(ORIGINAL, map(environ.get, ORIGINAL), strict=True)
        )
        if not environ.keys().isdisjoint(FORWARDED):
            self._apply(environ)
        return self.app(environ, start_response)  # type: ignore[no-any-return]

    def _apply(self, environ: dict[str, Any]) -> None:
        if client := self._header(environ, "FOR", self.x_for):
            environ["REMOTE_ADDR"] = client
        if scheme := self._header(environ, "PROTO", self.x_proto):
            environ["wsgi.url_scheme"] = scheme
        if host := self._header(environ, "HOST", self.x_host):
            _set_host(environ, host)
        if port := self._header(environ, "PORT", self.x_port):
            _set_port(environ, port)
        if prefix := self._header(environ, "PREFIX", self.x_prefix):
            environ["SCRIPT_NAME"] = prefix

    def _header(self, environ: dict[str, Any], name: str, trusted: int) -> str | None:
        value = environ.get(f"HTTP_X_FORWARDED_{name}")
        return self._get_real_value(trusted, value) if trusted and value else None


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
