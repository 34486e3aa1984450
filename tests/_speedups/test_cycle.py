"""The compiled direct lane: the answers of the twins in app/cycle.py, and what it leaves to them.

The tests in tests/oracle run each scenario on it, too.
"""

from __future__ import annotations

import gc
import traceback
import weakref
from collections.abc import Callable
from contextvars import copy_context
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import carboy
import carboy.http.exceptions
from _speedups.twins import compiled
from carboy.app import cycle
from carboy.app import lane as lanes
from carboy.app.plan import NO_RULE
from live_engine import served
from scenarios import FakeExchange, Req

twin = compiled("cycle")
if lanes.compiled is None:
    pytest.skip("The compiled functions do not run.", allow_module_level=True)

VALUES = st.one_of(
    st.text(max_size=5),
    st.just("x" * 2000),
    st.just("\ud800"),
    st.binary(max_size=5),
    st.dictionaries(st.text(max_size=3), st.integers() | st.none() | st.text(max_size=3)),
    st.lists(st.integers(), max_size=3),
    st.tuples(st.text(max_size=3), st.sampled_from((200, 201, 204, 304, 404, 700))),
    st.tuples(st.just("x"), st.just({"X-A": "b"})),
    st.sampled_from((None, 3, carboy.Response("made", 202), {1: object()}, bytearray(b"x"))),
)


def application(view: Callable[..., Any], **config: Any) -> carboy.Flask:
    app = carboy.Flask("lane")
    app.config.update(config)
    app.logger.disabled = True
    app.add_url_rule("/", "view", view, methods=["GET", "POST"])
    app.add_url_rule("/<int:number>", "number", view)
    app.add_url_rule("/known", "known", view, defaults={"number": 3})
    return app


def lane_of(app: carboy.Flask) -> Any:
    """The lane of an application that has answered a request."""
    assert app.direct_ready()
    for path in ("/", "/1", "/known"):
        exchange: Any = FakeExchange(Req(path))
        app.direct_prepare(exchange)
        copy_context().run(app.direct_handle, exchange)
    return app.direct_lane()(None)


def both(app: carboy.Flask, req: Req, lane: Any = None) -> tuple[Any, Any]:
    """Keys and answers of the lane and of its twin."""
    found = []
    chosen = lane or lane_of(app)
    for prepare, handle in (
        (chosen.prepare, chosen.handle),
        (app.direct_prepare, app.direct_handle),
    ):
        exchange: Any = FakeExchange(req)
        key = prepare(exchange)
        status, headers, body, close = copy_context().run(handle, exchange)
        found.append((key, status, list(headers), body, close is None))
    return found[0], found[1]


@given(
    VALUES,
    st.sampled_from(
        ("/", "/7", "/known", "/missing", "/seven", "/7/", "/known/", "/known/7", "/missing//7")
        + ("", "/%37", "/\u00e9", "//x", "//", "*")
    ),
    st.sampled_from(("GET", "HEAD", "OPTIONS", "POST", "get", "BREW")),
    st.booleans(),
)
def test_an_answer_is_that_of_the_python_twin(
    value: Any, path: str, method: str, debug: bool
) -> None:
    app = application(lambda number=0: value, SECRET_KEY="k" if debug else None)
    app.json.compact = None if debug else False  # type: ignore[attr-defined]
    mine, theirs = both(app, Req(path, method))
    assert mine == theirs


