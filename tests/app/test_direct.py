"""The direct lane: what it leaves out never shows."""

from __future__ import annotations

import io
import sys
import weakref

import pytest

import carboy
from carboy.app import direct
from carboy.gateway.interface import DirectApplication

VIEWS = {
    "text": lambda: "a",
    "bytes": lambda: b"a",
    "dict": lambda: {"b": 1, "a": "é"},
    "list": lambda: [1],
    "status": lambda: ("a", 201),
    "dict and status": lambda: ({"a": 1}, 404),
    "no content": lambda: ("a", 204),
    "informational": lambda: ("a", 103),
    "unknown status": lambda: ("a", 599),
    "beyond": lambda: ("a", 700),
    "true for a status": lambda: ("a", True),
    "headers": lambda: ("a", {"X": "y"}),
    "response": lambda: carboy.Response("r", 202),
    "jsonify": lambda: carboy.jsonify(1),
    "jsonify and status": lambda: (carboy.jsonify(id=7), 201),
    "made response and status": lambda: (carboy.make_response("a"), 202),
    "redirect and status": lambda: (carboy.redirect("/else"), 301),
    "iterator and status": lambda: (iter(["a", "b"]), 206),
    "status and headers": lambda: ("a", 201, {"X": "y"}),
    "response, status and headers": lambda: (carboy.jsonify(1), 418, [("X", "y")]),
    "error": lambda: 1 // 0,
    "nothing": lambda: None,
    "nothing and status": lambda: (None, 200),
    "surrogate": lambda: "\ud800",
    "loop": lambda: LOOP,
}
LOOP: list[object] = []
LOOP.append(LOOP)


class OwnResponse(carboy.Response):
    default_mimetype = "text/x-own"


class OwnJSON(carboy.app.json.provider.DefaultJSONProvider):
    mimetype = "application/own"


SETTINGS = {
    "stock": lambda app: None,
    "own response": lambda app: setattr(app, "response_class", OwnResponse),
    "own json": lambda app: setattr(app, "json", OwnJSON(app)),
    "json attributes": lambda app: setattr(app.json, "mimetype", "application/attribute"),
    "debug": lambda app: setattr(app, "debug", True),
    "secret key": lambda app: setattr(app, "secret_key", "k"),
    "after": lambda app: app.after_request(lambda response: response),
    "before": lambda app: app.before_request(lambda: None),
    "teardown": lambda app: app.teardown_request(lambda exc: None),
    "handler": lambda app: app.register_error_handler(Exception, lambda e: ("handled", 418)),
}


@pytest.mark.parametrize("setting", SETTINGS)
def test_the_quick_way_and_the_long_way_answer_alike(pair, setting) -> None:
    for name, view in VIEWS.items():
        answers = []
        for quick in (True, False):
            app = carboy.Carboy("scenario")
            SETTINGS[setting](app)
            app.config["PROPAGATE_EXCEPTIONS"] = False
            app.add_url_rule("/", "v", view)
            app._plan.quick = quick
            for method in ("GET", "HEAD"):
                answers.append(pair.call_direct(app, pair.Req("/", method)))
        assert answers[:2] == answers[2:], name


def test_what_takes_the_quick_way_is_what_should(pair, monkeypatch) -> None:
    ways: list[str] = []
    monkeypatch.setattr(
        direct, "_long", lambda *args: ways.append("long") or ("200 OK", [], b"", None)
    )
    app = carboy.Carboy("scenario")
    app.add_url_rule("/", "v", lambda: ways.append("quick") or "a")
    pair.call_direct(app, pair.Req("/"))
    pair.call_direct(app, pair.Req("/missing"))
    pair.call_direct(app, pair.Req("/", "OPTIONS"))
    app.process_response = app.process_response
    pair.call_direct(app, pair.Req("/"))
    del app.process_response
    with app.app_context():
        pair.call_direct(app, pair.Req("/"))
    assert ways == ["quick", "long", "long", "long", "long"]


def test_the_application_is_one_a_server_may_call_directly() -> None:
    app = carboy.Carboy("scenario")
    assert isinstance(app, DirectApplication)
    assert app.direct_ready()


def test_a_wrapped_application_is_not_called_directly() -> None:
    app = carboy.Carboy("scenario")
    assert app.direct_ready()
    app.wsgi_app = lambda environ, start_response: []
    assert not app.direct_ready()

    class Own(carboy.Carboy):
        def __call__(self, environ, start_response):
            return super().__call__(environ, start_response)

    assert not Own("scenario").direct_ready()


