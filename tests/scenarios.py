"""One scenario on Flask and on both lanes of Carboy; the answers have to be the same."""

from __future__ import annotations

import io
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from unittest import mock

from black_box import outcome
from carboy.app import lane as lanes
from carboy.protocol.events import RequestHead

ERROR_PAGE = b"<!doctype html>\n<html lang=en>\n<title>"
NAMES = [
    "Blueprint",
    "Config",
    "Flask",
    "Request",
    "Response",
    "abort",
    "after_this_request",
    "copy_current_request_context",
    "current_app",
    "flash",
    "g",
    "get_flashed_messages",
    "get_template_attribute",
    "has_app_context",
    "has_request_context",
    "json",
    "jsonify",
    "make_response",
    "redirect",
    "render_template",
    "render_template_string",
    "request",
    "send_file",
    "send_from_directory",
    "session",
    "stream_template",
    "stream_template_string",
    "stream_with_context",
    "url_for",
]
SIGNALS = (
    "appcontext_popped",
    "appcontext_pushed",
    "appcontext_tearing_down",
    "before_render_template",
    "got_request_exception",
    "message_flashed",
    "request_finished",
    "request_started",
    "request_tearing_down",
    "template_rendered",
)


def _flask() -> SimpleNamespace:
    import flask
    import flask.json.provider
    import flask.json.tag
    import flask.sessions
    import flask.templating
    import flask.views
    import werkzeug.datastructures
    import werkzeug.exceptions
    import werkzeug.routing
    import werkzeug.test
    import werkzeug.wrappers

    return SimpleNamespace(
        **{name: getattr(flask, name) for name in (*NAMES, *SIGNALS)},
        app_ctx=flask.globals.app_ctx,
        request_ctx=flask.globals.request_ctx,
        helpers=flask.helpers,
        provider=flask.json.provider,
        sessions=flask.sessions,
        tag=flask.json.tag,
        templating=flask.templating,
        views=flask.views,
        routing=werkzeug.routing,
        Headers=werkzeug.datastructures.Headers,
        WWWAuthenticate=werkzeug.datastructures.WWWAuthenticate,
        BaseResponse=werkzeug.wrappers.Response,
        exceptions=werkzeug.exceptions,
        test=werkzeug.test,
    )


def _carboy() -> SimpleNamespace:
    import carboy
    import carboy.app.helpers
    import carboy.app.json.provider
    import carboy.app.json.tag
    import carboy.app.sessions
    import carboy.app.templating
    import carboy.app.views
    import carboy.http.exceptions
    import carboy.http.fields.auth
    import carboy.http.fields.headers
    import carboy.http.response.response
    import carboy.routing
    import carboy.testing

    return SimpleNamespace(
        **{name: getattr(carboy, name) for name in (*NAMES, *SIGNALS)},
        app_ctx=carboy.app.globals.app_ctx,
        request_ctx=carboy.app.globals.request_ctx,
        helpers=carboy.app.helpers,
        provider=carboy.app.json.provider,
        sessions=carboy.app.sessions,
        tag=carboy.app.json.tag,
        templating=carboy.app.templating,
        views=carboy.app.views,
        routing=carboy.routing,
        Headers=carboy.http.fields.headers.Headers,
        WWWAuthenticate=carboy.http.fields.auth.WWWAuthenticate,
        BaseResponse=carboy.http.response.response.Response,
        exceptions=carboy.http.exceptions,
        test=carboy.testing,
    )


@dataclass
class Req:
    """A request to make."""

    target: str = "/"
    method: str = "GET"
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    host: str = "localhost"
    scheme: str = "http"


@dataclass
class Seen:
    """The result of a request: a response, or the exception that the application raised."""

    status: str
    headers: list[tuple[str, str]]
    body: bytes
    error: str = ""

    def get(self, name: str) -> str | None:
        for key, value in self.headers:
            if key.lower() == name.lower():
                return value
        return None

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]


