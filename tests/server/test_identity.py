"""The id of a request, on both lanes, for all interfaces, and wherever it is written."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import re
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

import carboy
from carboy import log_fields
from carboy.gateway import for_application
from carboy.gateway.wrapping import Bridged
from carboy.net import listen_unix
from carboy.server.exchange import ServerExchange
from http2_client import http2, served_h2c
from live_asgi import body, only_http, served_asgi, start
from live_engine import served
from running import Running

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{SPAN}-01"
GIVEN = {"X-Request-ID": "from-the-proxy:1", "traceparent": PARENT}
TRUSTED = {"trusted_proxies": ("127.0.0.1",)}


class Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[Any] = []
        self.lines: list[str] = []
        self.setFormatter(logging.Formatter("%(request_id)s|%(trace_id)s|%(span_id)s|%(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)
        self.lines.append(self.format(record))

    def ids(self) -> set[str]:
        return {record.request_id for record in self.records}


log = logging.getLogger("tests.identity")


@pytest.fixture
def kept() -> Iterator[Kept]:
    log_fields.install()
    handler = Kept()
    log.setLevel(logging.INFO)
    log.addHandler(handler)
    yield handler
    log.removeHandler(handler)


def views() -> carboy.Carboy:
    app = carboy.Carboy("identity")

    @app.get("/")
    def plain() -> str:
        log.info("in the view")
        return str(carboy.request.id)

    @app.get("/async")
    async def waits() -> str:
        log.info("before")
        await asyncio.sleep(0)
        log.info("after")
        return carboy.request_id()

    @app.get("/stream")
    def stream() -> Any:
        log.info("in the view")
        found = carboy.request_id()

        def pieces() -> Iterator[str]:
            log.info("in the generator")
            yield found

        return pieces()

    @app.get("/trace")
    def trace() -> dict[str, Any]:
        request = carboy.request
        return {
            "trace_id": request.trace_id,
            "span_id": request.span_id,
            "headers": carboy.trace_headers(),
        }

    @app.get("/error")
    def error() -> str:
        raise ZeroDivisionError

    return app


class Wrapped:
    """Middleware, so that the application is called by WSGI."""

    def __init__(self, app: Any) -> None:
        self.app = app

    def __call__(self, environ: Any, start_response: Any) -> Any:
        log.info("in the middleware")
        return self.app(environ, start_response)


@pytest.fixture(params=["direct", "wsgi"])
def app(request: pytest.FixtureRequest) -> carboy.Carboy:
    app = views()
    if request.param == "wsgi":
        app.wsgi_app = Wrapped(app.wsgi_app)  # type: ignore[method-assign]
    return app


@pytest.mark.parametrize("path", ["/", "/async", "/stream"])
def test_a_request_has_one_id_in_the_view_and_in_all_its_log_records(
    app: carboy.Carboy, kept: Kept, path: str
) -> None:
    with served(app) as live:
        first, second = live.get(path).body.decode(), live.get(path).body.decode()
    assert uuid.UUID(first).version == 7 and first < second
    assert kept.ids() == {first, second}
    assert len(kept.records) >= 2


def test_a_trusted_proxy_names_the_request_and_others_do_not(app: carboy.Carboy) -> None:
    with served(app, **TRUSTED) as live:
        assert live.get(**GIVEN).body == b"from-the-proxy:1"
    with served(app) as live:
        assert live.get(**GIVEN).body != b"from-the-proxy:1"


def test_the_name_of_the_header_is_a_setting(app: carboy.Carboy) -> None:
    with served(app, **TRUSTED, request_id_header="X-Correlation-ID") as live:
        assert live.get(**{"X-Correlation-ID": "one"}).body == b"one"
        assert live.get(**GIVEN).body != b"from-the-proxy:1"
    with served(app, **TRUSTED, request_id_header="") as live:
        assert live.get(**GIVEN).body != b"from-the-proxy:1"


@pytest.mark.parametrize("value", ["", "a b", 'a"b', "a,b", "a\\b", "\xe9", "x" * 129])
def test_an_id_that_is_not_valid_is_replaced(value: str) -> None:
    with served(views(), **TRUSTED) as live:
        assert uuid.UUID(live.get(**{"X-Request-ID": value}).body.decode()).version == 7


def test_an_id_that_comes_twice_is_replaced() -> None:
    head = b"GET / HTTP/1.1\r\nHost: x\r\nX-Request-ID: a\r\nx-request-id: b\r\n"
    with served(views(), **TRUSTED) as live:
        answer = live.ask(head + b"Connection: close\r\n\r\n")
    assert uuid.UUID(answer.rpartition(b"\r\n\r\n")[2].decode()).version == 7


def test_the_response_has_the_id_if_it_is_asked_for(app: carboy.Carboy) -> None:
    with served(app) as live:
        assert "X-Request-ID" not in live.get().headers
    with served(app, request_id_response=True, **TRUSTED) as live:
        for path in ("/", "/stream", "/async", "/error", "/missing"):
            assert live.get(path, **GIVEN).headers.get_all("X-Request-ID") == ["from-the-proxy:1"]


def test_an_id_that_the_application_sends_is_not_sent_twice() -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("x-request-id", "own")])
        return [b""]

    with served(app, request_id_response=True) as live:
        assert live.get().headers.get_all("X-Request-ID") == ["own"]


def test_a_wsgi_application_finds_the_id(kept: Kept) -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        log.info("called")
        start_response("200 OK", [])
        return [carboy.request_id().encode(), b" ", environ["carboy.exchange"].id.encode()]

    with served(app) as live:
        first, second = live.get().body.decode().split()
    assert first == second and kept.ids() == {first}


@pytest.mark.parametrize("waits", [False, True])
def test_an_asgi_application_finds_the_id_in_the_scope(kept: Kept, waits: bool) -> None:
    @only_http
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if waits:
            await asyncio.sleep(0.001)
        log.info("called")
        names = scope["extensions"]["carboy.request"]
        assert names.get("missing") is None and "missing" not in names
        found = f"{names['id']} {names.get('trace_id')} {carboy.request_id()}"
        await send(start())
        await send(body(found.encode()))

    with served_asgi(app, **TRUSTED) as live:
        found = live.get(**GIVEN).body.decode()
    assert found == f"from-the-proxy:1 {TRACE} from-the-proxy:1"
    assert kept.ids() == {"from-the-proxy:1"}


def test_a_trace_goes_on_and_is_passed_on(app: carboy.Carboy, kept: Kept) -> None:
    import json

    with served(app) as live:
        found = json.loads(live.get("/trace", **GIVEN, tracestate="a=1").body)
        assert found["trace_id"] == TRACE and found["span_id"] != SPAN
        expected = f"00-{TRACE}-{found['span_id']}-01"
        assert found["headers"] == {"traceparent": expected, "tracestate": "a=1"}
        new = json.loads(live.get("/trace", traceparent="00-1-2-3").body)
        assert new["trace_id"] != TRACE and re.fullmatch("[0-9a-f]{32}", new["trace_id"])
        live.get(**GIVEN)
    assert f"|{TRACE}|" in kept.lines[-1]


def test_the_page_and_the_log_of_an_error_have_the_id(
    app: carboy.Carboy, caplog: pytest.LogCaptureFixture
) -> None:
    log_fields.install()
    with served(app, request_id_response=True, **TRUSTED) as live:
        page = live.get("/error", **GIVEN)
    assert page.status == 500 and b"<p>Request id: from-the-proxy:1</p>" in page.body
    assert {record.request_id for record in caplog.records} == {"from-the-proxy:1"}  # type: ignore[attr-defined]


def test_the_page_and_the_log_of_the_server_itself_have_the_id(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        raise ZeroDivisionError

    log_fields.install()
    with served(app, request_id_response=True, **TRUSTED) as live:
        page = live.get(**GIVEN)
    assert page.status == 500 and b"Request id: from-the-proxy:1\n" in page.body
    (record,) = caplog.records
    assert record.request_id == "from-the-proxy:1" and record.name == "carboy.error"  # type: ignore[attr-defined]


def test_a_formatter_with_the_fields_works_outside_of_requests(kept: Kept) -> None:
    log.info("outside")
    assert kept.lines == ["-|-|-|outside"]
    with pytest.raises(RuntimeError, match="No request is being handled here"):
        carboy.request_id()


def test_an_application_may_set_its_own_values_and_its_own_factory(kept: Kept) -> None:
    own = logging.getLogRecordFactory()

    def factory(*values: Any, **more: Any) -> logging.LogRecord:
        record = own(*values, **more)
        record.span_id = "of the factory"
        return record

    logging.setLogRecordFactory(factory)
    try:
        log.info("text", extra={"request_id": "mine"})
    finally:
        logging.setLogRecordFactory(own)
    assert kept.lines == ["mine|-|of the factory|text"]


def test_nothing_is_made_for_a_request_whose_id_is_not_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[ServerExchange] = []
    monkeypatch.setattr(ServerExchange.__dict__["id"], "_make", made.append)
    app = carboy.Carboy("quiet")
    app.add_url_rule("/", "hello", lambda: "Hello")
    with served(app, record=True) as live:
        assert live.get().body == b"Hello"
    assert not made


def test_the_peer_of_a_unix_socket_is_trusted_by_default(tmp_path: Any) -> None:
    listener = listen_unix(str(tmp_path / "s"))
    with served(views(), listener=listener) as live:
        assert live.get(**GIVEN).body == b"from-the-proxy:1"


@pytest.mark.parametrize("name", ["a b", "a:", "é", "x" * 65])
def test_a_setting_that_is_not_a_name_of_a_header_is_an_error(name: str) -> None:
    from carboy.server.observing import Observing

    with pytest.raises(ValueError, match="--request-id-header"):
        Observing(request_id_header=name)
    with pytest.raises(ValueError, match="requires --request-id-header"):
        Observing(request_id_header="", request_id_response=True)


def test_the_test_client_gives_each_request_an_id_of_its_own(kept: Kept) -> None:
    client = views().test_client()
    first, second = client.get("/").text, client.get("/").text
    assert uuid.UUID(first).version == 7 and first != second
    assert kept.ids() == {first, second}


def test_a_request_of_http_2_has_an_id_and_a_trace(app: carboy.Carboy, kept: Kept) -> None:
    fields = [("x-request-id", "over-http2"), ("traceparent", PARENT)]
    with served_h2c(app, request_id_response=True, **TRUSTED) as live, http2(live) as client:
        for path in ("/", "/stream", "/async"):
            reply = client.get(path, fields=fields)
            assert reply.body == b"over-http2" and reply.headers["x-request-id"] == "over-http2"
    assert kept.ids() == {"over-http2"} and f"|{TRACE}|" in kept.lines[0]


@pytest.mark.parametrize("asynchronous", [False, True])
def test_the_log_records_of_a_websocket_have_the_id(kept: Kept, asynchronous: bool) -> None:
    app = carboy.Carboy("websocket")

    if asynchronous:

        @app.websocket("/")
        async def waits(ws: Any) -> None:
            log.info("in the handler")
            await ws.send(carboy.request.id)

    else:

        @app.websocket("/")
        def handler(ws: Any) -> None:
            log.info("in the handler")
            ws.send(carboy.request.id)

    with served(app) as live, connect(f"ws://127.0.0.1:{live.port}/") as client:
        found = client.recv()
    assert kept.ids() == {found}


def test_a_thread_in_the_context_of_a_request_has_its_id(kept: Kept) -> None:
    app = carboy.Carboy("threads")

    def in_thread(run: Any) -> None:
        thread = threading.Thread(target=run, args=(log.info, "in a thread"))
        thread.start()
        thread.join()

    @app.get("/")
    def view() -> str:
        in_thread(contextvars.copy_context().run)
        in_thread(carboy.copy_current_request_context(lambda function, text: function(text)))
        return carboy.request_id()

    with served(app) as live:
        found = live.get().body.decode()
    assert len(kept.records) == 2 and kept.ids() == {found}


def test_middleware_between_wsgi_and_asgi_keeps_the_id(kept: Kept) -> None:
    @only_http
    async def inner(scope: Any, receive: Any, send: Any) -> None:
        log.info("in the application")
        found = scope["extensions"]["carboy.request"]["id"] + " " + carboy.request_id()
        await send(start())
        await send(body(found.encode()))

    bridged: Any = Bridged(inner, lambda wsgi, own: Wrapped(wsgi))
    gateway: Any = for_application(bridged, "auto", "asyncio")
    gateway.start()
    try:
        with served(bridged, gateway=gateway, **TRUSTED) as live:
            assert live.get(**GIVEN).body == b"from-the-proxy:1 from-the-proxy:1"
    finally:
        gateway.stop(5)
    assert len(kept.records) == 2 and kept.ids() == {"from-the-proxy:1"}


LOGGING = """
import logging
from carboy import Carboy

logging.basicConfig(format="[%(request_id)s] %(message)s", level="INFO")
logging.info("imported")
app = Carboy(__name__)

@app.get("/")
def index():
    logging.info("in the view")
    return "Hello"
"""


@pytest.mark.parametrize("option", ["--no-preload", "--preload"])
def test_a_format_with_the_id_works_while_the_application_is_loaded(
    tmp_path: Path, option: str
) -> None:
    (tmp_path / "hello.py").write_text(LOGGING)
    with Running("run", "hello", "-p", "0", option, cwd=tmp_path) as server:
        assert server.get()[0] == 200
        server.line("[-] imported")
        assert re.match(r"\[[0-9a-f-]{36}\] ", server.line("in the view"))
        assert server.stop() == 0
        assert "Logging error" not in server.text()