def test_matching_gives_the_dispatch_key_and_runs_nothing(pair) -> None:
    app = carboy.Carboy("scenario")
    app.add_url_rule("/<int:n>", "item", lambda n: 1 // 0)
    exchange = pair.FakeExchange(pair.Req("/5"))
    assert app.direct_prepare(exchange) is None  # this host has not been seen yet
    app._plan.hosts.add("localhost")
    assert app.direct_prepare(exchange) == "item"
    assert exchange.match[1] == {"n": 5}
    assert app.direct_body_limit(exchange) is None
    app.config["MAX_CONTENT_LENGTH"] = 5
    assert app.direct_body_limit(exchange) is None
    assert app.direct_wants_stream(exchange) is False
    # Over the limit the view runs with the content unread: Flask's raises where it is read.
    exchange.head.content_length = 6
    assert app.direct_body_limit(exchange) is None
    assert app.direct_wants_stream(exchange) is True


def test_hosts_are_remembered_up_to_a_bound(pair) -> None:
    app = carboy.Carboy("scenario")
    app.add_url_rule("/", "v", lambda: "a")
    for number in range(direct.MAX_HOSTS + 50):
        app._plan.learn_host(carboy.Request(pair.environ_of(pair.Req("/", host=f"h{number}"))))
    assert len(app._plan.hosts) == direct.MAX_HOSTS


def test_a_host_that_is_none_is_never_remembered(pair) -> None:
    app = carboy.Carboy("scenario")
    app.add_url_rule("/", "v", lambda: "a")
    assert pair.call_direct(app, pair.Req("/", host="a..b")).status == "400 BAD REQUEST"
    assert "a..b" not in app._plan.hosts


def test_a_request_without_a_host_takes_the_quick_way_too(pair) -> None:
    app = carboy.Carboy("scenario")
    app.add_url_rule("/", "v", lambda: "a")
    for expected in (None, "v"):
        exchange = pair.FakeExchange(pair.Req("/", host=""))
        assert app.direct_prepare(exchange) == expected
        assert app.direct_handle(exchange)[2] == b"a"


def test_no_environ_is_built_for_a_view_that_does_not_ask(pair, monkeypatch) -> None:
    app = carboy.Carboy("scenario")
    app.secret_key = "k"
    app.add_url_rule("/", "v", lambda: carboy.request.headers["X-A"] + carboy.request.url)
    app.add_url_rule("/url", "u", lambda: carboy.url_for("v", _external=True))
    app.add_url_rule("/s", "s", lambda: carboy.session.setdefault("a", "s"))
    monkeypatch.setattr(pair.FakeExchange, "environ", lambda self: 1 // 0)
    for path in ("/", "/url", "/s", "/missing"):
        seen = pair.call_direct(app, pair.Req(path, headers={"X-A": "x"}))
        assert seen.status[:3] in {"200", "404"}, seen


def test_uploaded_files_are_closed_after_the_request(pair) -> None:
    app = carboy.Carboy("scenario")
    kept = []

    @app.post("/")
    def view():
        kept.append(carboy.request.files["f"].stream)
        return "a"

    upload = b'--b\r\nContent-Disposition: form-data; name="f"; filename="n"\r\n\r\nx\r\n--b--\r\n'
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    for call in (pair.call_wsgi, pair.call_direct):
        assert call(app, pair.Req("/", "POST", headers, upload)).body == b"a"
    assert [stream.closed for stream in kept] == [True, True]


def test_requests_do_not_wait_for_the_garbage_collector(pair) -> None:
    app = carboy.Carboy("scenario")
    seen: list[weakref.ref[object]] = []

    @app.route("/")
    def view():
        request = carboy.request._get_current_object()
        seen.append(weakref.ref(request))
        return request.environ["PATH_INFO"] + str(carboy.g)[:0]

    @app.route("/boom")
    def boom():
        seen.append(weakref.ref(carboy.request._get_current_object()))
        return "x"

    for path in ("/", "/boom"):
        exchange = pair.FakeExchange(pair.Req(path))
        app._plan.hosts.add("localhost")
        app.direct_prepare(exchange)
        app.direct_handle(exchange)
        del exchange
    assert [each() for each in seen] == [None, None]


def test_a_system_exit_of_a_view_passes_through_and_cleans_up(pair) -> None:
    app = carboy.Carboy("scenario")
    ended = []
    app.teardown_request(lambda exc: ended.append(type(exc)))
    app.add_url_rule("/", "v", sys.exit)
    for call in (pair.call_wsgi, pair.call_direct):
        with pytest.raises(SystemExit):
            call(app, pair.Req("/"))
        assert not carboy.has_app_context()
    assert ended == [SystemExit, SystemExit]


def test_assigning_to_the_application_makes_a_new_plan() -> None:
    app = carboy.Carboy("scenario")
    first = app._plan
    app.anything = 1
    assert app._plan is first
    for name in ("request_class", "json", "session_interface", "url_map", "make_response"):
        before = app._plan
        setattr(app, name, getattr(app, name))
        assert app._plan is not before, name


def test_a_response_that_writes_imperatively_is_answered(pair, monkeypatch) -> None:
    written: list[object] = []

    class Writing(carboy.Response):
        def __call__(self, environ, start_response):
            write = start_response("200 OK", [("X-A", "b")])
            write(b"first")
            return [b"second"]

    app = carboy.Carboy("scenario")
    app.add_url_rule("/", "v", Writing)
    monkeypatch.setattr(
        pair.FakeExchange,
        "start",
        lambda self, status, headers: written.append((status, headers)) or written.append,
    )
    assert pair.call_direct(app, pair.Req("/")).body == b"second"
    assert written == [("200 OK", [("X-A", "b")]), b"first"]


@pytest.mark.parametrize(
    "function",
    [len, lambda: 1, str.upper, object().__str__, print, io.BytesIO],
)
def test_what_is_no_coroutine_function_is_none(function) -> None:
    assert not direct.is_coroutine_function(function)


def test_coroutine_functions_are_recognized_as_inspect_does() -> None:
    import functools
    import inspect

    async def plain(self=None):
        return 1

    async def generator():
        yield 1

    class Own:
        method = plain

        async def __call__(self):
            return 1

    for each in (
        plain,
        Own().method,
        functools.partial(plain),
        functools.partial(functools.partial(Own().method)),
        generator,
        Own(),
        Own,
    ):
        assert direct.is_coroutine_function(each) == inspect.iscoroutinefunction(each)
