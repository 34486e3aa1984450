"""The request cycle: return values, hooks, errors; on Flask and on every lane of Carboy."""

from __future__ import annotations

import pytest


@pytest.fixture
def returning(pair):
    """Compare the responses for a return value of a view."""

    def check(make, status, **request):
        def build(fl, log):
            app = fl.Flask("scenario")
            app.logger.propagate = False

            @app.route("/", methods=["GET", "POST"])
            def view():
                return make(fl)

            return app

        return pair(build, pair.Req(**request), status=status)

    return check


RETURNS = {
    "text": (lambda fl: "a", 200),
    "text beyond ascii": (lambda fl: "é€", 200),
    "empty text": (lambda fl: "", 200),
    "bytes": (lambda fl: b"\xff", 200),
    "bytearray": (lambda fl: bytearray(b"q"), 200),
    "a dict": (lambda fl: {"b": 1, "a": [1.5, None, "é"]}, 200),
    "an empty dict": (lambda fl: {}, 200),
    "a list": (lambda fl: [1, {"z": 1, "a": 2}], 200),
    "an iterator": (lambda fl: iter(["a", "b"]), 200),
    "a generator of bytes": (lambda fl: (piece for piece in [b"a", b"b"]), 200),
    "text and status": (lambda fl: ("a", 201), 201),
    "dict and status": (lambda fl: ({"a": 1}, 418), 418),
    "an unknown status": (lambda fl: ("a", 599), 599),
    "status as text": (lambda fl: ("a", "201 Made"), 201),
    "status as text without a reason": (lambda fl: ("a", "404"), 404),
    "text and a dict of headers": (lambda fl: ("a", {"X-A": "b"}), 200),
    "a header with several values": (lambda fl: ("a", {"X-A": ["b", "c"]}), 200),
    "a list of headers": (lambda fl: ("a", [("X-A", "b"), ("X-A", "c")]), 200),
    "a tuple of headers": (lambda fl: ("a", (("X-A", "b"),)), 200),
    "a Headers object": (lambda fl: ("a", fl.Headers([("X-A", "b"), ("X-A", "c")])), 200),
    "text, status and headers": (lambda fl: ("a", 202, {"Content-Type": "text/x"}), 202),
    "text, None and headers": (lambda fl: ("a", None, {"X-A": "w"}), 200),
    "text, status and None": (lambda fl: ("a", 203, None), 203),
    "a response": (lambda fl: fl.Response("z", 207, {"X-A": "1"}), 207),
    "a response and headers": (
        lambda fl: (fl.Response("z", headers={"X-A": "1"}), {"X-A": "2"}),
        200,
    ),
    "a response of the base class": (lambda fl: fl.BaseResponse("z", 201), 201),
    "an http exception": (lambda fl: fl.exceptions.NotFound("gone"), 404),
    "a WSGI callable": (
        lambda fl: lambda environ, start: start("202 X", [("X-A", "b")]) and None or [b"wsgi"],
        202,
    ),
    "no content": (lambda fl: ("", 204), 204),
    "not modified": (lambda fl: ("", 304), 304),
    "nothing": (lambda fl: None, 500),
    "nothing with a status": (lambda fl: (None, 200), 500),
    "a number": (lambda fl: 5, 500),
    "True": (lambda fl: True, 500),
    "a memoryview": (lambda fl: memoryview(b"z"), 500),
    "an object": (lambda fl: object(), 500),
    "a tuple of one": (lambda fl: ("a",), 500),
    "a tuple of four": (lambda fl: (1, 2, 3, 4), 500),
    "text that cannot be encoded": (lambda fl: "\ud800", 500),
    "a dict that JSON cannot write": (lambda fl: {"a": object()}, 500),
    "a date in a dict": (lambda fl: {"at": __import__("datetime").date(2020, 2, 3)}, 200),
    "jsonify of keywords": (lambda fl: fl.jsonify(b=1, a=2), 200),
    "jsonify of several": (lambda fl: fl.jsonify(1, 2), 200),
    "jsonify of nothing": (lambda fl: fl.jsonify(), 200),
    "make_response of nothing": (lambda fl: fl.make_response(), 200),
    "make_response of text and status": (lambda fl: fl.make_response("a", 203), 203),
    "make_response of a tuple": (lambda fl: fl.make_response(("a", {"X-A": "1"})), 200),
    "a redirect": (lambda fl: fl.redirect("/x?a=é"), 302),
    "a redirect with a code": (lambda fl: fl.redirect("http://b/c", 308), 308),
}


