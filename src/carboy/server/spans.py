"""A server span of OpenTelemetry for each request.

The span begins when the request began to wait or to run, and is current in the context of the
request, so the spans of the application are its children, on all threads and in coroutines. It ends
when the response does: when the access log gets its record. The attributes are those of the stable
semantic conventions for HTTP server spans, and the time in the queue.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from opentelemetry import context, propagate, trace
from opentelemetry.trace import SpanKind, Status, StatusCode

from carboy.gateway.interface import Answer, Gateway
from carboy.gateway.request_fields import fields_of
from carboy.protocol.events import RequestHead
from carboy.server.logs.facts import Record, queue_seconds, route_of
from carboy.server.logs.redaction import redaction
from carboy.server.observing import Observing
from carboy.trace_context import TraceContext

if TYPE_CHECKING:
    from carboy.server.exchange import ServerExchange
    from carboy.server.responder import Access

METHODS = frozenset(
    {"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"}
)
OTHER = "_OTHER"  # the method of requests with another one, so that there are few names
VERSIONS = ("1.0", "1.1", "2")  # by RequestHead.minor
QUEUE_TIME = "carboy.queue_time"  # seconds


def tracer() -> trace.Tracer | None:
    """The tracer of the server; None if the application has configured no provider."""
    provider = trace.get_tracer_provider()
    if isinstance(provider, trace.ProxyTracerProvider | trace.NoOpTracerProvider):
        return None
    return provider.get_tracer("carboy")


class TracingGateway:
    """Begins the span of a request, and passes it to the gateway `inner`."""

    def __init__(self, inner: Gateway, tracer: trace.Tracer, observing: Observing) -> None:
        self._inner = inner
        self._tracer = tracer
        self._private = redaction(observing.access_log_redact)
        self.prepare = inner.prepare
        self.body_limit = inner.body_limit
        self.wants_stream = inner.wants_stream

    def __getattr__(self, name: str) -> Any:
        """The optional attributes of a gateway, such as `turn` and `start`: those of `inner`."""
        return getattr(self._inner, name)

    def handle(self, exchange: Any) -> Answer:
        """The answer of the application, whose code runs in the span."""
        head: RequestHead = exchange.head
        parent = propagate.extract(fields_of(head))
        waited = time.monotonic() - (exchange.queued_at or exchange.began)
        span = self._tracer.start_span(
            head.method if head.method in METHODS else "HTTP",
            parent,
            SpanKind.SERVER,
            self._attributes(exchange, head),
            start_time=time.time_ns() - int(waited * 1e9),
        )
        exchange.span = span
        known = span.get_span_context()
        if known.is_valid:
            above = trace.get_current_span(parent).get_span_context()
            exchange.trace = TraceContext(
                trace.format_trace_id(known.trace_id),
                trace.format_span_id(known.span_id),
                trace.format_span_id(above.span_id) if above.is_valid else "",
                int(known.trace_flags),
                known.trace_state.to_header(),
            )
        # Not detached: the context of the request ends with it.
        context.attach(trace.set_span_in_context(span, parent))
        return self._inner.handle(exchange)

    def _attributes(self, exchange: ServerExchange, head: RequestHead) -> dict[str, Any]:
        known = head.method in METHODS
        path, _, query = head.target.partition("?")
        host, _, port = head.host.rpartition(":")
        if not port.isdecimal():  # also an address of IPv6 without a port
            host, port = head.host, ""
        client, peer = exchange.peer, exchange.connection.peer
        found = {
            "http.request.method": head.method if known else OTHER,
            "http.request.method_original": None if known else head.method,
            "url.path": path if path.startswith("/") else head.path,
            "url.query": self._private(query) or None,
            "url.scheme": exchange.scheme,
            "server.address": host or exchange.server[0],
            "server.port": int(port) if port else exchange.server[1],
            "client.address": client[0] if client else None,
            "client.port": client[1] or None if client else None,
            "network.peer.address": peer[0] if peer else None,
            "network.peer.port": peer[1] or None if peer else None,
            "network.protocol.version": VERSIONS[head.minor],
            "user_agent.original": fields_of(head).get("user-agent"),
        }
        return {name: value for name, value in found.items() if value is not None}


class SpanLog:
    """Ends the span of a request when its record comes, and passes the record on."""

    def __init__(self, inner: Access | None) -> None:
        self._inner = inner

    def __call__(self, record: Record) -> None:
        exchange, status = record[7], record[4]
        if exchange is not None and exchange.span is not None:
            now, loop = time.time_ns(), asyncio._get_running_loop()
            if status >= 500 and loop is not None:
                # Frameworks for ASGI send the page of an error, and raise the error after that.
                loop.call_soon(end, exchange, exchange.span, status, now)
            else:
                end(exchange, exchange.span, status, now)
        if self._inner is not None:
            self._inner(record)


def end(exchange: ServerExchange, span: trace.Span, status: int, now: int) -> None:
    """End the span of a request at `now` (nanoseconds); `status` is that of its response."""
    error, exchange.span, exchange.failure = exchange.failure, None, None
    if span.is_recording():
        route = route_of(exchange)
        if route:
            method = exchange.head.method
            span.update_name(f"{method if method in METHODS else 'HTTP'} {route}")
            span.set_attribute("http.route", route)
        span.set_attribute("http.response.status_code", status)
        span.set_attribute(QUEUE_TIME, queue_seconds(exchange))
        if error is not None:
            span.record_exception(error)
            span.set_attribute("error.type", f"{type(error).__module__}.{type(error).__qualname__}")
        elif status >= 500:
            span.set_attribute("error.type", str(status))
        if error is not None or status >= 500:
            span.set_status(Status(StatusCode.ERROR, None if error is None else str(error)))
    span.end(now)