@pytest.fixture
def twins(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The steps that are left to the twins."""
    left: list[str] = []

    def noting(name: str) -> Callable[..., Any]:
        function = getattr(cycle, name)

        def call(*arguments: Any) -> Any:
            left.append(name)
            return function(*arguments)

        return call

    with monkeypatch.context() as patch:
        for name in ("prepare", "handle", "run"):
            patch.setattr(cycle, name, noting(name))
        lanes._choose(twin)
    yield left
    lanes._choose(twin)


def asked(app: carboy.Flask, left: list[str], path: str = "/", **more: Any) -> list[str]:
    """The steps that a request leaves to the twins, after others have taught the plan."""
    lane = lane_of(app)
    left.clear()
    exchange: Any = FakeExchange(Req(path, **more))
    lane.prepare(exchange)
    if exchange.match is not None:
        copy_context().run(lane.handle, exchange)
    return list(left)


ORDINARY = {
    "text": lambda number=0: "text",
    "bytes": lambda number=0: b"bytes",
    "JSON": lambda number=0: {"a": [1]},
    "a view that uses the request": lambda number=0: carboy.request.args.get("q", "none"),
    "a view that uses g": lambda number=0: setattr(carboy.g, "x", 1) or carboy.current_app.name,
}


@pytest.mark.parametrize("name", ORDINARY)
@pytest.mark.parametrize("path", ["/", "/5", "/known"])
def test_an_ordinary_request_needs_no_twin(name: str, path: str, twins: list[str]) -> None:
    assert asked(application(ORDINARY[name]), twins, path) == []


def test_a_signal_without_receivers_needs_no_twin(twins: list[str]) -> None:
    assert carboy.request_started.receivers == {}
    assert asked(application(ORDINARY["text"]), twins) == []


def hooked(name: str) -> carboy.Flask:
    app = application(ORDINARY["text"])
    getattr(app, name)(lambda *args: args[0] if name == "after_request" else None)
    return app


@pytest.mark.parametrize(
    ("name", "left"),
    [
        ("before_request", []),
        ("after_request", ["run"]),
        ("teardown_request", []),
        ("teardown_appcontext", []),
        ("url_value_preprocessor", ["handle"]),
    ],
)
def test_the_twins_do_what_follows_from_hooks(name: str, left: list[str], twins: list[str]) -> None:
    app = hooked(name)
    assert asked(app, twins) == left
    assert asked(app, twins, "/missing") == ["handle"]


@pytest.mark.parametrize("kind", ["answers", "fails", "changes the values", "changes the view"])
def test_a_hook_before_the_view_decides_as_with_the_twin(kind: str) -> None:
    app = application(lambda number=0: f"view {number}")
    app.register_error_handler(ValueError, lambda error: ("failed", 500))
    hooked = False

    @app.before_request
    def hook() -> Any:
        if not hooked:
            return None
        if kind == "answers":
            return "hook"
        if kind == "fails":
            raise ValueError("hook")
        if kind == "changes the values":
            carboy.request.view_args = {"number": 9}
        else:
            app.view_functions["number"] = lambda number: "other"
        return None

    lane = lane_of(app)
    hooked = True
    mine, theirs = both(app, Req("/5"), lane)
    assert mine == theirs
    expected = {"answers": b"hook", "fails": b"failed", "changes the values": b"view 9"}
    assert mine[3] == expected.get(kind, b"other")


def test_a_receiver_of_a_signal_takes_part(twins: list[str]) -> None:
    app = application(ORDINARY["text"])
    with carboy.request_finished.connected_to(lambda sender, response: None, app):
        assert asked(app, twins) == ["handle"]


class Own(carboy.Flask):
    def dispatch_request(self) -> Any:
        return "own"


def test_a_replaced_step_is_called() -> None:
    app = Own("own")
    app.add_url_rule("/", "view", lambda: "view")
    exchange: Any = FakeExchange(Req())
    lane = app.direct_lane()(None)
    assert app.direct_ready()
    lane.prepare(exchange)
    assert lane.handle(exchange)[2] == b"own"


def missing(app: carboy.Flask, left: list[str], **more: Any) -> list[str]:
    """The steps that the lane leaves to the twins for a path without a rule.

    Its answer is that of the twin.
    """
    lane = lane_of(app)
    mine, theirs = both(app, Req("/missing", **more), lane)
    assert mine == theirs
    assert mine[0] == NO_RULE
    return asked(app, left, "/missing", **more)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS", "get"])
@pytest.mark.parametrize("secret", [None, "k"])
def test_a_path_without_a_rule_needs_no_twin(
    method: str, secret: str | None, twins: list[str]
) -> None:
    app = application(ORDINARY["text"], SECRET_KEY=secret)
    app.register_error_handler(405, lambda error: "other")
    assert missing(app, twins, method=method) == []


def test_a_path_that_a_converter_refuses_needs_no_twin(twins: list[str]) -> None:
    app = application(ORDINARY["text"])
    mine, theirs = both(app, Req("/seven"))
    assert mine == theirs
    assert mine[1] == "404 NOT FOUND"
    assert asked(app, twins, "/seven") == []


LEFT_TO_THE_TWIN = {
    "a session cookie": lambda app: app.config.update(SECRET_KEY="k"),
    "an error handler": lambda app: app.register_error_handler(404, lambda error: "handled"),
    "a handler of all errors": lambda app: app.register_error_handler(
        carboy.http.exceptions.HTTPException, lambda error: ("any", 404)
    ),
    "trapped errors": lambda app: app.config.update(
        TRAP_HTTP_EXCEPTIONS=True, PROPAGATE_EXCEPTIONS=False
    ),
    "a hook": lambda app: app.after_request(lambda response: carboy.Response("hook")),
}


@pytest.mark.parametrize("name", LEFT_TO_THE_TWIN)
def test_a_path_without_a_rule_is_left_to_the_twin(name: str, twins: list[str]) -> None:
    app = application(ORDINARY["text"])
    LEFT_TO_THE_TWIN[name](app)
    assert "handle" in missing(app, twins, headers={"Cookie": "a=b; session=x"})


def test_another_name_of_the_session_cookie_is_noticed(twins: list[str]) -> None:
    app = application(ORDINARY["text"], SECRET_KEY="k")
    cookie = {"Cookie": "other=x"}
    assert missing(app, twins, headers=cookie) == []
    app.config["SESSION_COOKIE_NAME"] = "other"
    assert missing(app, twins, headers=cookie) == ["handle"]


def test_an_error_handler_that_is_added_to_the_open_table_is_called(twins: list[str]) -> None:
    app = application(ORDINARY["text"])
    assert missing(app, twins) == []
    handlers: Any = app.error_handler_spec
    handlers[None][404][carboy.http.exceptions.NotFound] = lambda error: "late"
    assert "handle" in missing(app, twins)


def test_a_patch_of_the_page_is_noticed(twins: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    app = application(ORDINARY["text"])
    assert missing(app, twins) == []
    kind = carboy.http.exceptions.NotFound
    monkeypatch.setattr(kind, "description", "Nothing is here.")
    assert missing(app, twins) == []
    monkeypatch.setattr(kind, "get_headers", lambda *args: [("X-Own", "1")])
    assert missing(app, twins) == ["handle"]


def test_the_fields_of_an_answer_may_be_changed() -> None:
    app = application(ORDINARY["text"])
    lane = lane_of(app)
    for _ in range(2):
        exchange: Any = FakeExchange(Req("/missing"))
        lane.prepare(exchange)
        status, headers, body, _ = lane.handle(exchange)
        assert len(headers) == 2
        headers.clear()


def late_hook() -> str:
    @carboy.after_this_request
    def change(response: Any) -> Any:
        response.headers["X-Late"] = "yes"
        return response

    return "hooked"


def session() -> str:
    carboy.session["n"] = 1
    return "session"


def added() -> str:
    # Flask refuses to add hooks by its methods after the first request.
    app: Any = carboy.current_app
    app.after_request_funcs.setdefault(None, []).append(lambda response: carboy.Response("late"))
    return "added"


@pytest.mark.parametrize("view", [late_hook, session, added])
def test_the_twin_goes_on_if_the_view_needs_more(view: Callable[[], Any], twins: list[str]) -> None:
    app = application(lambda number=0: "not yet", SECRET_KEY="k")
    lane = lane_of(app)
    app.view_functions["view"] = view
    assert app.direct_ready()
    warm: Any = FakeExchange(Req())
    app.direct_prepare(warm)
    if view is not added:
        copy_context().run(app.direct_handle, warm)
    else:
        app._plan.learn_view(app, "view", app.view_functions["view"])
    twins.clear()
    exchange: Any = FakeExchange(Req())
    lane.prepare(exchange)
    status, headers, body, _ = copy_context().run(lane.handle, exchange)
    assert twins == ["run"]
    assert status == "200 OK"
    found = dict(headers)
    assert body == (b"late" if view is added else b"hooked" if view is late_hook else b"session")
    assert ("X-Late" in found) == (view is late_hook)
    assert ("Set-Cookie" in found) == (view is session)


def test_an_error_of_a_view_keeps_its_traceback() -> None:
    def fail(number: int = 0) -> str:
        raise ValueError("wrong")

    app = application(fail)
    seen: list[BaseException] = []

    @app.errorhandler(ValueError)
    def handler(error: ValueError) -> Any:
        seen.append(error)
        return "handled", 418

    lane = lane_of(app)
    seen.clear()
    exchange: Any = FakeExchange(Req())
    lane.prepare(exchange)
    assert copy_context().run(lane.handle, exchange)[:3:2] == ("418 I'M A TEAPOT", b"handled")
    (error,) = seen
    assert [frame.name for frame in traceback.extract_tb(error.__traceback__)][-1] == "fail"
    assert error.__context__ is None


def test_a_patched_class_and_another_state_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    app = application(lambda number=0: "text")
    find = app.direct_lane()
    lane = lane_of(app)
    assert find(lane) is lane
    monkeypatch.setattr(carboy.Response, "default_mimetype", "text/plain")
    assert app.direct_ready()
    mine, theirs = both(app, Req(), lane)
    assert mine == theirs
    assert ("Content-Type", "text/plain; charset=utf-8") in mine[2]
    app.__dict__ = dict(app.__dict__)
    assert find(lane) is not lane


def test_the_contexts_end_with_the_request() -> None:
    seen: list[Any] = []

    def view(number: int = 0) -> str:
        seen.append(weakref.ref(carboy.request._get_current_object()))
        seen.append(weakref.ref(carboy.g._get_current_object()))
        return "text"

    app = application(view)
    lane = lane_of(app)
    seen.clear()
    gc.disable()
    try:
        exchange: Any = FakeExchange(Req())
        lane.prepare(exchange)
        context = copy_context()
        context.run(lane.handle, exchange)
        assert context.run(carboy.has_request_context) is False
        assert len(seen) == 2
        assert [each() for each in seen] == [None, None]
    finally:
        gc.enable()


def test_a_server_uses_the_lane_unless_code_is_shown() -> None:
    app = application(lambda number=0: "text")
    with served(app, record=False) as live:
        assert live.get().body == b"text"
        assert type(live.engine._gateway.lane) is twin.Lane
        from carboy.speedups import speedups

        speedups.hold("a test")
        try:
            assert live.get().body == b"text"
            assert live.engine._gateway.lane is None
        finally:
            speedups.release("a test")
        assert live.get().body == b"text"
        assert type(live.engine._gateway.lane) is twin.Lane