@pytest.mark.parametrize("name", RETURNS)
def test_a_return_value_becomes_the_same_response(returning, name) -> None:
    make, status = RETURNS[name]
    returning(make, status)


@pytest.mark.parametrize("name", ["text", "a dict", "text and status", "an iterator"])
def test_head_has_the_headers_of_get_and_no_content(returning, name) -> None:
    make, status = RETURNS[name]
    (seen,) = returning(make, status, method="HEAD")
    assert seen.body == b""


def test_options_is_answered_with_the_methods(returning) -> None:
    (seen,) = returning(lambda fl: "a", 200, method="OPTIONS")
    assert set(seen.get("Allow").split(", ")) == {"GET", "HEAD", "OPTIONS", "POST"}


def test_a_method_that_is_not_allowed_is_refused(returning) -> None:
    returning(lambda fl: "a", 405, method="DELETE")


def test_a_lower_case_method_is_the_same_method(returning) -> None:
    returning(lambda fl: fl.request.method, 200, method="get")


def test_a_view_may_answer_options_itself(pair) -> None:
    def build(fl, log):
        app = fl.Flask("scenario")

        @app.route("/own", methods=["GET", "OPTIONS"])
        def own():
            return fl.request.method

        @app.route("/none", provide_automatic_options=False)
        def none():
            return "a"

        @app.route("/attribute", methods=["GET"])
        def attribute():
            return "a"

        def required():
            return fl.request.method

        required.required_methods = ["PURGE"]
        required.methods = ["GET"]
        required.provide_automatic_options = False
        app.add_url_rule("/required", view_func=required)
        return app

    pair(
        build,
        pair.Req("/own", "OPTIONS"),
        pair.Req("/none", "OPTIONS"),
        pair.Req("/required", "PURGE"),
        pair.Req("/required", "OPTIONS"),
        pair.Req("/attribute", "OPTIONS"),
        status=200,
    )


PATHS = [
    "/",
    "/fixed",
    "/fixed/",
    "/branch",
    "/branch/",
    "/branch//",
    "//fixed",
    "/a//b",
    "/int/7",
    "/int/-7",
    "/int/x",
    "/float/1.5",
    "/text/h%C3%A9llo",
    "/text/a%2Fb",
    "/text/%ff",
    "/path/a/b/c",
    "/any/one",
    "/any/three",
    "/uuid/12345678-1234-5678-1234-567812345678",
    "/default",
    "/default/1",
    "/default/2",
    "/q?a=1&a=2&b=%C3%A9",
    "/sub/x?next=1",
    "/static/nothing.txt",
    "/to/5",
]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_url_finds_the_same_view(pair, path, method) -> None:
    def build(fl, log):
        app = fl.Flask("scenario")

        def show(**args):
            request = fl.request
            return {
                "rule": str(request.url_rule),
                "endpoint": request.endpoint,
                "args": {key: repr(value) for key, value in args.items()},
                "same": request.view_args == args,
                "path": request.path,
                "url": request.url,
                "query": request.args.to_dict(flat=False),
            }

        for number, rule in enumerate(
            [
                "/fixed",
                "/branch/",
                "/int/<int:n>",
                "/float/<float:n>",
                "/text/<name>",
                "/path/<path:name>",
                "/any/<any(one, two):which>",
                "/uuid/<uuid:u>",
                "/q",
                "/sub/<x>/",
                "/a/b",
            ]
        ):
            app.add_url_rule(rule, f"e{number}", show)
        app.add_url_rule("/post", "post", show, methods=["POST"])
        app.add_url_rule("/default/<int:n>", "default", show)
        app.add_url_rule("/default", "default", show, defaults={"n": 1})
        app.add_url_rule("/to/<int:n>", "to", show, redirect_to="/int/<n>")
        return app

    pair(build, pair.Req(path, method))


