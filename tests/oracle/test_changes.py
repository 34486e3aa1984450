"""A change between two requests is used from the next request on, on both lanes as in Flask."""

from __future__ import annotations

from typing import Any

import pytest

from scenarios import LANES, Jar, Req, call_wsgi, normal


def build(fl: Any, log: list[Any]) -> Any:
    app = fl.Flask("scenario")
    app.config.update(PROPAGATE_EXCEPTIONS=False, SECRET_KEY="k")
    blueprint = fl.Blueprint("bp", "scenario", url_prefix="/bp")

    @app.before_request
    def before():
        log.append("before")

    @app.after_request
    def after(response):
        log.append(f"after {response.status}")
        return response

    @app.teardown_request
    def teardown(error):
        log.append(f"teardown {type(error).__name__}")

    @app.get("/")
    def index():
        return f"index {fl.request.endpoint} {fl.session.get('n')}"

    @app.route("/item/<int:n>", methods=["GET", "POST"])
    def item(n):
        return {"n": n, "é": "ü"}

    @app.get("/set/<value>")
    def keep(value):
        fl.session["n"] = value
        return "kept"

    @app.get("/boom")
    def boom():
        return 1 // 0

    @blueprint.get("/page")
    def page():
        return fl.url_for(".page", q=1)

    @blueprint.before_request
    def blueprint_before():
        log.append(f"blueprint {fl.request.blueprint}")

    app.register_blueprint(blueprint)
    return app


REQUESTS = [
    Req("/"),
    Req("/set/x"),
    Req("/item/5"),
    Req("/item/x"),
    Req("/item/5", "DELETE"),
    Req("/item/5", "OPTIONS"),
    Req("/boom"),
    Req("/bp/page"),
    Req("/bp/page/"),
    Req("/", "HEAD"),
    Req("/missing"),
]


def replaced_in_place(fl, app, log):
    app.before_request_funcs[None][0] = lambda: log.append("another")


def answering_hook(fl, app, log):
    app.before_request_funcs[None].append(lambda: ("hooked", 202))


def hook_changes_arguments(fl, app, log):
    def change():
        if fl.request.view_args and "n" in fl.request.view_args:
            fl.request.view_args = {"n": 7}

    app.before_request_funcs[None].append(change)


def hook_changes_the_rule(fl, app, log):
    def change():
        if fl.request.endpoint == "index":
            fl.request.url_rule = next(app.url_map.iter_rules("boom"))

    app.before_request_funcs[None].append(change)


def hook_refuses(fl, app, log):
    app.before_request_funcs[None].append(
        lambda: setattr(fl.request, "routing_exception", fl.exceptions.Gone())
    )


def preprocessor(fl, app, log):
    app.url_value_preprocessors[None].append(
        lambda endpoint, values: log.append(f"pre {endpoint} {values}")
    )


