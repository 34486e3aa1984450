"""Spans of OpenTelemetry, with its own SDK, on both lanes and for all interfaces."""

from __future__ import annotations

import asyncio
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from websockets.sync.client import connect

import carboy
from carboy.gateway import for_application
from carboy.server import spans, tracing
from carboy.server.observing import Observing
from live_asgi import body, only_http, served_asgi, start
from live_engine import Live, eventually, served

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{SPAN}-01"


class Tracing:
    """A provider that keeps the spans that have ended."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.own = self.provider.get_tracer("application")

    def all(self, count: int) -> list[Any]:
        """The spans that have ended, when there are `count`; those of the server come last."""
        eventually(lambda: len(self.exporter.get_finished_spans()) >= count)
        found = self.exporter.get_finished_spans()
        assert len(found) == count
        return sorted(found, key=lambda span: span.kind is SpanKind.SERVER)

    @contextmanager
    def served(self, app: Any, redact: tuple[str, ...] = (), **settings: Any) -> Iterator[Live]:
        observing = Observing(access_log_redact=redact)
        inner: Any = for_application(app, "auto", "asyncio")
        gateway = spans.TracingGateway(inner, self.provider.get_tracer("carboy"), observing)
        begin, stop = (getattr(inner, name, None) for name in ("start", "stop"))
        if begin is not None:
            begin()
        try:
            with served(app, gateway=gateway, access=spans.SpanLog(None), **settings) as live:
                yield live
        finally:
            if stop is not None:
                stop(5)


@pytest.fixture
def traces() -> Tracing:
    return Tracing()


def views(traces: Tracing) -> carboy.Carboy:
    app = carboy.Carboy("traced")

    @app.get("/notes/<int:number>")
    def note(number: int) -> str:
        with traces.own.start_as_current_span("query"):
            return carboy.request.trace_id

    @app.get("/async")
    async def waits() -> str:
        await asyncio.sleep(0)
        with traces.own.start_as_current_span("query"):
            return carboy.request.trace_id

    @app.get("/stream")
    def stream() -> Any:
        def pieces() -> Iterator[str]:
            for number in "ab":
                with traces.own.start_as_current_span(f"piece {number}"):
                    yield number

        return pieces()

    @app.get("/error")
    def error() -> str:
        raise ZeroDivisionError("no division")

    @app.get("/503")
    def busy() -> Any:
        return "busy", 503

    return app


class Wrapped:
    def __init__(self, app: Any) -> None:
        self.app = app

    def __call__(self, environ: Any, start_response: Any) -> Any:
        return self.app(environ, start_response)


@pytest.fixture(params=["direct", "wsgi"])
def app(request: pytest.FixtureRequest, traces: Tracing) -> carboy.Carboy:
    app = views(traces)
    if request.param == "wsgi":
        app.wsgi_app = Wrapped(app.wsgi_app)  # type: ignore[method-assign]
    return app


def test_a_request_is_a_server_span_with_the_attributes_of_http(
    app: carboy.Carboy, traces: Tracing
) -> None:
    with traces.served(app, redact=("token",), trusted_proxies=("127.0.0.1",)) as live:
        fields = {"Host": "shop.example:8443", "User-Agent": "tests", "traceparent": PARENT}
        fields |= {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}
        assert live.get("/notes/7?token=x&b=1", **fields).body.decode() == TRACE
        _, span = traces.all(2)
    attributes = dict(span.attributes)
    assert attributes.pop("carboy.queue_time") >= 0
    assert attributes.pop("network.peer.port") > 0
    assert attributes == {
        "http.request.method": "GET",
        "http.route": "/notes/<int:number>",
        "http.response.status_code": 200,
        "url.path": "/notes/7",
        "url.query": "token=***&b=1",
        "url.scheme": "https",
        "server.address": "shop.example",
        "server.port": 8443,
        "client.address": "203.0.113.9",
        "network.peer.address": "127.0.0.1",
        "network.protocol.version": "1.1",
        "user_agent.original": "tests",
    }
    assert span.name == "GET /notes/<int:number>"
    assert span.kind is SpanKind.SERVER and span.status.status_code is StatusCode.UNSET
    assert trace.format_span_id(span.parent.span_id) == SPAN
    assert span.start_time < span.end_time


@pytest.mark.parametrize("path", ["/notes/7", "/async"])
def test_spans_of_a_view_are_children(app: carboy.Carboy, traces: Tracing, path: str) -> None:
    with traces.served(app) as live:
        found = live.get(path).body.decode()
        child, span = traces.all(2)
    assert child.parent.span_id == span.context.span_id and span.parent is None
    assert found == trace.format_trace_id(span.context.trace_id)


def test_the_span_of_a_stream_ends_with_it(app: carboy.Carboy, traces: Tracing) -> None:
    with traces.served(app) as live:
        assert live.get("/stream").body == b"ab"
        *pieces, span = traces.all(3)
    assert {piece.parent.span_id for piece in pieces} == {span.context.span_id}
    assert all(piece.end_time <= span.end_time for piece in pieces)


def test_an_error_is_recorded(app: carboy.Carboy, traces: Tracing) -> None:
    with traces.served(app) as live:
        assert live.get("/error").status == 500
        (span,) = traces.all(1)
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes["error.type"] == "builtins.ZeroDivisionError"
    (event,) = span.events
    assert event.attributes["exception.message"] == "no division"


def test_a_status_of_the_server_is_an_error_and_one_of_the_client_is_not(
    app: carboy.Carboy, traces: Tracing
) -> None:
    with traces.served(app) as live:
        assert (live.get("/503").status, live.get("/missing").status) == (503, 404)
        first, second = traces.all(2)
    assert first.status.status_code is StatusCode.ERROR
    assert first.attributes["error.type"] == "503"
    assert second.status.status_code is StatusCode.UNSET
    assert second.attributes["http.response.status_code"] == 404


def test_a_method_that_is_not_known_is_other(app: carboy.Carboy, traces: Tracing) -> None:
    with traces.served(app) as live, live.client() as client:
        client.request("BREW", "/")
        client.reply("BREW")
        (span,) = traces.all(1)
    assert span.name == "HTTP" and span.attributes["http.request.method"] == "_OTHER"
    assert span.attributes["http.request.method_original"] == "BREW"


def test_a_wsgi_application_is_traced(traces: Tracing) -> None:
    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        with traces.own.start_as_current_span("outside"):
            start_response("200 OK", [])
        yield b"a"
        with traces.own.start_as_current_span("in the iterable"):
            yield b"b"

    with traces.served(app) as live:
        assert live.get(traceparent=PARENT).body == b"ab"
        *children, span = traces.all(3)
    assert {child.parent.span_id for child in children} == {span.context.span_id}


@pytest.mark.parametrize("waits", [False, True])
def test_an_asgi_application_is_traced(traces: Tracing, waits: bool) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        if waits:
            await asyncio.sleep(0.001)
        with traces.own.start_as_current_span("query"):
            await send(start())
        await send(body(b"a", more=waits))
        if waits:
            await send(body())

    with traces.served(app) as live:
        assert live.get(traceparent=PARENT).body == b"a"
        child, span = traces.all(2)
    assert child.parent.span_id == span.context.span_id
    assert trace.format_trace_id(span.context.trace_id) == TRACE


def test_the_error_of_an_asgi_application_is_recorded(traces: Tracing) -> None:
    @only_http
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise ZeroDivisionError("no division")

    with traces.served(app) as live:
        assert live.get().status == 500
        (span,) = traces.all(1)
    assert span.attributes["error.type"] == "builtins.ZeroDivisionError"


def test_the_error_that_starlette_raises_after_its_page_is_recorded(traces: Tracing) -> None:
    from starlette.applications import Starlette
    from starlette.routing import Route

    async def fails(request: Any) -> Any:
        raise ZeroDivisionError("no division")

    with traces.served(Starlette(routes=[Route("/notes/{number}", fails)])) as live:
        assert live.get("/notes/7").status == 500
        (span,) = traces.all(1)
    assert span.name == "GET /notes/{number}"
    assert span.attributes["error.type"] == "builtins.ZeroDivisionError"
    assert span.attributes["http.response.status_code"] == 500


def test_a_websocket_is_a_span_that_lasts_as_long_as_it(traces: Tracing) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "websocket"
        await receive()
        await send({"type": "websocket.accept"})
        with traces.own.start_as_current_span("message"):
            found = scope["extensions"]["carboy.request"]["id"]
            await send({"type": "websocket.send", "text": found})
        await send({"type": "websocket.close"})

    with traces.served(app) as live:
        with connect(f"ws://127.0.0.1:{live.port}/") as client:
            assert uuid.UUID(str(client.recv())).version == 7
        child, span = traces.all(2)
    assert child.parent.span_id == span.context.span_id
    assert span.attributes["http.response.status_code"] == 101


def test_a_client_that_leaves_ends_the_span(traces: Tracing) -> None:
    @only_http
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        while (await receive())["type"] != "http.disconnect":
            pass

    with traces.served(app) as live:
        with live.client() as client:
            client.request("GET", "/")
            eventually(lambda: any(c.exchange for c in live.engine.connections.values()))
        (span,) = traces.all(1)
    assert span.attributes["http.response.status_code"] == 499


def test_requests_on_one_thread_do_not_see_the_span_of_another(
    app: carboy.Carboy, traces: Tracing
) -> None:
    with traces.served(app) as live, live.client() as client:
        for _ in range(3):
            client.request("GET", "/notes/1")
            client.reply()
        found = traces.all(6)
    assert len({span.context.trace_id for span in found}) == 3


# --- whether requests are traced


class Marker:
    """A gateway that is not asked anything."""

    prepare = body_limit = wants_stream = handle = None


def test_without_a_provider_of_the_application_requests_are_not_traced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gateway: Any = Marker()
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)
    assert tracing.traced(gateway, None, Observing()) == (gateway, None)
    monkeypatch.delitem(sys.modules, "opentelemetry.trace")
    assert tracing.traced(gateway, None, Observing()) == (gateway, None)


def test_a_provider_turns_tracing_on_and_an_option_turns_it_off(
    monkeypatch: pytest.MonkeyPatch, traces: Tracing
) -> None:
    gateway: Any = Marker()
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", traces.provider)
    found, log = tracing.traced(gateway, None, Observing())
    assert isinstance(found, spans.TracingGateway) and isinstance(log, spans.SpanLog)
    assert tracing.traced(gateway, None, Observing(tracing="no")) == (gateway, None)


@pytest.mark.parametrize("lane", ["direct", "asgi"])
def test_a_provider_of_the_first_request_traces_later_requests(
    lane: str, traces: Tracing, monkeypatch: pytest.MonkeyPatch
) -> None:
    configured: list[trace.Tracer] = []
    monkeypatch.setattr(spans, "tracer", lambda: configured[0] if configured else None)

    def configure() -> None:
        if not configured:
            configured.append(traces.provider.get_tracer("carboy"))

    lazy = carboy.Carboy("lazy")

    @lazy.get("/")
    def view() -> str:
        configure()
        return "done"

    async def asgi(scope: Any, receive: Any, send: Any) -> None:
        configure()
        await send(start())
        await send(body(b"done"))

    def traced_by_now() -> bool:
        assert live.get(traceparent=PARENT).body == b"done"
        return bool(traces.exporter.get_finished_spans())

    with served_asgi(only_http(asgi)) if lane == "asgi" else served(lazy) as live:
        assert live.get().body == b"done"
        assert not traces.exporter.get_finished_spans()
        eventually(traced_by_now)
    span = traces.exporter.get_finished_spans()[0]
    assert trace.format_trace_id(span.context.trace_id) == TRACE
    assert span.attributes["http.response.status_code"] == 200
