"""Shortcuts of the request cycle have no visible effect and end when the application changes."""

from __future__ import annotations

import io
import sys
import weakref

import pytest

import carboy
from carboy.app import plan
from carboy.gateway.interface import DirectApplication
from live_engine import served
from scenarios import normal

LOOP: list[object] = []
LOOP.append(LOOP)


def views_of(fl):
    return {
        "text": lambda: "a",
        "bytes": lambda: b"a",
        "dict": lambda: {"b": 1, "a": "é"},
        "list": lambda: [1],
        "status": lambda: ("a", 201),
        "dict and status": lambda: ({"a": 1}, 404),
        "no content": lambda: ("a", 204),
        "unknown status": lambda: ("a", 599),
        "beyond": lambda: ("a", 700),
        "true for a status": lambda: ("a", True),
        "headers": lambda: ("a", {"X": "y"}),
        "response": lambda: fl.Response("r", 202),
        "jsonify": lambda: fl.jsonify(1),
        "jsonify and status": lambda: (fl.jsonify(id=7), 201),
        "made response and status": lambda: (fl.make_response("a"), 202),
        "redirect and status": lambda: (fl.redirect("/else"), 301),
        "iterator and status": lambda: (iter(["a", "b"]), 206),
        "status and headers": lambda: ("a", 201, {"X": "y"}),
        "response, status and headers": lambda: (fl.jsonify(1), 418, [("X", "y")]),
        "raised page": lambda: fl.abort(410),
        "raised page with text": lambda: fl.abort(400, "why"),
        "returned page": fl.exceptions.Conflict,
        "page and status": lambda: (fl.exceptions.Gone(), 409),
        "page with a field": lambda: fl.exceptions.MethodNotAllowed(["PUT"]),
        "error": lambda: 1 // 0,
        "nothing": lambda: None,
        "nothing and status": lambda: (None, 200),
        "surrogate": lambda: "\ud800",
        "loop": lambda: LOOP,
        "empty tuple": lambda: (),
    }


def own_response(fl, app):
    class Own(fl.Response):
        default_mimetype = "text/x-own"

    app.response_class = Own


def own_json(fl, app):
    class Own(fl.provider.DefaultJSONProvider):
        mimetype = "application/own"

    app.json = Own(app)


def own_errors(fl, app):
    app.register_error_handler(Exception, lambda e: ("handled", 418))


SETTINGS = {
    "stock": lambda fl, app: None,
    "own response": own_response,
    "own json": own_json,
    "json attributes": lambda fl, app: setattr(app.json, "mimetype", "application/attribute"),
    "debug": lambda fl, app: setattr(app, "debug", True),
    "secret key": lambda fl, app: setattr(app, "secret_key", "k"),
    "after": lambda fl, app: app.after_request(lambda response: response),
    "before": lambda fl, app: app.before_request(lambda: None),
    "teardown": lambda fl, app: app.teardown_request(lambda exc: None),
    "handler": own_errors,
}


@pytest.mark.parametrize("setting", SETTINGS)
def test_return_values_are_answered_alike_whatever_else_is_set(pair, setting) -> None:
    def build(fl, log):
        app = fl.Flask("scenario")
        SETTINGS[setting](fl, app)
        app.config["PROPAGATE_EXCEPTIONS"] = False
        app.json.sort_keys = True
        for number, view in enumerate(views_of(fl).values()):
            app.add_url_rule(f"/{number}", f"v{number}", view)
        return app

    paths = [f"/{number}" for number in range(len(views_of(pair.carboy)))]
    pair(build, *paths, *(pair.Req(path, "HEAD") for path in paths))


# --- patches ---------------------------------------------------------------------------


def own_dispatch(self):
    return "patched"


def own_entry(self, environ, start_response):
    start_response("203 OWN", [("Content-Type", "text/plain")])
    return [b"patched"]