def hooked(fl, log, fail=(), answer=()):
    """An application with two nested blueprints and hooks of every kind, which log their calls."""
    app = fl.Flask("scenario")
    outer = fl.Blueprint("outer", "scenario", url_prefix="/outer")
    inner = fl.Blueprint("inner", "scenario", url_prefix="/inner")

    def note(text):
        log.append(text)
        if text in fail:
            raise ValueError(text)
        return text if text in answer else None

    def after(text):
        def hook(response):
            note(text)
            response.headers.add("X-After", text)
            return response

        return hook

    for owner, name in ((app, "app"), (outer, "outer"), (inner, "inner")):
        for number in (1, 2):
            owner.before_request(lambda name=name, number=number: note(f"before {name} {number}"))
            owner.after_request(after(f"after {name} {number}"))
            owner.teardown_request(
                lambda exc, name=name, number=number: log.append(
                    f"teardown {name} {number} {exc!r}"
                )
            )
        owner.url_value_preprocessor(
            lambda endpoint, args, name=name: log.append(f"values {name} {endpoint} {args}")
        )
    for owner, name in ((outer, "outer"), (inner, "inner")):
        owner.before_app_request(lambda name=name: note(f"before all by {name}"))
        owner.after_app_request(after(f"after all by {name}"))
        owner.teardown_app_request(lambda exc, name=name: log.append(f"teardown all by {name}"))
    app.teardown_appcontext(lambda exc: log.append(f"teardown context 1 {exc!r}"))
    app.teardown_appcontext(lambda exc: log.append(f"teardown context 2 {exc!r}"))

    def view(**args):
        fl.after_this_request(after("after this"))
        note("view")
        return "body"

    app.add_url_rule("/", "view", view)
    outer.add_url_rule("/", "view", view)
    inner.add_url_rule("/<int:n>", "view", view)
    outer.register_blueprint(inner)
    app.register_blueprint(outer)
    return app


HOOKED_PATHS = ["/", "/outer/", "/outer/inner/3", "/nothing", "/outer/nothing"]


@pytest.mark.parametrize("path", HOOKED_PATHS)
def test_hooks_run_in_the_same_order(pair, path) -> None:
    pair(hooked, path)


@pytest.mark.parametrize("path", HOOKED_PATHS)
@pytest.mark.parametrize(
    "where", ["before app 2", "before outer 1", "before inner 2", "before all by inner"]
)
def test_a_hook_that_returns_a_value_replaces_the_view(pair, path, where) -> None:
    pair(lambda fl, log: hooked(fl, log, answer={where}), path)


@pytest.mark.parametrize("path", HOOKED_PATHS)
@pytest.mark.parametrize(
    "where",
    ["view", "before app 2", "before inner 1", "after outer 2", "after app 1", "after this"],
)
def test_a_hook_that_fails_causes_a_500_and_later_hooks_run(pair, path, where) -> None:
    def build(fl, log):
        app = hooked(fl, log, fail={where})
        app.logger.propagate = False
        app.logger.handlers[:] = [__import__("logging").NullHandler()]
        return app

    pair(build, path)


@pytest.mark.parametrize("where", ["view", "before app 1", "after app 1"])
def test_an_error_handler_handles_the_error_of_a_hook(pair, where) -> None:
    def build(fl, log):
        app = hooked(fl, log, fail={where})
        app.logger.handlers[:] = [__import__("logging").NullHandler()]

        @app.errorhandler(ValueError)
        def handler(error):
            log.append(f"handler {error}")
            return f"handled {error}", 409

        return app

    pair(build, "/", "/outer/inner/3")


HANDLERS = {
    "code on the blueprint": ["bp 404", "app 404", "app HTTPException", "app Exception"],
    "code on the application": ["app 404", "bp HTTPException", "app Exception"],
    "class on the blueprint": ["bp HTTPException", "app HTTPException", "app Exception"],
    "class on the application": ["app HTTPException"],
    "Exception takes HTTP errors too": ["app Exception"],
    "a code beats a class nearer by": ["bp Exception", "app 404", "app 500"],
    "500": ["app 500"],
    "500 on the blueprint": ["bp 500", "app 500"],
    "500 and Exception": ["app 500", "app Exception"],
    "own class": ["app Own", "app Exception"],
    "base of the own class": ["app LookupError", "app Exception"],
    "blueprint's base before the application's class": ["bp LookupError", "app Own"],
    "an own class with a code": ["app 404", "app OwnHttp"],
    "none": [],
}


