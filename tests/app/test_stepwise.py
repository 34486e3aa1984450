"""Coroutine functions as hooks, handlers and class-based views hold no thread, and change nothing.

Each scenario runs through the ordinary cycle (`cycle.py`, on the WSGI lane, where a thread waits)
and through the steps (`stepwise.py`, on the direct lane), and both have to agree.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

import carboy
from carboy.app import stepwise
from carboy.app.app import Carboy
from carboy.app.views import MethodView, View
from carboy.middleware.proxy_fix import ProxyFix
from live_engine import GET, Live, eventually, served


class Told:
    def __init__(self) -> None:
        self.events: list[Any] = []
        self.running = 0
        self.go = threading.Event()

    async def wait(self) -> None:
        self.running += 1
        while not self.go.is_set():
            await asyncio.sleep(0.01)


def add_hooks(app: Any, told: Told, name: str) -> None:
    """Hooks of an application or a blueprint: plain and coroutine functions by turns."""

    @app.before_request
    async def before() -> Any:
        await asyncio.sleep(0)
        told.events.append(f"{name} before {carboy.request.path}")
        carboy.g.seen = [*getattr(carboy.g, "seen", ()), name]
        if name in carboy.request.args.getlist("answer"):
            return f"{name} answers", 203
        if name in carboy.request.args.getlist("raise"):
            raise ValueError(name)

    @app.before_request
    def plain_before() -> None:
        told.events.append(f"{name} plain before")

    @app.after_request
    async def after(response: Any) -> Any:
        await asyncio.sleep(0)
        told.events.append(f"{name} after {response.status_code}")
        if name in carboy.request.args.getlist("raise_after"):
            raise KeyError(name)
        response.headers.add("X-Seen", "".join(carboy.g.get("seen", ())))
        return response

    @app.after_request
    def plain_after(response: Any) -> Any:
        told.events.append(f"{name} plain after")
        return response

    @app.teardown_request
    async def teardown(error: BaseException | None) -> None:
        await asyncio.sleep(0)
        told.events.append(f"{name} teardown {error!r} {carboy.request.path}")

    @app.teardown_request
    def plain_teardown(error: BaseException | None) -> None:
        told.events.append(f"{name} plain teardown")
        if name in carboy.request.args.getlist("raise_teardown"):
            raise OSError(name)


def add_views(app: Carboy, told: Told) -> None:
    @app.get("/plain")
    def plain() -> str:
        told.events.append("view")
        carboy.session["n"] = 1
        return "plain"

    @app.get("/async/<int:n>")
    async def coroutine(n: int) -> dict[str, int]:
        await asyncio.sleep(0)
        return {"n": n}

    @app.get("/handled")
    async def handled() -> str:
        raise LookupError("handled")

    @app.get("/unhandled")
    def unhandled() -> str:
        raise ZeroDivisionError("unhandled")

    @app.get("/aborts")
    def aborts() -> str:
        carboy.abort(418)

    @app.get("/nothing")
    def nothing() -> Any:
        return None

    @app.get("/later")
    def later() -> Any:
        @carboy.after_this_request
        async def mark(response: Any) -> Any:
            await asyncio.sleep(0)
            response.headers["X-Mark"] = "yes"
            return response

        return "later"

    @app.get("/pieces")
    async def pieces() -> Any:
        yield "a"
        await asyncio.sleep(0)
        yield carboy.request.path

    @app.get("/redirect/")
    def slash() -> str:
        return "slash"

    class Methods(MethodView):
        async def get(self) -> str:
            await asyncio.sleep(0)
            return "method"

        def post(self) -> str:
            return "posted"

    app.add_url_rule("/methods", view_func=Methods.as_view("methods"))

    class Dispatches(View):
        init_every_request = False

        async def dispatch_request(self) -> str:
            await asyncio.sleep(0)
            return "dispatched"

    app.add_url_rule("/dispatches", view_func=Dispatches.as_view("dispatches"))


def application(told: Told, errors: bool) -> Carboy:
    app = carboy.Flask("steps")
    app.secret_key = "key"
    add_hooks(app, told, "app")
    add_views(app, told)
    inner = carboy.Blueprint("inner", "inner", url_prefix="/inner")
    outer = carboy.Blueprint("outer", "outer", url_prefix="/outer")
    add_hooks(inner, told, "inner")
    add_hooks(outer, told, "outer")
    inner.add_url_rule("/", view_func=lambda: "inner")
    outer.register_blueprint(inner)

    @app.teardown_appcontext
    async def left(error: BaseException | None) -> None:
        await asyncio.sleep(0)
        told.events.append(f"left {error!r} {carboy.has_request_context()}")

    @app.url_value_preprocessor
    def values(endpoint: str | None, values: dict[str, Any] | None) -> None:
        told.events.append(f"values {endpoint} {values}")

    if errors:

        @app.errorhandler(LookupError)
        async def lookup(error: LookupError) -> tuple[str, int]:
            await asyncio.sleep(0)
            return f"handled {error}", 503

        @app.errorhandler(404)
        async def missing(error: Any) -> tuple[str, int]:
            await asyncio.sleep(0)
            return f"missing {error.code}", 404

        @app.errorhandler(500)
        async def failed(error: Any) -> tuple[str, int]:
            await asyncio.sleep(0)
            return f"failed {error.original_exception!r}", 500

        @outer.errorhandler(ValueError)
        async def wrong(error: ValueError) -> tuple[str, int]:
            await asyncio.sleep(0)
            return f"outer handles {error}", 400

    app.register_blueprint(outer)
    return app


SCENARIOS = [
    ("GET", "/plain"),
    ("GET", "/plain?answer=app"),
    ("GET", "/plain?raise=app"),
    ("GET", "/plain?raise_after=app"),
    ("GET", "/plain?raise_teardown=app"),
    ("GET", "/async/7"),
    ("GET", "/async/x"),
    ("GET", "/handled"),
    ("GET", "/unhandled"),
    ("GET", "/unhandled?raise_after=app"),
    ("GET", "/aborts"),
    ("GET", "/nothing"),
    ("GET", "/later"),
    ("GET", "/pieces"),
    ("GET", "/missing"),
    ("GET", "/redirect"),
    ("POST", "/plain"),
    ("OPTIONS", "/plain"),
    ("HEAD", "/plain"),
    ("GET", "/methods"),
    ("HEAD", "/methods"),
    ("POST", "/methods"),
    ("PUT", "/methods"),
    ("GET", "/dispatches"),
    ("GET", "/outer/inner/"),
    ("GET", "/outer/inner/?answer=outer"),
    ("GET", "/outer/inner/?raise=inner"),
    ("GET", "/outer/inner/?raise_teardown=inner&raise=outer"),
]


def observed(live: Live, told: Told, method: str, target: str) -> Any:
    """The response to a request, and what the functions of the application have seen."""
    told.events.clear()
    with live.client() as client:
        client.request(method, target, {"Connection": "close"})
        reply = client.reply(method)
        client.rest()
    eventually(lambda: any(str(each).startswith("left ") for each in told.events))
    headers = sorted(
        (name, value) for name, value in reply.headers.items() if name not in ("Date", "Set-Cookie")
    )
    return reply.status, headers, reply.body, list(told.events)


@pytest.fixture(scope="module", params=[False, True], ids=["no handlers", "handlers"])
def both(request: pytest.FixtureRequest) -> Iterator[list[tuple[Live, Told]]]:
    with ExitStack() as stack:
        found = []
        for wrapped in (True, False):
            told = Told()
            app = application(told, errors=request.param)
            if wrapped:
                app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]
            live = stack.enter_context(served(app))
            observed(live, told, "GET", "/plain")  # the hooks are known from now on
            found.append((live, told))
        yield found


@pytest.mark.parametrize(("method", "target"), SCENARIOS)
def test_both_ways_agree(
    both: list[tuple[Live, Told]], method: str, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stepped: list[Any] = []
    original = stepwise.Stepwise.advance

    def advance(self: Any, result: Any, exchange: Any) -> Any:
        stepped.append(self)
        return original(self, result, exchange)

    monkeypatch.setattr(stepwise.Stepwise, "advance", advance)
    [(wsgi, wsgi_told), (direct, direct_told)] = both
    expected = observed(wsgi, wsgi_told, method, target)
    assert not stepped
    assert observed(direct, direct_told, method, target) == expected
    assert stepped


def waits_before(app: Carboy, told: Told) -> None:
    app.before_request(told.wait)


def waits_after(app: Carboy, told: Told) -> None:
    @app.after_request
    async def after(response: Any) -> Any:
        await told.wait()
        return response


def waits_at_the_end(app: Carboy, told: Told) -> None:
    @app.teardown_request
    async def teardown(error: BaseException | None) -> None:
        await told.wait()


def waits_in_the_handler(app: Carboy, told: Told) -> None:
    @app.before_request
    def fails() -> None:
        raise ValueError

    @app.errorhandler(ValueError)
    async def handler(error: ValueError) -> str:
        await told.wait()
        return "view"


def waits_in_the_500(app: Carboy, told: Told) -> None:
    @app.before_request
    def fails() -> None:
        raise ValueError

    @app.errorhandler(500)
    async def handler(error: Any) -> str:
        await told.wait()
        return "view"


def waits_in_a_class(app: Carboy, told: Told) -> None:
    class Waits(MethodView):
        async def get(self) -> str:
            await told.wait()
            return "view"

    app.add_url_rule("/", view_func=Waits.as_view("waits"))


WAITS = [waits_before, waits_after, waits_at_the_end, waits_in_the_handler, waits_in_the_500,
         waits_in_a_class]  # fmt: skip


@pytest.mark.parametrize("add", WAITS, ids=lambda each: each.__name__)
def test_more_requests_wait_than_there_are_threads(add: Callable[[Carboy, Told], None]) -> None:
    told = Told()
    app = carboy.Flask("steps")
    add(app, told)
    if "/" not in [rule.rule for rule in app.url_map.iter_rules()]:
        app.add_url_rule("/", view_func=lambda: "view")
    app.logger.disabled = True
    count = 60
    with served(app, threads=3) as live, ExitStack() as stack:
        clients = [stack.enter_context(live.client()) for _ in range(count)]
        for client in clients:
            client.send(GET)
        eventually(lambda: told.running == count)
        told.go.set()
        for client in clients:
            assert client.reply().body == b"view"


def test_a_hook_is_cancelled_when_its_client_leaves() -> None:
    told = Told()
    app = carboy.Flask("steps")

    @app.before_request
    async def before() -> None:
        try:
            if carboy.request.path == "/":
                await told.wait()
        except asyncio.CancelledError:
            told.events.append("cancelled")
            raise

    @app.teardown_request
    async def teardown(error: BaseException | None) -> None:
        await asyncio.sleep(0)
        told.events.append(type(error).__name__)

    app.add_url_rule("/quick", view_func=lambda: "quick")
    with served(app, record=True) as live:
        assert live.get("/quick").body == b"quick"
        with live.client() as client:
            client.send(GET)
            eventually(lambda: told.running)
        eventually(lambda: told.events == ["NoneType", "cancelled", "CancelledError"])
        eventually(lambda: len(live.records) == 2)
        assert live.records[1][4] == 499


def test_a_server_that_ends_leaves_no_errors(caplog: pytest.LogCaptureFixture) -> None:
    told = Told()
    app = carboy.Flask("steps")

    @app.before_request
    async def before() -> None:
        if carboy.request.path == "/":
            await told.wait()

    @app.teardown_request
    async def teardown(error: BaseException | None) -> None:
        await asyncio.sleep(0)

    app.add_url_rule("/quick", view_func=lambda: "quick")
    unraisable: list[Any] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.unraisablehook", unraisable.append)
        with served(app) as live:
            live.get("/quick")
            with live.client() as client:
                client.send(GET)
                eventually(lambda: told.running)
                live.engine.stop(graceful=False)
                live.join()
                told.go.set()
    assert unraisable == []
    assert "Traceback" not in caplog.text


def test_a_decorated_class_based_view_still_waits_in_its_decorator() -> None:
    told = Told()
    app = carboy.Flask("steps")

    def around(view: Any) -> Any:
        def inner(**kwargs: Any) -> Any:
            told.events.append("before")
            found = view(**kwargs)
            told.events.append("after")
            return found

        return inner

    class Waits(MethodView):
        decorators = [around]

        async def get(self) -> str:
            await asyncio.sleep(0)
            told.events.append("view")
            return "view"

    app.add_url_rule("/", view_func=Waits.as_view("waits"))
    with served(app) as live:
        assert live.get().body == b"view"
    assert told.events == ["before", "view", "after"]
