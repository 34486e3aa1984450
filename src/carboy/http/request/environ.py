"""Attributes of a request that are read from a WSGI environ."""

from __future__ import annotations

import io
from typing import IO, TYPE_CHECKING, Any

from carboy.http.fields.headers import EnvironHeaders, Headers
from carboy.http.wsgi import (
    environ_text,
    get_content_length,
    get_input_stream,
    get_path_info,
    get_server,
)

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

    from carboy.trace_context import TraceContext


def method(environ: WSGIEnvironment) -> str:
    return str(environ.get("REQUEST_METHOD", "GET")).upper()


def scheme(environ: WSGIEnvironment) -> str:
    return str(environ.get("wsgi.url_scheme", "http"))


def server(environ: WSGIEnvironment) -> tuple[str, int | None] | None:
    return get_server(environ)


def root_path(environ: WSGIEnvironment) -> str:
    return environ_text(environ.get("SCRIPT_NAME") or "").rstrip("/")


def path(environ: WSGIEnvironment) -> str:
    return "/" + get_path_info(environ).lstrip("/")


def query_string(environ: WSGIEnvironment) -> bytes:
    return str(environ.get("QUERY_STRING", "")).encode("latin-1")


def remote_addr(environ: WSGIEnvironment) -> str | None:
    return environ.get("REMOTE_ADDR")


def proxy_protocol(environ: WSGIEnvironment) -> Any:
    """The header of the PROXY protocol with which the connection has begun; None without one."""
    return environ.get("carboy.proxy_protocol")


def request_id(environ: WSGIEnvironment) -> str:
    """The id of the request, in logs too: that of the server, or of a trusted proxy, or a new one.

    Under other servers than Carboy's it is a new one, unless a middleware has set
    environ["carboy.request_id"].
    """
    exchange: Any = environ.get("carboy.exchange")
    if hasattr(exchange, "id"):
        return str(exchange.id)
    from carboy.uuid7 import uuid7

    return str(environ.setdefault("carboy.request_id", uuid7()))


def trace(environ: WSGIEnvironment) -> TraceContext:
    """The span of this request, in the trace of traceparent, or in a new one."""
    exchange: Any = environ.get("carboy.exchange")
    if hasattr(exchange, "trace"):
        return exchange.trace  # type: ignore[no-any-return]
    from carboy.trace_context import trace_of

    parents = [environ[name] for name in ("HTTP_TRACEPARENT",) if name in environ]
    return trace_of(parents, [environ.get("HTTP_TRACESTATE", "")])


def headers(environ: WSGIEnvironment) -> Headers:
    return EnvironHeaders(environ)


def stream(environ: WSGIEnvironment, limit: int | None) -> IO[bytes]:
    return get_input_stream(environ, max_content_length=limit)


def raw_stream(environ: WSGIEnvironment) -> IO[bytes]:
    found: IO[bytes] = environ.get("wsgi.input") or io.BytesIO()
    return found


def host_header(environ: WSGIEnvironment) -> str | None:
    return environ.get("HTTP_HOST")


def content_length(environ: WSGIEnvironment) -> int | None:
    return get_content_length(environ)
