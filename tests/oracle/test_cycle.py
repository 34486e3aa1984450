"""Hooks, signals, errors and teardown in whole applications."""

from __future__ import annotations

import contextvars

import pytest

from scenarios import Req, scenario


def traced(fl, log, app, name):
    """Every kind of hook of `app` writes its name into the log."""

    @app.before_request
    def before():
        log.append(f"before {name}")

    @app.after_request
    def after(response):
        log.append(f"after {name} {response.status_code}")
        return response

    @app.teardown_request
    def teardown(error):
        log.append(f"teardown {name} {type(error).__name__}")


def family(fl, log, **config):
    """An application with a parent, a child and a sibling blueprint, all with hooks."""
    app = fl.Flask("scenario")
    app.config.update(config)
    parent = fl.Blueprint("parent", "scenario", url_prefix="/parent")
    child = fl.Blueprint("child", "scenario", url_prefix="/child")
    other = fl.Blueprint("other", "scenario", url_prefix="/other")
    for scaffold, name in [(app, "app"), (parent, "parent"), (child, "child"), (other, "other")]:
        traced(fl, log, scaffold, name)

        def ok(name=name):
            log.append(f"view {name}")
            return f"{name} {fl.request.blueprint} {fl.request.blueprints}"

        def fails():
            return 1 // 0

        def missing():
            fl.abort(404)

        def gone():
            fl.abort(410, "gone for good")

        scaffold.route("/ok")(ok)
        scaffold.route("/fails")(fails)
        scaffold.route("/missing")(missing)
        scaffold.route("/gone")(gone)

    @other.before_app_request
    def before_app():
        log.append("before app by other")

    @other.after_app_request
    def after_app(response):
        log.append("after app by other")
        response.headers["X-Other"] = "1"
        return response

    @other.teardown_app_request
    def teardown_app(error):
        log.append(f"teardown app by other {error!r}")

    @app.teardown_appcontext
    def context(error):
        log.append(f"appcontext {error!r}")

    return app, parent, child, other


def joined(app, parent, child, other):
    parent.register_blueprint(child)
    app.register_blueprint(parent)
    app.register_blueprint(other)
    return app


WHERE = ["", "/parent", "/parent/child", "/other"]


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("what", ["ok", "fails", "missing", "gone", "nowhere"])
def test_hooks_of_nested_blueprints_run_in_the_same_order(pair, where, what) -> None:
    pair(lambda fl, log: joined(*family(fl, log)), f"{where}/{what}")


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("what", ["fails", "missing", "gone"])
@pytest.mark.parametrize(
    "handled",
    [
        ("app 404", "parent 404"),
        ("app 500",),
        ("app HTTPException",),
        ("app HTTPException", "app 404"),
        ("app HTTPException", "child 404", "parent Exception"),
        ("app Exception",),
        ("app Exception", "parent HTTPException"),
        ("app Exception", "app 500"),
        ("app ArithmeticError", "child ZeroDivisionError"),
        ("child ArithmeticError", "app ZeroDivisionError"),
        ("app InternalServerError", "parent 500"),
        ("app Gone", "other 410"),
        ("app 410", "other Exception", "child HTTPException"),
        ("other app 404", "other app Exception"),
    ],
    ids=", ".join,
)
def test_the_same_handler_answers(pair, where, what, handled) -> None:
    def build(fl, log):
        app, parent, child, other = family(fl, log)
        owners = {"app": app, "parent": parent, "child": child, "other": other}
        for entry in handled:
            *owner, kind = entry.split()
            scaffold = owners[owner[0]]
            key = int(kind) if kind.isdigit() else getattr(fl.exceptions, kind, None)
            key = key or getattr(__builtins__, kind, None) or __builtins__[kind]

            def handler(error, entry=entry):
                original = getattr(error, "original_exception", None)
                log.append((entry, type(error).__name__, type(original).__name__))
                return f"{entry} {getattr(error, 'description', '')[:4]}", 418

            add = scaffold.app_errorhandler if len(owner) == 2 else scaffold.errorhandler
            add(key)(handler)
        return joined(app, parent, child, other)

    pair(build, f"{where}/{what}")