def failing_after(fl, app, log):
    app.after_request_funcs[None].append(lambda response: 1 // 0)


def failing_teardown(fl, app, log):
    app.teardown_appcontext_funcs.append(
        lambda error: log.append(f"app {fl.has_request_context()} {fl.has_app_context()}")
    )


def handlers(fl, app, log):
    app.error_handler_spec[None][404][fl.exceptions.NotFound] = lambda e: ("own 404", 404)
    app.error_handler_spec[None][None][ZeroDivisionError] = lambda e: fl.jsonify(e=str(e))


def handler_of_all(fl, app, log):
    app.error_handler_spec[None][None][Exception] = lambda e: (type(e).__name__, 418)


def failing_handler(fl, app, log):
    app.error_handler_spec[None][None][Exception] = lambda e: 1 // 0


def own_blueprint_hooks(fl, app, log):
    app.after_request_funcs["bp"].append(lambda response: fl.Response("by the blueprint", 203))
    app.teardown_request_funcs["bp"].append(lambda error: log.append("gone"))


def no_hooks(fl, app, log):
    for table in (app.before_request_funcs, app.after_request_funcs, app.teardown_request_funcs):
        table.clear()


def own_view(fl, app, log):
    app.view_functions["index"] = lambda: ("new", 201)


def own_async_view(fl, app, log):
    async def view():
        return "awaited"

    if fl.Flask.__module__.startswith("carboy"):  # Flask needs asgiref for it
        app.view_functions["index"] = view
    else:
        app.view_functions["index"] = lambda: "awaited"


def one_view_less(fl, app, log):
    del app.view_functions["index"]


def new_rule(fl, app, log):
    app.url_map.add(fl.routing.Rule("/missing", endpoint="index"))


def no_strict_slashes(fl, app, log):
    app.url_map.strict_slashes = False
    app.url_map.add(fl.routing.Rule("/other", endpoint="index"))


def json_settings(fl, app, log):
    app.json.ensure_ascii = False
    app.json.compact = False
    app.json.mimetype = "application/own"


def json_default(fl, app, log):
    app.json.default = lambda value: "default"
    app.view_functions["index"] = lambda: {"o": object()}


def another_provider(fl, app, log):
    class Own(fl.provider.DefaultJSONProvider):
        def dumps(self, obj, **kwargs):
            return f"[{super().dumps(obj, **kwargs)}, 1]"

        def loads(self, text, **kwargs):
            found = super().loads(text, **kwargs)
            return found[0] if isinstance(found, list) else found

    app.json = Own(app)


def debug(fl, app, log):
    app.config["DEBUG"] = True
    app.config["PROPAGATE_EXCEPTIONS"] = False


def propagating(fl, app, log):
    app.config["PROPAGATE_EXCEPTIONS"] = True


def trapping(fl, app, log):
    app.config["TRAP_HTTP_EXCEPTIONS"] = True


def in_tests(fl, app, log):
    app.testing = True
    app.config["PROPAGATE_EXCEPTIONS"] = None


def no_secret(fl, app, log):
    app.secret_key = None


def another_secret(fl, app, log):
    app.secret_key = "l"


def fallback(fl, app, log):
    app.config["SECRET_KEY_FALLBACKS"] = ["k"]
    app.secret_key = "l"


def another_cookie(fl, app, log):
    app.config["SESSION_COOKIE_NAME"] = "other"


def permanent(fl, app, log):
    def view(value):
        fl.session["n"] = value
        fl.session.permanent = True
        return "kept"

    app.view_functions["keep"] = view


def untrusted(fl, app, log):
    app.config["TRUSTED_HOSTS"] = ["example.com"]


def server_name(fl, app, log):
    app.config["SERVER_NAME"] = "localhost"


def own_interface(fl, app, log):
    class Interface(fl.sessions.SessionInterface):
        def open_session(self, app, request):
            self.opened = getattr(self, "opened", 0) + 1
            log.append(f"open {request.endpoint} {request.path}")
            return fl.sessions.SecureCookieSession({"n": self.opened})

        def save_session(self, app, session, response):
            log.append(f"save {dict(session)}")

    app.session_interface = Interface()


def own_request(fl, app, log):
    class Own(fl.Request):
        @property
        def path(self):
            return "/item/9"

        @path.setter
        def path(self, value):
            pass

    app.request_class = Own


def request_with_a_constructor(fl, app, log):
    class Own(fl.Request):
        def __init__(self, environ, *args, **kwargs):
            super().__init__(environ, *args, **kwargs)
            log.append(f"request {environ['PATH_INFO']}")

    app.request_class = Own


def own_response(fl, app, log):
    class Own(fl.Response):
        default_mimetype = "text/x-own"

        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.headers["X-Own"] = "yes"

    app.response_class = Own


def signals(fl, app, log):
    from functools import partial

    names = [
        "appcontext_pushed",
        "request_started",
        "request_finished",
        "got_request_exception",
        "request_tearing_down",
        "appcontext_tearing_down",
        "appcontext_popped",
    ]
    for name in names:
        receiver = partial(received, fl, log, name)
        getattr(fl, name).connect(receiver, app, weak=False)


def received(fl, log, name, sender, **extra):
    log.append(f"{name} {fl.has_request_context()} {fl.has_app_context()} {sorted(extra)}")


def one_signal(fl, app, log):
    def started(sender, **extra):
        log.append(f"started {fl.request.path}")

    fl.request_started.connect(started, app, weak=False)


def streaming(fl, app, log):
    def view():
        def pieces():
            yield fl.request.path
            yield fl.url_for("index")

        return fl.Response(fl.stream_with_context(pieces()))

    app.view_functions["index"] = view


def late_hook(fl, app, log):
    def view():
        @fl.after_this_request
        def add(response):
            response.headers["X-Late"] = "yes"
            return response

        return "late"

    app.view_functions["index"] = view
    app.after_request_funcs.clear()


def nested_context(fl, app, log):
    def view():
        fl.g.a = 1
        with app.app_context():
            inner = fl.g.get("a")
        with app.test_request_context("/inner?x=1"):
            path = fl.request.path
        return f"{inner} {path} {fl.request.path} {fl.g.a}"

    app.view_functions["index"] = view


def wsgi_in_a_view(fl, app, log):
    def view():
        def answer(environ, start_response):
            start_response("203 OWN", [("X-A", environ["PATH_INFO"])])
            return [b"called"]

        return answer

    app.view_functions["index"] = view


CHANGES = [
    replaced_in_place,
    answering_hook,
    hook_changes_arguments,
    hook_changes_the_rule,
    hook_refuses,
    preprocessor,
    failing_after,
    failing_teardown,
    handlers,
    handler_of_all,
    failing_handler,
    own_blueprint_hooks,
    no_hooks,
    own_view,
    own_async_view,
    one_view_less,
    new_rule,
    no_strict_slashes,
    json_settings,
    json_default,
    another_provider,
    debug,
    propagating,
    trapping,
    in_tests,
    no_secret,
    another_secret,
    fallback,
    another_cookie,
    permanent,
    untrusted,
    server_name,
    own_interface,
    own_request,
    request_with_a_constructor,
    own_response,
    signals,
    one_signal,
    streaming,
    late_hook,
    nested_context,
    wsgi_in_a_view,
]


def answers(fl: Any, call: Any, *changes: Any) -> tuple[list[Any], list[Any]]:
    """Answers before the changes and after each of them, and what was logged.

    The requests are made twice before and after a single change, and after the last of several.
    """
    log: list[Any] = []
    app = build(fl, log)
    jar = Jar()
    seen = []
    for change in (None, *changes):
        if change is not None:
            change(fl, app, log)
        twice = len(changes) == 1 or change is changes[-1]
        for req in REQUESTS * (2 if twice else 1):
            found = call(app, jar.add_to(req))
            jar.keep(found)
            seen.append((req.method, req.target, normal(found)))
            log.append("---")
    return seen, log


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_change_has_effect_from_the_next_request(pair: Any, frozen: None, change: Any) -> None:
    expected = answers(pair.flask, call_wsgi, change)
    for call in LANES.values():
        found = answers(pair.carboy, call, change)
        for mine, theirs in zip(*(each[0] for each in (found, expected)), strict=True):
            assert mine == theirs, call.__name__
        assert found[1] == expected[1], call.__name__


PAIRS = [
    (first, second)
    for number, first in enumerate(CHANGES)
    for second in CHANGES[number + 1 :: 11]
    # The order of two receivers of one signal is not defined.
    if {first, second} != {signals, one_signal}
]


@pytest.mark.parametrize(
    "changes", PAIRS, ids=lambda pair: " and ".join(each.__name__ for each in pair)
)
def test_two_changes_have_effect_together(pair: Any, frozen: None, changes: Any) -> None:
    expected = answers(pair.flask, call_wsgi, *changes)
    for call in LANES.values():
        found = answers(pair.carboy, call, *changes)
        for mine, theirs in zip(*(each[0] for each in (found, expected)), strict=True):
            assert mine == theirs, call.__name__
        assert found[1] == expected[1], call.__name__