PATCHES = {
    "dispatch_request": lambda fl, app: (fl.Flask, "dispatch_request", own_dispatch),
    "wsgi_app": lambda fl, app: (fl.Flask, "wsgi_app", own_entry),
    "__call__": lambda fl, app: (fl.Flask, "__call__", own_entry),
    "full_dispatch_request": lambda fl, app: (
        fl.Flask,
        "full_dispatch_request",
        lambda self: fl.Response("patched", 203),
    ),
    "preprocess_request": lambda fl, app: (
        fl.Flask,
        "preprocess_request",
        lambda self: "before the view",
    ),
    "make_response": lambda fl, app: (
        fl.Flask,
        "make_response",
        lambda self, rv: fl.Response(f"made of {rv}"),
    ),
    "process_response": lambda fl, app: (
        fl.Flask,
        "process_response",
        lambda self, response: fl.Response("processed"),
    ),
    "finalize_request": lambda fl, app: (
        fl.Flask,
        "finalize_request",
        lambda self, rv, from_error_handler=False: fl.Response(f"final {rv}"),
    ),
    "ensure_sync": lambda fl, app: (
        fl.Flask,
        "ensure_sync",
        lambda self, function: lambda **values: "instead",
    ),
    "handle_user_exception": lambda fl, app: (
        fl.Flask,
        "handle_user_exception",
        lambda self, error: f"user {type(error).__name__}",
    ),
    "handle_http_exception": lambda fl, app: (
        fl.Flask,
        "handle_http_exception",
        lambda self, error: f"http {type(error).__name__}",
    ),
    "trap_http_exception": lambda fl, app: (fl.Flask, "trap_http_exception", lambda self, e: True),
    "raise_routing_exception": lambda fl, app: (
        fl.Flask,
        "raise_routing_exception",
        lambda self, request: fl.abort(418),
    ),
    "handle_exception": lambda fl, app: (
        fl.Flask,
        "handle_exception",
        lambda self, error: fl.Response(f"last {type(error).__name__}", 500),
    ),
    "create_url_adapter": lambda fl, app: (
        fl.Flask,
        "create_url_adapter",
        lambda self, request: self.url_map.bind("other", path_info="/json"),
    ),
    "default_mimetype": lambda fl, app: (fl.Response, "default_mimetype", "text/x-own"),
    "default_status": lambda fl, app: (fl.Response, "default_status", 202),
    "get_wsgi_headers": lambda fl, app: (
        fl.Response,
        "get_wsgi_headers",
        lambda self, environ: fl.Headers([("X-Own", "headers")]),
    ),
    "json.dumps of the application": lambda fl, app: (
        app.json,
        "dumps",
        lambda obj, **kwargs: "patched",
    ),
    "json.response of the application": lambda fl, app: (
        app.json,
        "response",
        lambda *args, **kwargs: fl.Response("response"),
    ),
    "dumps of the provider": lambda fl, app: (
        fl.provider.DefaultJSONProvider,
        "dumps",
        lambda self, obj, **kwargs: "patched",
    ),
    "get_body": lambda fl, app: (
        fl.exceptions.HTTPException,
        "get_body",
        lambda self, environ=None, scope=None: "own page",
    ),
    "get_response": lambda fl, app: (
        fl.exceptions.NotFound,
        "get_response",
        lambda self, *args: fl.Response("own", 404),
    ),
    "description": lambda fl, app: (fl.exceptions.NotFound, "description", "elsewhere"),
    "open_session": lambda fl, app: (
        fl.sessions.SecureCookieSessionInterface,
        "open_session",
        lambda self, app, request: fl.abort(503),
    ),
    "a method of the application": lambda fl, app: (app, "dispatch_request", lambda: "patched"),
    "make_response of the application": lambda fl, app: (
        app,
        "make_response",
        lambda rv: fl.Response("patched"),
    ),
    "response_class": lambda fl, app: (app, "response_class", fl.BaseResponse),
    "a view": lambda fl, app: (app, "view_functions", {**app.view_functions, "v": lambda: "new"}),
}