@pytest.mark.parametrize("testing", [False, True])
@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("propagate", [None, False, True])
@pytest.mark.parametrize("handler", [None, "500", "Exception"])
def test_errors_propagate_as_in_flask(pair, testing, debug, propagate, handler) -> None:
    def build(fl, log):
        app, *blueprints = family(fl, log, TESTING=testing, PROPAGATE_EXCEPTIONS=propagate)
        app.debug = debug
        if handler:
            key = 500 if handler == "500" else Exception
            app.register_error_handler(key, lambda error: (type(error).__name__, 500))
        return joined(app, *blueprints)

    pair(build, "/fails", "/parent/missing", "/ok")


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("trap", [None, False, True])
@pytest.mark.parametrize("trap_http", [False, True])
@pytest.mark.parametrize("handler", [None, "HTTPException", "BadRequest", "BadRequestKeyError"])
def test_http_errors_are_trapped_as_in_flask(pair, debug, trap, trap_http, handler) -> None:
    def build(fl, log):
        app = fl.Flask("scenario")
        app.config.update(TRAP_BAD_REQUEST_ERRORS=trap, TRAP_HTTP_EXCEPTIONS=trap_http)
        app.debug = debug
        if handler:
            kind = getattr(fl.exceptions, handler)
            app.register_error_handler(kind, lambda error: (f"handled {error.code}", error.code))
        app.add_url_rule("/key", "key", lambda: fl.request.form["missing"])
        app.add_url_rule("/bad", "bad", lambda: fl.abort(400))
        app.add_url_rule("/teapot", "teapot", lambda: fl.abort(418))
        app.add_url_rule("/slash/", "slash", lambda: "a")
        return app

    pair(build, "/key", "/bad", "/teapot", "/slash", "/nowhere", Req("/key", "POST"))


@scenario("/", status=500)
def test_an_error_in_a_handler_is_only_handled_by_the_handler_for_500(fl, log):
    app = fl.Flask("scenario")

    @app.errorhandler(KeyError)
    def key_error(error):
        raise ValueError("in the handler")

    @app.errorhandler(ValueError)
    def value_error(error):
        return "never"

    @app.errorhandler(500)
    def server_error(error):
        log.append(repr(error.original_exception))
        return "five hundred", 500

    @app.route("/")
    def view():
        return {}["a"]

    return app


@scenario("/", "/?http=1", status=500)
def test_a_handler_may_abort(fl, log):
    app = fl.Flask("scenario")

    @app.errorhandler(404)
    def not_found(error):
        fl.abort(403)

    @app.errorhandler(403)
    def forbidden(error):
        return "never", 403

    @app.route("/")
    def view():
        fl.abort(404)

    return app


@scenario("/", status=500)
def test_a_handler_that_returns_nothing_is_an_error(fl, log):
    app = fl.Flask("scenario")
    app.register_error_handler(404, lambda error: None)
    return app


@scenario("/", "/x", status=200)
def test_a_handler_may_return_the_error(fl, log):
    app = fl.Flask("scenario")
    app.register_error_handler(404, lambda error: error)
    app.register_error_handler(403, lambda error: error.get_response())
    app.add_url_rule("/", "v", lambda: fl.abort(403))
    app.add_url_rule("/x", "x", lambda: fl.exceptions.NotFound(response=fl.Response("own")))
    return app


@scenario("/a", "/b", "/c", status=402)
def test_abort_accepts_the_same_arguments_as_in_flask(fl, log):
    app = fl.Flask("scenario")
    app.add_url_rule("/a", "a", lambda: fl.abort(fl.Response("mine", 209)))
    app.add_url_rule("/b", "b", lambda: fl.abort(401, description="no", response=None))

    class Pay(fl.exceptions.HTTPException):
        code = 402
        description = "pay"

    app.aborter.mapping[402] = Pay
    app.register_error_handler(Pay, lambda error: (error.description, error.code))
    app.add_url_rule("/c", "c", lambda: fl.abort(402))
    return app


@pytest.mark.parametrize(
    "error",
    [
        "NotFound()",
        "NotFound('<b>')",
        "MethodNotAllowed(['GET', 'POST'])",
        "Unauthorized(www_authenticate=WWW('basic', {'realm': 'x'}))",
        "TooManyRequests(retry_after=10)",
        "ServiceUnavailable(retry_after=30)",
        "RequestedRangeNotSatisfiable(100)",
        "ImATeapot()",
        "HTTPException('nothing known')",
        "HTTPException(response=Response('mine', 299))",
        "InternalServerError(original_exception=ValueError())",
        "UnavailableForLegalReasons()",
        "RequestEntityTooLarge(retry_after=5)",
        "ClientDisconnected()",
        "SecurityError()",
        "BadHost()",
        "BadRequestKeyError('k')",
        "PreconditionRequired('a\\nb')",
        "MisdirectedRequest()",
        "UnprocessableEntity({'a': 1})",
        "Locked(None)",
        "FailedDependency('')",
    ],
)
def test_every_error_has_the_same_page_and_headers(pair, error) -> None:
    def build(fl, log):
        app = fl.Flask("scenario")
        names = {**vars(fl.exceptions), "Response": fl.Response, "WWW": fl.WWWAuthenticate}

        @app.route("/")
        def view():
            made = eval(error, names)
            log.append((made.code, getattr(made, "name", None), bool(made.description)))
            raise made

        @app.after_request
        def after(response):
            response.headers["X-After"] = "1"
            return response

        return app

    pair(build, "/")