@pytest.mark.parametrize("name", HANDLERS)
@pytest.mark.parametrize("path", ["/", "/bp/"])
@pytest.mark.parametrize("kind", ["404", "Own", "OwnHttp", "abort", "key", "teapot"])
def test_the_same_error_handler_is_found(pair, name, path, kind) -> None:
    def build(fl, log):
        app = fl.Flask("scenario")
        app.logger.handlers[:] = [__import__("logging").NullHandler()]
        bp = fl.Blueprint("bp", "scenario", url_prefix="/bp")

        class Own(LookupError):
            pass

        class OwnHttp(fl.exceptions.NotFound):
            pass

        known = {
            "404": 404,
            "500": 500,
            "HTTPException": fl.exceptions.HTTPException,
            "Exception": Exception,
            "LookupError": LookupError,
            "Own": Own,
            "OwnHttp": OwnHttp,
        }

        def view():
            if kind == "404":
                raise fl.exceptions.NotFound
            if kind == "Own":
                raise Own("x")
            if kind == "OwnHttp":
                raise OwnHttp
            if kind == "key":
                return fl.request.args["missing"]
            fl.abort(404 if kind == "abort" else 418)

        app.add_url_rule("/", "view", view)
        bp.add_url_rule("/", "view", view)
        for text in HANDLERS[name]:
            owner, what = text.split()

            def handler(error, text=text):
                original = getattr(error, "original_exception", None)
                return f"{text}: {type(error).__name__} {type(original).__name__}", 499

            (app if owner == "app" else bp).register_error_handler(known[what], handler)
        app.register_blueprint(bp)
        return app

    pair(build, path)


