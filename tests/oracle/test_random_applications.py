"""Applications of random parts, which have to answer random requests as they do on Flask.

A part does something only if the query has its name, so each request takes another way through the
same application: past hooks, handlers and signals that are there but idle, or into them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scenarios import SIGNALS, Pair, Req

PAIR = Pair()
Log = list[Any]
Made = dict[str, Callable[..., Any]]


def asked(fl: Any, name: str) -> bool:
    """Whether the request asks a part to act."""
    return name in fl.request.args


# --- what a view returns, or does


def reading(fl: Any) -> Any:
    req = fl.request
    return {
        "args": req.args.to_dict(flat=False),
        "form": req.form.to_dict(flat=False),
        "path": [req.path, req.endpoint, req.blueprint, req.view_args, req.method],
    }


def with_session(fl: Any) -> Any:
    fl.session["seen"] = fl.session.get("seen", 0) + 1
    return str(fl.session["seen"])


def with_reading_of_the_session(fl: Any) -> Any:
    return repr(sorted(fl.session.items()))


def with_later_hook(fl: Any) -> Any:
    @fl.after_this_request
    def added(response: Any) -> Any:
        response.headers["X-Later"] = "1"
        return response

    return "later"


def streamed(fl: Any) -> Any:
    return fl.Response(fl.stream_with_context(iter(["a", fl.request.method, "c"])))


def flashed(fl: Any) -> Any:
    fl.flash("message")
    return "flashed"


VIEWS: dict[str, Callable[[Any], Any]] = {
    "text": lambda fl: "text é",
    "bytes": lambda fl: b"bytes",
    "empty": lambda fl: "",
    "dict": lambda fl: {"b": 1, "a": [None, 1.5, "é"]},
    "list": lambda fl: [1, {"x": ()}],
    "nothing": lambda fl: None,
    "number": lambda fl: 3,
    "status": lambda fl: ("made", 201),
    "fields": lambda fl: ("made", {"X-A": "b", "Content-Type": "text/plain"}),
    "all three": lambda fl: ({"a": 1}, "299 Odd", [("X-A", "1"), ("X-A", "2")]),
    "no content": lambda fl: ("", 204),
    "response": lambda fl: fl.Response("made", 202, mimetype="text/x-own"),
    "changed response": lambda fl: fl.make_response(("made", 203)),
    "redirect": lambda fl: fl.redirect("/text", 303),
    "generator": lambda fl: (piece for piece in ("a", "b")),
    "streamed": streamed,
    "missing": lambda fl: fl.abort(404),
    "missing, with a reason": lambda fl: fl.abort(404, "not this one"),
    "aborted with a response": lambda fl: fl.abort(fl.Response("aborted", 418)),
    "returned error": lambda fl: fl.exceptions.Forbidden(),
    "key error": lambda fl: {}["key"],
    "division": lambda fl: 1 // 0,
    "bad key": lambda fl: fl.request.args["none"],
    "reading": reading,
    "session": with_session,
    "session that is read": with_reading_of_the_session,
    "later hook": with_later_hook,
    "flash": flashed,
    "flashed": lambda fl: repr(fl.get_flashed_messages()),
    "template": lambda fl: fl.render_template_string("{{ request.path }} {{ g.get('x') }}<", a=1),
    "g": lambda fl: str(fl.g.setdefault("x", 0)),
    "url": lambda fl: fl.url_for("text", q="1"),
    "static url": lambda fl: fl.url_for("static", filename="a b"),
    "wsgi": lambda fl: lambda environ, start: (start("298 Own", [("X-W", "1")]), [b"own"])[1],
}

ENDPOINTS = {name: name.replace(" ", "-").replace(",", "") for name in VIEWS}

# --- parts of an application or a blueprint (`to`)


def before(fl: Any, log: Log, to: Any, name: str) -> None:
    @to.before_request
    def hook() -> Any:
        log.append(f"before {name}")
        if asked(fl, "before-answers"):
            return f"before {name}", 288
        if asked(fl, "before-aborts"):
            fl.abort(403)
        if asked(fl, "before-fails"):
            raise KeyError(name)
        return None


def after(fl: Any, log: Log, to: Any, name: str) -> None:
    @to.after_request
    def hook(response: Any) -> Any:
        log.append(f"after {name} {response.status_code}")
        response.headers.add("X-After", name)
        if asked(fl, "after-replaces"):
            return fl.Response(f"replaced by {name}", 289)
        if asked(fl, "after-fails"):
            raise LookupError(name)
        if asked(fl, "after-session"):
            fl.session["after"] = name
        return response


def teardown(fl: Any, log: Log, to: Any, name: str) -> None:
    @to.teardown_request
    def hook(error: Any) -> None:
        log.append(f"teardown {name} {type(error).__name__} {fl.request.path}")


def preprocessor(fl: Any, log: Log, to: Any, name: str) -> None:
    @to.url_value_preprocessor
    def hook(endpoint: Any, values: Any) -> None:
        log.append(f"values {name} {endpoint} {values}")
        if values and "number" in values:
            values["number"] += 1


def defaults(fl: Any, log: Log, to: Any, name: str) -> None:
    @to.url_defaults
    def hook(endpoint: Any, values: Any) -> None:
        log.append(f"defaults {name} {endpoint}")
        values.setdefault("d", name)


def handler(of: Any, fl: Any, log: Log, to: Any, name: str) -> None:
    kind = getattr(fl.exceptions, of, None) if isinstance(of, str) else of

    @to.errorhandler(kind)
    def hook(error: Any) -> Any:
        log.append(f"handler {name} {of} {type(error).__name__}")
        if asked(fl, "handler-fails"):
            raise RuntimeError(name)
        if asked(fl, "handler-returns"):
            return error
        return f"handled by {name}: {type(error).__name__}", 287


def context_teardown(fl: Any, log: Log, to: Any, name: str) -> None:
    add = getattr(to, "teardown_appcontext", None)
    if add is not None:
        add(lambda error: log.append(f"context {type(error).__name__}"))


def processor(fl: Any, log: Log, to: Any, name: str) -> None:
    to.context_processor(lambda: log.append(f"processor {name}") or {})


PARTS: dict[str, Callable[[Any, Log, Any, str], None]] = {
    "before": before,
    "after": after,
    "teardown": teardown,
    "preprocessor": preprocessor,
    "defaults": defaults,
    "context teardown": context_teardown,
    "processor": processor,
    "handler of 404": partial(handler, 404),
    "handler of 405": partial(handler, 405),
    "handler of 500": partial(handler, 500),
    "handler of KeyError": partial(handler, KeyError),
    "handler of Exception": partial(handler, Exception),
    "handler of HTTPException": partial(handler, "HTTPException"),
    "handler of Forbidden": partial(handler, "Forbidden"),
}
CONFIG: dict[str, tuple[Any, ...]] = {
    "SECRET_KEY": (None, "key"),
    "PROPAGATE_EXCEPTIONS": (None, True),
    "TRAP_HTTP_EXCEPTIONS": (False, True),
    "TRAP_BAD_REQUEST_ERRORS": (None, True),
    "SESSION_REFRESH_EACH_REQUEST": (True, False),
    "TRUSTED_HOSTS": (None, None, None, ["localhost"], ["example.org"]),
    "SERVER_NAME": (None, None, None, "localhost", "example.org"),
    "MAX_CONTENT_LENGTH": (None, None, 3),
}


@dataclass(frozen=True)
class Application:
    """A choice of parts and views."""

    config: dict[str, Any]
    parts: list[str]
    blueprint: list[str]  # parts of a blueprint
    inner: list[str]  # parts of a blueprint in it
    heard: list[str]  # signals with a receiver
    views: list[str]

    def __call__(self, fl: Any, log: Log) -> Any:
        app = fl.Flask("scenario", static_folder="static")
        app.config.update(self.config)
        blueprint = fl.Blueprint("outer", "scenario", url_prefix="/outer")
        inner = fl.Blueprint("inner", "scenario", url_prefix="/inner")
        groups = ((app, self.parts), (blueprint, self.blueprint), (inner, self.inner))
        for to, parts in groups:
            name = getattr(to, "name", "")
            for part in parts:
                PARTS[part](fl, log, to, name)
            self.add_views(fl, log, to)
        blueprint.register_blueprint(inner)
        app.register_blueprint(blueprint)
        # Signals refer to receivers weakly.
        app.extensions["scenario"] = [self.receiver(fl, log, app, name) for name in self.heard]
        return app

    def add_views(self, fl: Any, log: Log, to: Any) -> None:
        for name in {"text", *self.views}:
            action = VIEWS[name]

            def view(action: Any = action, name: str = name, **values: Any) -> Any:
                log.append(f"view {name} {values}")
                return action(fl)

            endpoint = ENDPOINTS[name]
            to.add_url_rule(f"/{endpoint}", endpoint, view)
            to.add_url_rule(f"/post/{endpoint}", f"post-{endpoint}", view, methods=["POST", "PUT"])
            to.add_url_rule(f"/<int:number>/{endpoint}/", f"number-{endpoint}", view)
            to.add_url_rule(f"/fixed/{endpoint}", f"fixed-{endpoint}", view, defaults={"number": 7})

    def receiver(self, fl: Any, log: Log, app: Any, name: str) -> Any:
        def receive(sender: Any, **values: Any) -> None:
            log.append(f"signal {name} {sorted(values)}")

        getattr(fl, name).connect(receive, app)
        return receive


def few(of: Any, most: int = 3) -> st.SearchStrategy[list[Any]]:
    return st.lists(st.sampled_from(sorted(of)), max_size=most, unique=True)


FLAGS = (
    *("before-answers", "before-aborts", "before-fails"),
    *("after-replaces", "after-fails", "after-session", "handler-fails", "handler-returns"),
)
SHAPES = (
    *("/{}", "/{}", "/post/{}", "/5/{}/", "/5/{}", "/fixed/{}", "/7/{}/", "/x/{}", "//{}", "/{}/"),
    *("/", "/static/none", "/nowhere", "/%74ext"),
)


def requests_for(views: list[str]) -> st.SearchStrategy[Req]:
    paths = st.builds(
        lambda prefix, shape, view: prefix + shape.format(ENDPOINTS[view]),
        st.sampled_from(("", "", "/outer", "/outer/inner")),
        st.sampled_from(SHAPES),
        st.sampled_from(views),
    )
    return st.builds(
        lambda path, flags, method, body, host: Req(
            f"{path}?{'&'.join(flags)}" if flags else path,
            method,
            {"Content-Type": "application/x-www-form-urlencoded"} if body else {},
            body,
            host,
        ),
        paths,
        few(FLAGS, 2) | st.just([]),
        st.sampled_from(("GET", "GET", "GET", "POST", "HEAD", "OPTIONS", "PUT", "BREW")),
        st.sampled_from((b"", b"", b"a=1&b=2&a=3", b"\xff")),
        st.sampled_from(("localhost", "localhost", "localhost", "example.org", "localhost:80")),
    )


@st.composite
def cases(draw: st.DrawFn) -> tuple[Application, list[Req]]:
    views = draw(st.lists(st.sampled_from(sorted(VIEWS)), min_size=1, max_size=4, unique=True))
    application = Application(
        draw(
            st.fixed_dictionaries(
                {}, optional={key: st.sampled_from(of) for key, of in CONFIG.items()}
            )
        ),
        draw(few(PARTS, 4)),
        draw(few(PARTS)),
        draw(few(PARTS, 2)),
        draw(few(SIGNALS, 2)),
        views,
    )
    return application, draw(st.lists(requests_for(views), min_size=1, max_size=6))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # one time for all of them
@given(cases())
def test_a_random_application_answers_as_on_flask(
    frozen: None, case: tuple[Application, list[Req]]
) -> None:
    application, requests = case
    PAIR(application, *requests)
