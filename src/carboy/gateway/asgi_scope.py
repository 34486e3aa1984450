"""The scope of an HTTP request for an ASGI application (ASGI HTTP, spec version 2.5)."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import quote, unquote_to_bytes
from weakref import ref

from carboy.protocol.events import RequestHead

VERSION = {"version": "3.0", "spec_version": "2.5"}
HTTP_VERSIONS = ("1.0", "1.1", "2")
HAS_SENDFILE = hasattr(os, "sendfile")
MOST_NAMES = 512  # that are remembered, because clients choose them
# Names of fields in lower case, by the name as sent. Connections share them.
_names: dict[bytes, bytes] = {}
FIELDS = "asgi.fields"  # in RequestHead.found
NAMES = "carboy.request"


class RequestNames(dict[str, str]):
    """The extension "carboy.request": the id and the trace of the request, found when asked for."""

    __slots__ = ("exchange",)
    # Weak: the exchange has the scope, and each request would be left to the garbage collector.
    exchange: ref[Any]

    def __missing__(self, name: str) -> str:
        exchange: Any = self.exchange()
        if not hasattr(exchange, "trace"):
            raise KeyError(name)
        trace = exchange.trace
        self.update(id=exchange.id, trace_id=trace.trace_id, span_id=trace.span_id)
        if name not in self:
            raise KeyError(name)
        return self[name]

    def get(self, name: str, default: Any = None) -> Any:
        """The value of `name`, or `default`."""
        try:
            return self[name]
        except KeyError:
            return default


def http_scope(exchange: Any, state: dict[str, Any] | None) -> dict[str, Any]:
    """The scope of one request; each may be changed by the application."""
    head: RequestHead = exchange.head
    scheme = exchange.scheme
    names = RequestNames()
    names.exchange = ref(exchange)
    none: dict[str, Any] = {}  # they have no properties
    extensions: dict[str, dict[str, Any]] = {
        "http.response.early_hint": none,
        "http.response.pathsend": none,
        "http.response.trailers": none,
        NAMES: names,
    }
    if HAS_SENDFILE:
        extensions["http.response.zerocopysend"] = none
    if scheme == "https":
        add_tls(extensions, exchange)
    if exchange.proxied is not None:
        extensions["carboy.proxy_protocol"] = exchange.proxied.as_dict()
    raw = head.path.encode("latin-1")
    path = head.path if "%" not in head.path and head.path.isascii() else decoded_path(raw)
    if exchange.outer_path:  # the path has it (ASGI), but a proxy has removed it
        raw = quote(exchange.outer_path).encode() + raw
        path = exchange.outer_path + path
    scope = {
        "type": "http",
        "asgi": VERSION.copy(),
        "http_version": HTTP_VERSIONS[head.minor],
        "server": exchange.server,
        "client": exchange.peer,
        "scheme": scheme,
        "method": head.method,
        "root_path": exchange.root_path,
        "path": path,
        "raw_path": raw,
        "query_string": head.query.encode("latin-1"),
        "headers": fields_of(head).copy(),
        "extensions": extensions,
    }
    if state is not None:
        scope["state"] = state.copy()
    return scope


def add_tls(extensions: dict[str, dict[str, Any]], exchange: Any) -> None:
    """Add the extension `tls` to those of a scope, if the connection is under TLS."""
    facts = exchange.tls()
    if facts is not None:
        extensions["tls"] = {
            "server_cert": facts.server_certificate,
            "client_cert_chain": list(facts.client_certificates),
            "client_cert_name": facts.client_name,
            "client_cert_error": None,
            "tls_version": facts.version,
            "cipher_suite": facts.cipher_suite,
        }


def websocket_scope(
    exchange: Any, subprotocols: tuple[str, ...], state: dict[str, Any] | None
) -> dict[str, Any]:
    """The scope of one WebSocket: that of its handshake, with these differences."""
    scope = http_scope(exchange, state)
    del scope["method"]
    scope["type"] = "websocket"
    scope["scheme"] = "wss" if exchange.scheme == "https" else "ws"
    scope["subprotocols"] = list(subprotocols)
    extensions: dict[str, dict[str, Any]] = {
        "websocket.http.response": {},
        NAMES: scope["extensions"][NAMES],
    }
    scope["extensions"] = extensions
    if exchange.scheme == "https":
        add_tls(extensions, exchange)
    if exchange.proxied is not None:
        extensions["carboy.proxy_protocol"] = exchange.proxied.as_dict()
    return scope


def decoded_path(raw: bytes) -> str:
    """The path as text: percent-decoded, as UTF-8."""
    return unquote_to_bytes(raw).decode("utf-8", "replace")


def fields_of(head: RequestHead) -> list[tuple[bytes, bytes]]:
    """The header fields, names in lower case; shared by the heads of a connection that agree."""
    found = head.found  # read once: another thread may delete it
    if found is None:
        if not head.tail:  # no other head shares what is found
            return _encoded(head)
        found = head.found = {}
    known: list[tuple[bytes, bytes]] | None = found.get(FIELDS)
    if known is None:
        known = found[FIELDS] = _encoded(head)
    return known


def _encoded(head: RequestHead) -> list[tuple[bytes, bytes]]:
    fields = []
    for name, value in head.raw_fields():
        known = _names.get(name)
        if known is None:
            known = name.lower()
            if len(_names) < MOST_NAMES:
                _names[name] = known
        fields.append((known, value))
    return fields