@pytest.mark.parametrize(
    "settings",
    [
        {"TESTING": True},
        {"DEBUG": True},
        {"PROPAGATE_EXCEPTIONS": True},
        {"TESTING": True, "PROPAGATE_EXCEPTIONS": False},
        {"TRAP_HTTP_EXCEPTIONS": True},
        {"TRAP_HTTP_EXCEPTIONS": True, "TESTING": True},
        {"TRAP_BAD_REQUEST_ERRORS": True},
        {"TRAP_BAD_REQUEST_ERRORS": True, "TESTING": True},
        {"TRAP_BAD_REQUEST_ERRORS": False, "DEBUG": True},
        {"DEBUG": True, "PROPAGATE_EXCEPTIONS": False},
    ],
    ids=str,
)
@pytest.mark.parametrize("path", ["/", "/abort", "/key", "/bad", "/nothing"])
@pytest.mark.parametrize("handled", [False, True])
def test_errors_are_raised_if_the_configuration_says_so(pair, settings, path, handled) -> None:
    def build(fl, log):
        app = fl.Flask("scenario")
        app.config.update(settings)
        app.logger.handlers[:] = [__import__("logging").NullHandler()]
        app.add_url_rule("/", "boom", lambda: 1 // 0)
        app.add_url_rule("/abort", "abort", lambda: fl.abort(403))
        app.add_url_rule("/key", "key", lambda: fl.request.form["k"])
        app.add_url_rule("/bad", "bad", lambda: fl.abort(400))
        if handled:
            app.register_error_handler(500, lambda error: ("500!", 500))
        app.teardown_request(lambda exc: log.append(type(exc).__name__))
        return app

    pair(build, path)


def test_the_response_of_the_500_handler_is_sent_even_if_a_hook_fails(pair) -> None:
    def build(fl, log):
        app = fl.Flask("scenario")
        app.logger.handlers[:] = [__import__("logging").NullHandler()]
        app.add_url_rule("/", "boom", lambda: 1 // 0)

        @app.after_request
        def after(response):
            log.append("after")
            raise RuntimeError("after")

        return app

    pair(build, "/", status=500)


def test_a_redirect_of_routing_is_not_passed_to_error_handlers(pair) -> None:
    def build(fl, log):
        app = fl.Flask("scenario")
        app.add_url_rule("/a/", "a", lambda: "a")
        app.register_error_handler(fl.exceptions.HTTPException, lambda e: ("handled", 499))
        return app

    pair(build, "/a", status=308)


def test_a_post_that_would_lose_its_form_is_explained_in_debug_mode(pair) -> None:
    def build(fl, log):
        app = fl.Flask("scenario")
        app.debug = True
        app.url_map.redirect_defaults = True
        app.add_url_rule("/a/", "a", lambda: "a", methods=["GET", "POST"])
        app.add_url_rule("/to", "to", lambda: "a", methods=["POST"], redirect_to="/a/")
        return app

    pair(build, pair.Req("/a", "POST", body=b"x"), pair.Req("/to", "POST", body=b"x"))


def test_methods_of_the_cycle_are_called_when_they_are_overridden(pair) -> None:
    names = [
        "full_dispatch_request",
        "preprocess_request",
        "dispatch_request",
        "finalize_request",
        "process_response",
        "make_response",
        "handle_user_exception",
        "handle_http_exception",
        "handle_exception",
        "log_exception",
        "do_teardown_request",
        "do_teardown_appcontext",
        "create_url_adapter",
        "should_ignore_error",
        "trap_http_exception",
        "make_default_options_response",
        "raise_routing_exception",
        "ensure_sync",
        "app_context",
        "request_context",
    ]
    for name in names:

        def build(fl, log, name=name):
            def method(self, *args, **kwargs):
                log.append(name)
                return getattr(fl.Flask, name)(self, *args, **kwargs)

            app = type("Own", (fl.Flask,), {name: method})("scenario")
            app.logger.handlers[:] = [__import__("logging").NullHandler()]
            app.add_url_rule("/", "view", lambda: "a")
            app.add_url_rule("/boom", "boom", lambda: 1 // 0)
            app.before_request(lambda: None)
            return app

        if name == "request_context":  # the direct lane has no environ to make one from
            pair(build, "/", "/boom", "/nothing")
            continue
        pair(build, "/", "/boom", "/nothing", pair.Req("/", "OPTIONS"))


def test_methods_replaced_on_the_instance_are_called(pair) -> None:
    def build(fl, log):
        app = fl.Flask("scenario")
        app.add_url_rule("/", "view", lambda: "a")
        original = app.process_response

        def process_response(response):
            log.append("mine")
            return original(response)

        app.process_response = process_response
        return app

    pair(build, "/", "/", status=200)


def test_views_replaced_after_the_first_request_are_called(pair) -> None:
    def build(fl, log):
        app = fl.Flask("scenario")

        def second():
            return "second"

        def first():
            app.view_functions["view"] = second
            return "first"

        app.add_url_rule("/", "view", first)
        return app

    seen = pair(build, "/", "/", status=200)
    assert [each.body for each in seen] == [b"first", b"second"]


def test_hooks_added_to_the_open_tables_at_any_time_run(pair) -> None:
    def build(fl, log):
        app = fl.Flask("scenario")

        @app.route("/")
        def view():
            app.before_request_funcs.setdefault(None, []).append(lambda: log.append("before"))
            app.after_request_funcs.setdefault(None, []).append(
                lambda response: log.append("after") or response
            )
            app.teardown_request_funcs.setdefault(None, []).append(lambda exc: log.append("down"))
            return "a"

        return app

    pair(build, "/", "/", status=200)


def test_custom_request_and_response_classes_are_used(pair) -> None:
    def build(fl, log):
        class Request(fl.Request):
            def __init__(self, *args, **kwargs):
                super().__init__(*args, **kwargs)
                log.append("made")

            @property
            def twice(self):
                return self.path * 2

        class Response(fl.Response):
            default_mimetype = "text/plain"

            def get_wsgi_headers(self, environ):
                headers = super().get_wsgi_headers(environ)
                headers["X-Own"] = environ["REQUEST_METHOD"]
                return headers

        app = fl.Flask("scenario")
        app.request_class = Request
        app.response_class = Response
        app.add_url_rule("/", "view", lambda: fl.request.twice)
        app.add_url_rule("/json", "json", lambda: {"a": 1})
        app.add_url_rule("/base", "base", lambda: fl.BaseResponse("b"))
        return app

    pair(build, "/", "/json", "/base", "/nothing", status=404)


def test_a_response_that_only_overrides_call_is_called(pair) -> None:
    def build(fl, log):
        class Response(fl.Response):
            def __call__(self, environ, start_response):
                log.append(environ["PATH_INFO"])
                return super().__call__(environ, start_response)

        app = fl.Flask("scenario")
        app.add_url_rule("/", "view", lambda: Response("x"))
        return app

    pair(build, "/", status=200)


def test_call_on_close_runs_when_the_answer_is_finished(pair) -> None:
    def build(fl, log):
        app = fl.Flask("scenario")

        @app.route("/")
        def view():
            response = fl.make_response("a")
            response.call_on_close(lambda: log.append("closed"))
            return response

        @app.route("/stream")
        def stream():
            def pieces():
                try:
                    yield "a"
                    yield "b"
                finally:
                    log.append("generator closed")

            return pieces()

        app.teardown_request(lambda exc: log.append("teardown"))
        return app

    pair(build, "/", "/stream", status=200)


def test_async_views_hooks_and_handlers_run(pair) -> None:
    def build(fl, log):
        app = fl.Flask("scenario")

        @app.before_request
        async def before():
            log.append("before")

        @app.after_request
        async def after(response):
            log.append("after")
            return response

        @app.teardown_request
        async def down(exc):
            log.append("down")

        @app.errorhandler(ValueError)
        async def handler(error):
            return "handled", 409

        @app.route("/")
        async def view():
            return fl.request.path

        @app.route("/boom")
        async def boom():
            raise ValueError

        class View(fl.views.MethodView):
            async def get(self):
                return "class"

        app.add_url_rule("/class", view_func=View.as_view("class"))
        return app

    pair(build, "/", "/boom", "/class", status=200)


def test_the_form_files_json_and_data_of_a_request(pair) -> None:
    def build(fl, log):
        app = fl.Flask("scenario")

        @app.post("/form")
        def form():
            return {"form": fl.request.form.to_dict(flat=False), "values": fl.request.values["a"]}

        @app.post("/json")
        def json():
            return fl.jsonify(fl.request.get_json())

        @app.post("/data")
        def data():
            return fl.request.get_data()

        @app.post("/file")
        def file():
            found = fl.request.files["f"]
            return {"name": found.filename, "text": found.read().decode()}

        return app

    form = {"Content-Type": "application/x-www-form-urlencoded"}
    json = {"Content-Type": "application/json"}
    parts = {"Content-Type": "multipart/form-data; boundary=b"}
    upload = (
        b'--b\r\nContent-Disposition: form-data; name="f"; filename="n.txt"\r\n'
        b"Content-Type: text/plain\r\n\r\nhello\r\n--b--\r\n"
    )
    pair(
        build,
        pair.Req("/form?a=0", "POST", form, b"a=1&a=2&b=%C3%A9"),
        pair.Req("/json", "POST", json, b'{"a": [1, 2]}'),
        pair.Req("/json", "POST", json, b'{"a": '),
        pair.Req("/json", "POST", form, b'{"a": 1}'),
        pair.Req("/data", "POST", {"Content-Type": "text/plain"}, b"\x00\xff"),
        pair.Req("/file", "POST", parts, upload),
        pair.Req("/file", "POST", form, b"f=n.txt"),
        status=400,
    )


def test_limits_of_the_content_come_from_the_configuration_or_the_request(pair) -> None:
    def build(fl, log):
        app = fl.Flask("scenario")
        app.config["MAX_CONTENT_LENGTH"] = 10

        @app.post("/")
        def view():
            return fl.request.get_data()

        @app.post("/more")
        def more():
            fl.request.max_content_length = 100
            return fl.request.get_data()

        @app.post("/parts")
        def parts():
            request = fl.request
            request.max_content_length = None
            request.max_form_parts = 1
            return request.form.to_dict()

        @app.get("/show")
        def show():
            request = fl.request
            return [
                request.max_content_length,
                request.max_form_memory_size,
                request.max_form_parts,
            ]

        return app

    text = {"Content-Type": "text/plain"}
    two = b"".join(
        b'--b\r\nContent-Disposition: form-data; name="%d"\r\n\r\nx\r\n' % n for n in range(2)
    )
    pair(
        build,
        pair.Req("/", "POST", text, b"x" * 10),
        pair.Req("/", "POST", text, b"x" * 11),
        pair.Req("/more", "POST", text, b"x" * 11),
        pair.Req(
            "/parts",
            "POST",
            {"Content-Type": "multipart/form-data; boundary=b"},
            two + b"--b--\r\n",
        ),
        "/show",
        status=200,
    )


def test_a_json_error_is_explained_in_debug_mode_only(pair) -> None:
    def build(fl, log):
        app = fl.Flask("scenario")
        app.config["PROPAGATE_EXCEPTIONS"] = False

        @app.post("/<int:debug>")
        def view(debug):
            app.debug = bool(debug)
            try:
                fl.request.get_json()
            except fl.exceptions.BadRequest as error:
                return str("JSON" in str(error.description))
            return "no"

        return app

    json = {"Content-Type": "application/json"}
    seen = pair(build, pair.Req("/0", "POST", json, b"{"), pair.Req("/1", "POST", json, b"{"))
    assert [each.body for each in seen] == [b"False", b"True"]


def test_a_file_sent_without_multipart_is_explained_in_debug_mode(pair) -> None:
    def build(fl, log):
        app = fl.Flask("scenario")
        app.debug = True
        app.config["TRAP_BAD_REQUEST_ERRORS"] = False

        @app.post("/")
        def view():
            fl.request.files["f"]
            return "never"

        return app

    form = {"Content-Type": "application/x-www-form-urlencoded"}
    seen = pair(build, pair.Req("/", "POST", form, b"f=n.txt"))
    assert seen[0].error == "DebugFilesKeyError"


@pytest.mark.parametrize(
    "host", ["localhost", "a..b", ".a", "a" * 64, "a.", "1.2.3.4:80", "[::1]:5", "x:99"]
)
def test_hosts_are_accepted_and_refused_alike(pair, host) -> None:
    def build(fl, log):
        app = fl.Flask("scenario")
        app.before_request(lambda: log.append("before"))
        app.add_url_rule("/", "view", lambda: fl.request.host)
        return app

    pair(build, pair.Req("/", host=host))


@pytest.mark.parametrize("host", ["ex.com", "bad.com", "a.ex.com"])
def test_hosts_that_are_not_trusted_get_400_and_the_hooks_still_run(pair, host) -> None:
    def build(fl, log):
        app = fl.Flask("scenario")
        app.config["TRUSTED_HOSTS"] = ["ex.com"]
        app.before_request(lambda: log.append("before"))
        app.add_url_rule("/", "view", lambda: "a")
        return app

    pair(build, pair.Req("/", host=host))


def test_a_mounted_application_redirects_its_prefix_without_a_slash(pair):
    """Otherwise relative links of its first page would leave the application."""

    def seen(library):
        app = library.Flask("mounted")
        app.add_url_rule("/", view_func=lambda: "home", endpoint="home")
        found = []
        for path in ("/", ""):  # the first makes the host known
            environ = pair.environ_of(pair.Req("/")) | {"SCRIPT_NAME": "/blog", "PATH_INFO": path}
            app(environ, lambda status, headers, *info: found.append((status, dict(headers))))
        return [(status, headers.get("Location")) for status, headers in found]

    assert seen(pair.carboy) == seen(pair.flask)
    assert seen(pair.carboy)[1] == ("308 PERMANENT REDIRECT", "http://localhost/blog/")


def test_hooks_see_an_error_page_as_a_sequence_where_flask_has_a_stream(pair):
    """A hook that changes, counts or compresses responses does so for error pages as well."""

    def streamed(library):
        app = library.Flask("scenario")
        seen = []

        @app.after_request
        def look(response):
            seen.append(response.is_streamed)
            return response

        pair.call_wsgi(app, pair.Req("/missing"))
        return seen

    assert streamed(pair.carboy) == [False]
    assert streamed(pair.flask) == [True]
