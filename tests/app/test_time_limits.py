"""Which time limit a request of an application has."""

from __future__ import annotations

import math
from typing import Any

import pytest

import carboy
from carboy import time_limits, timeout
from carboy.app.time_limits import limit_of
from carboy.app.views import MethodView, View


@pytest.fixture(autouse=True)
def own_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time_limits, "_declared", set())


class Seen:
    """An exchange whose application is asked for the limit while it handles the request."""

    def __init__(self, context: Any) -> None:
        self.context = context


def limit(app: carboy.Carboy, path: str, method: str = "GET") -> float | None:
    """The limit in seconds of a request, as a server finds it; None: the application has none."""
    import contextvars

    with app.test_request_context(path, method=method):
        found = limit_of(Seen(contextvars.copy_context()))
    return None if found is None else found.seconds


def test_a_view_a_blueprint_and_the_configuration_have_limits_the_nearest_counts() -> None:
    app = carboy.Carboy("limits")
    inner = carboy.Blueprint("inner", __name__, url_prefix="/inner")
    outer = timeout(20)(carboy.Blueprint("outer", __name__, url_prefix="/outer"))
    outer.add_url_rule("/own", "own", timeout(3)(lambda: "own"))
    outer.add_url_rule("/", "plain", lambda: "plain")
    inner.add_url_rule("/", "deep", lambda: "deep")
    outer.register_blueprint(inner)
    app.register_blueprint(outer)
    app.add_url_rule("/", "root", lambda: "root")
    app.add_url_rule("/any", "any", timeout(None)(lambda: "any"))
    assert limit(app, "/") is None
    app.config["REQUEST_TIMEOUT"] = 30
    assert limit(app, "/") == 30
    assert limit(app, "/missing") == 30
    assert limit(app, "/outer/") == 20
    assert limit(app, "/outer/inner/") == 20
    assert limit(app, "/outer/own") == 3
    assert limit(app, "/any") == math.inf
    app.config["REQUEST_TIMEOUT"] = 0
    assert limit(app, "/") == math.inf


def test_classes_of_views_and_their_methods_have_limits() -> None:
    @timeout(5)
    class Report(MethodView):
        def get(self) -> str:
            return "report"

        @timeout(50)
        def post(self) -> str:
            return "made"

    class Page(View):
        decorators = [timeout(7)]

        def dispatch_request(self) -> str:
            return "page"

    app = carboy.Carboy("limits")
    app.add_url_rule("/report", view_func=Report.as_view("report"))
    app.add_url_rule("/page", view_func=Page.as_view("page"))
    assert limit(app, "/report") == 5
    assert limit(app, "/report", "POST") == 50
    assert limit(app, "/page") == 7


def test_the_order_of_decorators_is_not_important() -> None:
    from functools import wraps

    def other(view: Any) -> Any:
        @wraps(view)
        def wrapped() -> Any:
            return view()

        return wrapped

    app = carboy.Carboy("limits")
    app.add_url_rule("/a", "a", other(timeout(5)(lambda: "a")))
    app.add_url_rule("/b", "b", timeout(5)(other(lambda: "b")))

    @timeout(5)
    @app.get("/c")
    def c() -> str:
        return "c"

    assert [limit(app, path) for path in ("/a", "/b", "/c")] == [5, 5, 5]


def test_a_request_that_has_not_reached_the_application_has_no_limit_of_it() -> None:
    import contextvars

    assert limit_of(Seen(contextvars.Context())) is None


def test_something_that_takes_no_attributes_cannot_be_decorated() -> None:
    with pytest.raises(TypeError, match="A time limit cannot be set on"):
        timeout(5)(len)


def test_a_route_has_a_limit_which_is_nearer_than_that_of_its_view() -> None:
    app = carboy.Carboy("limits")
    part = timeout(20)(carboy.Blueprint("part", __name__, url_prefix="/part"))
    app.config["REQUEST_TIMEOUT"] = 30

    @app.get("/", timeout=5)
    @app.get("/other")
    @timeout(7)
    def view() -> str:
        return "view"

    part.add_url_rule("/rule", "rule", lambda: "rule", timeout=0.5)
    part.get("/any", timeout=None)(lambda: "any")
    app.register_blueprint(part)
    assert limit(app, "/") == 5
    assert limit(app, "/other") == 7
    assert limit(app, "/part/rule") == 0.5
    assert limit(app, "/part/any") == math.inf
    assert time_limits.shortest() == 0.5


@pytest.mark.parametrize(("value", "error"), [(-1, ValueError), ("5", TypeError)])
def test_a_time_of_a_route_is_checked(value: Any, error: type[Exception]) -> None:
    app = carboy.Carboy("limits")
    with pytest.raises(error, match="timeout needs a"):
        app.get("/", timeout=value)(lambda: "view")


def test_a_websocket_rule_has_no_limit() -> None:
    app = carboy.Carboy("limits")
    with pytest.raises(TypeError, match="A WebSocket has no time limit"):
        app.websocket("/", timeout=5)(lambda ws: None)
