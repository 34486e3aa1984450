"""Functions that run once a worker, before and after it serves; Quart's names and order."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import quart

import carboy
from carboy.gateway import for_application
from carboy.gateway.interface import StartFailed
from carboy.middleware.proxy_fix import ProxyFix
from live_engine import GET, LAST, eventually, served


def register(app: Any, blueprint: Any, told: list[str]) -> None:
    """The same functions on an application of each framework."""

    @app.after_serving
    async def after() -> None:
        told.append("after")

    @app.while_serving
    async def first() -> AsyncIterator[None]:
        told.append("first before")
        yield
        told.append("first after")

    @app.before_serving
    async def before() -> None:
        told.append("before")

    @app.before_serving
    def plain() -> None:
        told.append("plain")

    @blueprint.before_app_serving
    async def of_blueprint() -> None:
        told.append("blueprint before")

    @blueprint.while_app_serving
    async def around() -> AsyncIterator[None]:
        told.append("blueprint around before")
        yield
        told.append("blueprint around after")

    @blueprint.after_app_serving
    def after_blueprint() -> None:
        told.append("blueprint after")

    app.register_blueprint(blueprint)


def test_the_order_is_that_of_quart() -> None:
    theirs: list[str] = []
    app = quart.Quart("hooks")
    register(app, quart.Blueprint("b", "b"), theirs)

    async def main() -> None:
        async with app.test_app():
            theirs.append("serving")

    asyncio.run(main())
    ours: list[str] = []
    own = carboy.Flask("hooks")
    register(own, carboy.Blueprint("b", "b"), ours)
    with own.test_app():
        ours.append("serving")
    assert ours == theirs


def started(app: Any, loop: str = "asyncio") -> Any:
    gateway: Any = for_application(app, loop=loop)
    gateway.start()
    return gateway


@pytest.mark.parametrize("wrapped", [False, True])
def test_they_run_around_the_time_in_which_a_worker_serves(wrapped: bool) -> None:
    told: list[Any] = []
    app = carboy.Flask("hooks")

    @app.while_serving
    async def resource() -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        app.extensions["loop"] = loop
        told.append(carboy.current_app.name)
        yield
        told.append(asyncio.get_running_loop() is loop)

    @app.get("/")
    async def view() -> str:
        return str(app.extensions["loop"] is asyncio.get_running_loop())

    gateway = started(ProxyFix(app) if wrapped else app)
    with served(app, gateway=gateway) as live:
        assert live.get().body == b"True"
    gateway.stop(5)
    assert told == ["hooks", True]


def test_the_end_comes_after_the_last_request() -> None:
    told: list[str] = []
    running = threading.Event()
    app = carboy.Flask("hooks")

    @app.after_serving
    def after() -> None:
        told.append("after")

    @app.get("/")
    async def view() -> AsyncIterator[str]:
        yield "first"
        running.set()
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.05)
            told.append("closed")

    gateway = started(app)
    with served(app, gateway=gateway) as live, live.client() as client:
        client.send(GET)
        assert running.wait(20)
        live.engine.stop(graceful=False)
        live.join()
        gateway.stop(20)
    assert told == ["closed", "after"]


def test_a_plain_generator_may_wait() -> None:
    told: list[Any] = []
    app = carboy.Flask("hooks")

    @app.while_serving
    def around() -> Iterator[None]:
        told.append(threading.current_thread().name != "carboy-loop")
        yield
        told.append("after")

    gateway = started(app)
    assert told == [True]
    gateway.stop(5)
    assert told == [True, "after"]


@pytest.mark.parametrize("kind", ["before", "while", "plain"])
def test_an_error_stops_the_start_with_its_traceback(kind: str) -> None:
    told: list[str] = []
    app = carboy.Flask("hooks")

    @app.while_serving
    async def around() -> AsyncIterator[None]:
        try:
            yield
        finally:
            told.append("closed")

    async def fails() -> None:
        raise ValueError("no database")

    async def generator() -> AsyncIterator[None]:
        raise ValueError("no database")
        yield

    def plain() -> None:
        raise ValueError("no database")

    if kind == "while":
        app.while_serving(generator)
    else:
        app.before_serving(fails if kind == "before" else plain)
    with pytest.raises(StartFailed, match="The application failed to start: [^§]*no database"):
        started(app)
    assert told == (["closed"] if kind == "while" else [])


def test_an_error_at_the_end_is_logged_and_the_others_run(
    caplog: pytest.LogCaptureFixture,
) -> None:
    told: list[str] = []
    app = carboy.Flask("hooks")

    @app.after_serving
    async def fails() -> None:
        raise ValueError("first error")

    @app.after_serving
    async def fails_too() -> None:
        raise ValueError("second error")

    @app.after_serving
    async def runs() -> None:
        told.append("runs")

    started(app).stop(5)
    assert told == ["runs"]
    assert "first error" in caplog.text
    assert "second error" in caplog.text


def test_a_generator_has_one_yield() -> None:
    app = carboy.Flask("hooks")

    @app.while_serving
    async def twice() -> AsyncIterator[None]:
        yield
        yield

    async def main() -> None:
        await app.startup()
        with pytest.raises(RuntimeError, match="second yield"):
            await app.shutdown()

    asyncio.run(main())

    other = carboy.Flask("hooks")

    @other.while_serving
    async def never() -> AsyncIterator[None]:
        for _ in range(0):
            yield

    with pytest.raises(StartFailed, match="without a yield"):
        started(other)
    with pytest.raises(TypeError, match="generator function"):
        app.while_serving(lambda: None)


def test_a_resource_may_use_a_task_group_around_its_yield() -> None:
    done: list[str] = []
    app = carboy.Flask("hooks")

    @app.while_serving
    async def tasks() -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            event = asyncio.Event()

            async def work() -> None:
                await event.wait()
                done.append("done")

            group.create_task(work())
            yield
            event.set()

    started(app).stop(5)
    assert done == ["done"]


def test_without_such_functions_no_loop_is_started() -> None:
    from carboy.net import worker_loop

    gateway = started(carboy.Flask("hooks"))
    try:
        assert "asyncio" not in worker_loop._loops or not worker_loop._loops["asyncio"].running
    finally:
        gateway.stop(5)


def test_the_application_under_test_is_served_or_not() -> None:
    app = carboy.Flask("hooks")
    told: list[str] = []
    app.before_serving(lambda: told.append("before"))
    app.after_serving(lambda: told.append("after"))
    app.add_url_rule("/", view_func=lambda: str(told))
    assert app.test_client().get("/").text == "[]"
    app = carboy.Flask("hooks")
    app.before_serving(lambda: told.append("before"))
    app.after_serving(lambda: told.append("after"))
    app.add_url_rule("/", view_func=lambda: str(told))
    with app.test_app() as test_app:
        assert test_app.test_client().get("/").text == "['before']"
    assert told == ["before", "after"]

    async def main() -> None:
        async with app.test_app() as test_app:
            assert "before" in test_app.test_client().get("/").text

    asyncio.run(main())
    assert told == ["before", "after"] * 2


def test_a_client_of_the_last_connection_is_answered_before_the_end() -> None:
    told: list[str] = []
    app = carboy.Flask("hooks")
    app.after_serving(lambda: told.append("after"))
    app.add_url_rule("/", view_func=lambda: str(told))
    gateway = started(app)
    with served(app, gateway=gateway) as live:
        assert live.ask(LAST).endswith(b"[]")
    gateway.stop(5)
    eventually(lambda: told == ["after"])