@pytest.mark.parametrize("patch", PATCHES)
def test_a_patch_has_effect_from_the_next_request_until_it_is_undone(pair, patch) -> None:
    paths = ["/", "/json", "/missing", "/boom"]

    def run(fl, call):
        app = fl.Flask("scenario")
        app.config["PROPAGATE_EXCEPTIONS"] = False
        app.add_url_rule("/", "v", lambda: "a")
        app.add_url_rule("/json", "j", lambda: {"a": 1})
        app.add_url_rule("/boom", "b", lambda: 1 // 0)

        def ask():
            return [normal(call(app, pair.Req(path))) for path in paths]

        seen = [ask(), ask()]
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(*PATCHES[patch](fl, app))
            seen += [ask(), ask()]
        return [*seen, ask()]

    expected = run(pair.flask, pair.call_wsgi)
    for call in (pair.call_wsgi, pair.call_direct):
        if patch in {"wsgi_app", "__call__"} and call is pair.call_direct:
            continue  # a server takes the other lane then: see below, over a socket
        assert run(pair.carboy, call) == expected, call


@pytest.mark.parametrize("patch", PATCHES)
def test_a_patch_has_effect_over_a_socket_too(pair, patch) -> None:
    fl = pair.carboy
    app = fl.Flask("scenario")
    app.config["PROPAGATE_EXCEPTIONS"] = False
    app.add_url_rule("/", "v", lambda: "a")
    app.add_url_rule("/json", "j", lambda: {"a": 1})
    app.add_url_rule("/boom", "b", lambda: 1 // 0)

    paths = ["/", "/json", "/missing", "/boom"]
    with served(app) as live, live.client() as client:

        def by_socket(path):
            client.request("GET", path)
            reply = client.reply()
            return reply.status, reply.body

        for path in paths * 3:
            by_socket(path)
        before = [by_socket(path) for path in paths]
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(*PATCHES[patch](fl, app))
            during = [by_socket(path) for path in paths]
            expected = [pair.call_wsgi(app, pair.Req(path)) for path in paths]
            assert during == [(int(seen.status[:3]), seen.body) for seen in expected]
        assert [by_socket(path) for path in paths] == before


def test_a_host_removed_from_trusted_hosts_is_refused_at_once(pair) -> None:
    app = carboy.Carboy("scenario")
    app.add_url_rule("/", "v", lambda: carboy.request.host)
    for call in (pair.call_wsgi, pair.call_direct):
        for trusted, status in [
            (None, "200 OK"),
            (["localhost"], "200 OK"),
            (["example.com"], "400 BAD REQUEST"),
            (["localhost", "example.com"], "200 OK"),
        ]:
            app.config["TRUSTED_HOSTS"] = trusted
            for _ in range(3):
                assert call(app, pair.Req("/")).status == status
        app.config["TRUSTED_HOSTS"].remove("localhost")
        assert call(app, pair.Req("/")).status == "400 BAD REQUEST"


def test_a_server_may_call_an_application_directly() -> None:
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
    assert app.direct_prepare(exchange) == app.url_map._rules_by_endpoint["item"][0]._key
    assert exchange.match[1] == {"n": 5}
    assert app.direct_body_limit(exchange) is None
    app.config["MAX_CONTENT_LENGTH"] = 5
    assert app.direct_body_limit(exchange) is None
    assert app.direct_wants_stream(exchange) is False
    # Over the limit the view runs with the content unread: Flask's raises where it is read.
    exchange.head.content_length = 6
    assert app.direct_body_limit(exchange) is None
    assert app.direct_wants_stream(exchange) is True


KEYED = {
    "plain": {},
    "trusted hosts": {"TRUSTED_HOSTS": ["localhost", ".example.com"]},
    "server name": {"SERVER_NAME": "example.com"},
}


@pytest.mark.parametrize("setting", [*KEYED, "subdomains", "host matching"])
def test_every_rule_has_its_own_dispatch_key_in_every_configuration(pair, setting) -> None:
    matching = setting == "host matching"
    app = carboy.Carboy(
        "scenario",
        host_matching=matching,
        static_host="example.com" if matching else None,
        subdomain_matching=setting == "subdomains",
    )
    app.config.update(KEYED.get(setting, {"SERVER_NAME": "example.com"}))
    place = {"host": "a.example.com"} if matching else {"subdomain": "a"}
    where = place if setting in {"subdomains", "host matching"} else {}
    for name in ("slow", "quick"):
        app.add_url_rule(f"/{name}", name, lambda: "a", **where)
        app.add_url_rule(f"/{name}/<int:n>", f"{name} n", lambda n: "a", **where)
        app.add_url_rule(f"/{name}/<n>/own", f"{name} own", lambda n: "a", **where)

    def key(path, host="a.example.com"):
        return app.direct_prepare(pair.FakeExchange(pair.Req(path, host=host)))

    for _ in range(3):
        paths = [
            f"/{name}{rest}" for name in ("slow", "quick") for rest in ("", "/1", "/x/own", "//")
        ]
        keys = [key(path) for path in paths]
        assert None not in keys
        assert len(set(keys)) == 7  # both doubled slashes lead to no rule
        assert key("/slow/1") == key("/slow/2")
        assert key("/nowhere") == key("/or/here") == plan.NO_RULE
        if setting in {"plain", "trusted hosts"}:
            assert key("/slow", host="a..b") == plan.NO_HOST


def test_a_limited_number_of_hosts_is_remembered(pair) -> None:
    app = carboy.Carboy("scenario")
    app.add_url_rule("/", "v", lambda: "a")
    for number in range(plan.MAX_HOSTS + 50):
        app.direct_prepare(pair.FakeExchange(pair.Req("/", host=f"h{number}")))
    assert len(app._plan.domains) == plan.MAX_HOSTS


def test_an_invalid_host_is_not_remembered(pair) -> None:
    app = carboy.Carboy("scenario")
    app.add_url_rule("/", "v", lambda: "a")
    assert pair.call_direct(app, pair.Req("/", host="a..b")).status == "400 BAD REQUEST"
    assert "a..b" not in app._plan.domains


def test_a_converter_of_the_application_runs_within_the_contexts(pair) -> None:
    def build(fl, log):
        class Own(fl.routing.BaseConverter):
            def to_python(self, value):
                log.append(fl.current_app.name)
                if value == "no":
                    raise fl.routing.ValidationError
                return value.upper() + fl.request.method

        app = fl.Flask("scenario")
        app.url_map.converters["own"] = Own
        app.add_url_rule("/<own:value>", "v", lambda value: value)
        app.add_url_rule("/<int:n>/<own:value>", "w", lambda n, value: f"{n} {value}")
        return app

    pair(build, "/a", "/no", "/1/b", "/x/b")


def test_no_environ_is_built_for_a_view_that_does_not_use_it(pair, monkeypatch) -> None:
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
def test_functions_that_are_not_coroutine_functions(function) -> None:
    assert not plan.is_coroutine_function(function)


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
        assert plan.is_coroutine_function(each) == inspect.iscoroutinefunction(each)