def environ_of(req: Req) -> dict[str, Any]:
    path, _, query = req.target.partition("?")
    from urllib.parse import unquote_to_bytes

    environ: dict[str, Any] = {
        "REQUEST_METHOD": req.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80" if req.scheme == "http" else "443",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": req.host,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": req.scheme,
        "wsgi.input": io.BytesIO(req.body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    if req.body:
        environ["CONTENT_LENGTH"] = str(len(req.body))
    for name, value in req.headers.items():
        key = name.upper().replace("-", "_")
        environ[key if key == "CONTENT_TYPE" else f"HTTP_{key}"] = value
    return environ


class FakeExchange:
    """An exchange as a server would make it."""

    def start(self, status: str, headers: list[tuple[str, str]]) -> Any:
        raise AssertionError("nothing here writes imperatively")

    def __init__(self, req: Req) -> None:
        path, _, query = req.target.partition("?")
        lines = [f"Host: {req.host}", *(f"{k}: {v}" for k, v in req.headers.items())]
        if req.body:
            lines.append(f"Content-Length: {len(req.body)}")
        block = "".join(f"{line}\r\n" for line in lines).encode("latin-1")
        self.head = RequestHead(req.method, req.target, path, query, 1, req.host, block)
        self.head.content_length = len(req.body) if req.body else None
        self.head.upgrade = "Upgrade" in req.headers
        self.body = io.BytesIO(req.body) if req.body else None
        self.body_size = len(req.body)
        self.scheme = req.scheme
        self.peer = ("127.0.0.1", 50000)
        self.server = ("localhost", 80 if req.scheme == "http" else 443)
        self.match: Any = None
        self.root_path = ""
        self._req = req
        self._environ: dict[str, Any] | None = None

    def environ(self) -> dict[str, Any]:
        if self._environ is None:
            self._environ = environ_of(self._req)
            if self.body is not None:
                self._environ["wsgi.input"] = self.body
        return self._environ


def call_wsgi(app: Any, req: Req) -> Seen:
    started: list[Any] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        started[:] = [status, headers]
        return None

    try:
        chunks = app(environ_of(req), start_response)
        try:
            body = b"".join(chunks)
        finally:
            if hasattr(chunks, "close"):
                chunks.close()
    except Exception as error:
        return Seen("", [], b"", type(error).__name__)
    return Seen(started[0], list(started[1]), body)


def call_direct(app: Any, req: Req, lane: Any = None) -> Seen:
    exchange = FakeExchange(req)
    assert app.direct_ready()
    try:
        (app.direct_prepare if lane is None else lane.prepare)(exchange)
        handle = app.direct_handle if lane is None else lane.handle
        status, headers, content, close = handle(exchange)
        try:
            body = content if isinstance(content, bytes) else b"".join(content)
        finally:
            if close is not None:
                close()
    except Exception as error:
        return Seen("", [], b"", type(error).__name__)
    return Seen(status, list(headers), body)


def call_compiled(app: Any, req: Req) -> Seen:
    """As `call_direct`, with the compiled functions."""
    lane = app.direct_lane()(None)
    assert lane is not None
    return call_direct(app, req, lane)


# Each scenario runs several times in one process, because what the plan keeps from the first
# request must not change later ones.
ROUNDS = 3
LANES: dict[str, Callable[[Any, Req], Seen]] = {"wsgi": call_wsgi, "direct": call_direct}
if lanes.compiled is not None:
    LANES["compiled"] = call_compiled


def normal(seen: Seen) -> tuple[Any, ...]:
    """Leave out what may differ: the texts of error pages, header order, the time of expiry."""
    body = seen.body
    headers = [
        (name.lower(), re.sub(r"Expires=[^;]*GMT", "Expires=", value))
        for name, value in seen.headers
    ]
    if body.startswith(ERROR_PAGE) or (not body and seen.status[:1] == "4"):  # HEAD
        body = re.sub(rb"<p>.*</p>", b"", body, flags=re.DOTALL)
        headers = [pair for pair in headers if pair[0] != "content-length"]
    headers = [
        (name, ", ".join(sorted(value.split(", "))) if name in {"allow", "vary"} else value)
        for name, value in headers
    ]
    headers = [(name, "" if name in {"date", "expires"} else value) for name, value in headers]
    return seen.status, sorted(headers), body, seen.error


class Jar:
    """The cookies of a client, as far as these tests need them."""

    def __init__(self) -> None:
        self.cookies: dict[str, str] = {}

    def add_to(self, req: Req) -> Req:
        if not self.cookies or "Cookie" in req.headers:
            return req
        value = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        return Req(
            req.target, req.method, {**req.headers, "Cookie": value}, req.body, req.host, req.scheme
        )

    def keep(self, seen: Seen) -> None:
        for line in seen.all("Set-Cookie"):
            name, _, rest = line.partition("=")
            value = rest.partition(";")[0]
            if "Max-Age=0" in rest:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value


Build = Callable[[Any, list[Any]], Any]


class Pair:
    """Runs a scenario on all lanes and compares the results."""

    Req = Req
    FakeExchange = FakeExchange
    call_wsgi = staticmethod(call_wsgi)
    call_direct = staticmethod(call_direct)
    environ_of = staticmethod(environ_of)

    def __init__(self) -> None:
        self.flask = _flask()
        self.carboy = _carboy()

    def run(
        self, fl: Any, call: Callable[[Any, Any], Seen], build: Build, requests: tuple[Any, ...]
    ) -> tuple[list[Seen], list[Any]]:
        log: list[Any] = []
        app = build(fl, log)
        jar = Jar()
        found = []
        for item in requests:
            req = Req(item) if isinstance(item, str) else item
            seen = call(app, jar.add_to(req))
            jar.keep(seen)
            found.append(seen)
        return found, log

    def __call__(self, build: Build, *requests: Any, status: int | None = None) -> list[Seen]:
        """Compare `build(namespace, log)` on all lanes; returns the answers of Flask.

        `status` is the expected status of the last request, so that a scenario that fails in the
        same way on every side does not pass. The clock is stopped meanwhile: a session cookie
        carries the second in which it was signed.
        """
        now = time.time()
        with mock.patch("time.time", lambda: now):
            return self._compare(build, requests, status)

    def _compare(self, build: Build, requests: tuple[Any, ...], status: int | None) -> list[Seen]:
        asked = requests * ROUNDS
        expected, expected_log = self.run(self.flask, call_wsgi, build, asked)
        for lane, call in LANES.items():
            found, log = self.run(self.carboy, call, build, asked)
            for number, (item, mine, theirs) in enumerate(zip(asked, found, expected, strict=True)):
                assert normal(mine) == normal(theirs), f"{lane}, request {number}: {item}"
            assert log == expected_log, lane
        if status is not None:
            assert int(expected[len(requests) - 1].status[:3]) == status
        return expected[: len(requests)]


def scenario(*requests: Any, status: int | None = None) -> Callable[[Build], Callable[..., None]]:
    """Make a test of a function that builds an application: `build(namespace, log)`."""

    def made(build: Build) -> Callable[..., None]:
        def test(pair: Pair) -> None:
            pair(build, *requests, status=status)

        test.__name__ = build.__name__
        return test

    return made


def alike(question: Callable[[Any], Any]) -> Callable[..., None]:
    """Make a test of a function: with either namespace, its results have to be the same.

    An exception is an answer too, by its type.
    """

    def test(pair: Pair) -> None:
        theirs = outcome(lambda: question(pair.flask))
        assert outcome(lambda: question(pair.carboy)) == theirs

    test.__name__ = question.__name__
    return test