SIGNALS = [
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
]


def shown(value):
    if hasattr(value, "status_code"):
        return value.status_code
    if isinstance(value, dict):
        return sorted(key for key in value if key not in {"g", "request", "session"})
    return type(value).__name__ if not isinstance(value, str) else value


@pytest.mark.parametrize("path", ["/", "/template", "/fails", "/nowhere", "/flash", "/before"])
@pytest.mark.parametrize("testing", [False, True])
def test_signals_come_in_the_same_order_with_the_same_arguments(pair, path, testing) -> None:
    kept = []

    def build(fl, log):
        app = fl.Flask("scenario")
        app.secret_key = "k"
        app.testing = testing
        traced(fl, log, app, "app")
        for name in SIGNALS:

            def receiver(sender, name=name, **arguments):
                shows = sorted((key, shown(value)) for key, value in arguments.items())
                log.append((name, sender is app, shows))

            kept.append(receiver)
            getattr(fl, name).connect(receiver, app)
        app.add_url_rule("/", "index", lambda: "a")
        app.add_url_rule(
            "/template", "t", lambda: fl.render_template_string("{{ a }}{{ g }}", a=1)[:1]
        )
        app.add_url_rule("/fails", "fails", lambda: 1 // 0)

        @app.route("/flash")
        def flash():
            fl.flash("hello", "warning")
            return str(fl.get_flashed_messages(with_categories=True))

        @app.before_request
        def before():
            return "from the hook" if fl.request.path == "/before" else None

        return app

    pair(build, path)


@pytest.mark.parametrize("stage", ["before", "view", "after", "teardown", "appcontext", "handler"])
@pytest.mark.parametrize("testing", [False, True])
def test_a_failure_at_any_stage_has_the_same_result(pair, stage, testing) -> None:
    def build(fl, log):
        app = fl.Flask("scenario")
        app.testing = testing

        def fail_at(name):
            log.append(name)
            if name == stage:
                raise RuntimeError(name)

        @app.before_request
        def before():
            fail_at("before")

        @app.after_request
        def after(response):
            fail_at("after")
            return response

        @app.teardown_request
        def first(error):
            log.append(f"torn {error!r}")

        @app.teardown_request
        def second(error):
            fail_at("teardown")

        @app.teardown_appcontext
        def context(error):
            fail_at("appcontext")

        @app.errorhandler(404)
        def handler(error):
            fail_at("handler")
            return "handled", 404

        @app.route("/")
        def view():
            fail_at("view")
            fl.abort(404)

        return app

    pair(build, "/", "/nowhere")


@scenario("/", "/fails", status=200)
def test_after_this_request_runs_before_the_other_hooks_and_may_replace(fl, log):
    app = fl.Flask("scenario")

    @app.after_request
    def after(response):
        log.append("after")
        response.headers["X-Order"] = response.headers.get("X-Order", "") + "b"
        return response

    def register():
        @fl.after_this_request
        def one(response):
            log.append("one")
            return fl.Response("replaced", headers={"X-Order": "1"})

        @fl.after_this_request
        def two(response):
            log.append(("two", response.get_data(as_text=True)[:3]))
            response.headers["X-Order"] += "2"
            return response

    @app.route("/")
    def view():
        register()
        return "abc"

    @app.route("/fails")
    def fails():
        register()
        raise ValueError

    return app


@scenario("/", status=200)
def test_an_after_hook_may_give_another_response(fl, log):
    app = fl.Flask("scenario")
    app.after_request(lambda response: fl.Response(response.get_data() + b"!", 200))
    app.after_request(lambda response: fl.make_response((response.get_data() + b"?", 201)))
    app.add_url_rule("/", "v", lambda: "a")
    return app


@scenario("/")
def test_an_after_hook_that_returns_nothing_is_an_error(fl, log):
    app = fl.Flask("scenario")
    app.after_request(lambda response: None)
    app.add_url_rule("/", "v", lambda: "a")
    return app


@scenario("/a/1", "/a/2", "/b", "/de/c", "/nowhere", status=404)
def test_url_values_can_be_removed_and_added(fl, log):
    app = fl.Flask("scenario")
    bp = fl.Blueprint("bp", "scenario", url_prefix="/<lang>", url_defaults={"lang": "xx"})

    @app.url_value_preprocessor
    def pull(endpoint, values):
        log.append((endpoint, values and dict(values)))
        if values and "n" in values:
            values["n"] += 10

    @bp.url_value_preprocessor
    def pull_lang(endpoint, values):
        fl.g.lang = values.pop("lang", None)

    @bp.url_defaults
    def put_lang(endpoint, values):
        values.setdefault("lang", fl.g.get("lang"))

    @app.url_defaults
    def put(endpoint, values):
        values.setdefault("from_app", "1")

    @app.route("/a/<int:n>")
    def a(n):
        return f"{n} {fl.url_for('a', n=n)} {fl.request.view_args}"

    @app.route("/b")
    def b():
        return fl.url_for("bp.c", lang="fr")

    @bp.route("/c")
    def c():
        return f"{fl.g.lang} {fl.url_for('.c')} {fl.url_for('a', n=1)}"

    app.register_blueprint(bp)
    return app


@scenario("/made", "/moved", "/refused", "/made", "/moved", "/refused", "/made", status=201)
def test_a_response_in_a_tuple_with_a_status(fl, log):
    app = fl.Flask("scenario")

    @app.get("/made")
    def made():
        return fl.jsonify(id=7), 201

    @app.get("/moved")
    def moved():
        return fl.redirect("/made"), 303

    @app.get("/refused")
    def refused():
        raise KeyError("missing")

    @app.errorhandler(KeyError)
    def handled(error):
        return fl.jsonify(error="missing"), 404

    return app


@scenario("/", "/fails", "/unsent")
def test_teardown_functions_get_the_first_error(fl, log):
    app = fl.Flask("scenario")

    class Unsent(fl.Response):
        def __call__(self, environ, start_response):
            raise LookupError("while it is sent")

    app.add_url_rule("/", "index", lambda: "index")
    app.add_url_rule("/fails", "fails", lambda: 1 // 0)
    app.add_url_rule("/unsent", "unsent", Unsent)

    @app.errorhandler(500)
    def failing(error):
        raise KeyError("in the handler")

    app.teardown_request(lambda error: log.append(f"request {error!r}"))
    app.teardown_appcontext(lambda error: log.append(f"context {error!r}"))
    return app


@pytest.mark.parametrize("path", ["/", "/response", "/fails"])
def test_teardown_functions_get_no_error_of_the_server(pair, path) -> None:
    """One that start_response raises, for example because the client has gone."""

    def start_response(status, headers, exc_info=None):
        raise ConnectionError("gone")

    logs = []
    for fl in (pair.flask, pair.carboy):
        log: list[str] = []
        app = fl.Flask("scenario")
        app.add_url_rule("/", "index", lambda: "index")
        app.add_url_rule("/response", "response", lambda fl=fl: fl.Response("index"))
        app.add_url_rule("/fails", "fails", lambda: 1 // 0)
        app.teardown_request(lambda error, log=log: log.append(f"request {error!r}"))
        app.teardown_appcontext(lambda error, log=log: log.append(f"context {error!r}"))
        with pytest.raises(ConnectionError):
            app(pair.environ_of(Req(path)), start_response)
        logs.append(log)
    assert logs[0] == logs[1]
    assert len(logs[0]) == 2


@pytest.mark.parametrize("parts", ["request", "context", "both"])
def test_teardown_functions_see_the_same_contexts(pair, parts) -> None:
    def build(fl, log):
        app = fl.Flask("scenario")
        app.secret_key = "k"
        other = fl.Flask("other")

        def look(name):
            g = sorted(fl.g) if fl.has_app_context() else None
            log.append((name, fl.has_app_context(), fl.has_request_context(), g))

        def nest(name):
            with other.test_request_context("/other"):
                look(f"{name} within")
            with other.app_context():
                look(f"{name} within an application")
            look(f"{name} after")

        if parts != "context":

            @app.teardown_request
            def last(error):
                nest("last")

            @app.teardown_request
            def first(error):
                look("first")
                log.append(fl.session.get("n"))

        if parts != "request":

            @app.teardown_appcontext
            def context_last(error):
                look("context last")
                fl.g.late = 1

            @app.teardown_appcontext
            def context_first(error):
                look("context first")
                nest("context first")

        @app.route("/")
        def view():
            return "text"

        @app.route("/uses")
        def uses():
            fl.g.used = fl.request.path
            return str(fl.session.get("n"))

        return app

    pair(build, "/", "/uses", "/")


@pytest.mark.parametrize(
    ("stage", "kind"),
    [
        ("teardown_request", "app_context"),
        ("teardown_request", "test_request_context"),
        ("teardown_appcontext", "app_context"),
    ],
)
def test_a_context_that_a_teardown_function_leaves_is_an_error(pair, stage, kind) -> None:
    def result(fl):
        app = fl.Flask("scenario")
        app.add_url_rule("/", "view", lambda: "text")
        getattr(app, stage)(lambda error: getattr(app, kind)().push())

        def ask():
            with pytest.raises(Exception) as caught:  # noqa: PT011  # the type is compared
                app.test_client().get("/")
            return type(caught.value).__name__

        return contextvars.copy_context().run(ask)

    assert result(pair.carboy) == result(pair.flask)
