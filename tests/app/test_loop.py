"""`async def` views and hooks: one event loop per process, on both lanes and under the server."""

from __future__ import annotations

import asyncio
import contextvars
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

import carboy
from carboy.app.loop import the_loop, waiting_for
from carboy.testing import live_server

TOGETHER = 12


@pytest.fixture
def app() -> carboy.Flask:
    return carboy.Flask(__name__)


@pytest.fixture(params=["wsgi", "direct"])
def client(app: carboy.Flask, request: pytest.FixtureRequest) -> Any:
    return app.test_client(lane=request.param)


def test_every_request_runs_on_the_same_loop(app: carboy.Flask, client: Any) -> None:
    seen = []

    @app.get("/")
    async def view() -> str:
        seen.append(asyncio.get_running_loop())
        await asyncio.sleep(0)
        return carboy.request.path

    assert [client.get("/").text for _ in range(5)] == ["/"] * 5
    assert set(seen) == {the_loop()}


def test_objects_of_the_loop_are_kept_between_requests(app: carboy.Flask, client: Any) -> None:
    pool: asyncio.Queue[str] = asyncio.Queue()

    @app.post("/")
    async def give() -> str:
        await pool.put("kept")
        return ""

    @app.get("/")
    async def take() -> str:
        return await pool.get()

    client.post("/")
    assert client.get("/").text == "kept"


def test_hooks_handlers_and_teardown_may_all_be_coroutines(app: carboy.Flask, client: Any) -> None:
    order: list[str] = []

    @app.before_request
    async def before() -> None:
        carboy.g.order = "before"

    @app.after_request
    async def after(response: Any) -> Any:
        order.append(carboy.g.order)
        return response

    @app.teardown_request
    async def teardown(error: BaseException | None) -> None:
        order.append("teardown")

    @app.errorhandler(ValueError)
    async def handler(error: ValueError) -> tuple[str, int]:
        return f"caught {error}", 418

    @app.get("/")
    async def view() -> str:
        raise ValueError("it")

    answer = client.get("/")
    assert (answer.status_code, answer.text) == (418, "caught it")
    assert order == ["before", "teardown"]


def test_a_session_opened_in_a_coroutine_is_saved(app: carboy.Flask, client: Any) -> None:
    app.secret_key = "x"

    @app.get("/")
    async def view() -> str:
        carboy.session["n"] = carboy.session.get("n", 0) + 1
        return str(carboy.session["n"])

    assert [client.get("/").text for _ in range(3)] == ["1", "2", "3"]


def test_requests_wait_at_the_same_time(app: carboy.Flask) -> None:
    """None of them ends before all have arrived."""
    present: list[int] = []
    all_there: list[asyncio.Event] = []

    @app.get("/<int:n>")
    async def view(n: int) -> str:
        if not all_there:
            all_there.append(asyncio.Event())
        present.append(n)
        if len(present) == TOGETHER:
            all_there[0].set()
        await all_there[0].wait()
        return str(carboy.request.view_args["n"])  # type: ignore[index]

    with live_server(app, threaded=True) as url, ThreadPoolExecutor(TOGETHER) as clients:
        answers = list(clients.map(lambda n: httpx.get(f"{url}/{n}").text, range(TOGETHER)))
    assert answers == [str(n) for n in range(TOGETHER)]


def test_a_test_client_works_inside_a_running_loop(app: carboy.Flask) -> None:
    @app.get("/")
    async def view() -> str:
        return "there"

    async def test() -> str:
        return app.test_client().get("/").text

    assert asyncio.run(test()) == "there"


def test_calling_a_wrapped_coroutine_function_on_the_loop_is_an_error_that_says_await() -> None:
    async def inner() -> None: ...

    async def outer() -> None:
        waiting_for(inner)()

    with pytest.raises(RuntimeError, match="Call it with await"):
        waiting_for(outer)()


def test_context_variables_are_passed_in_both_directions() -> None:
    variable = contextvars.ContextVar("variable", default=0)
    variable.set(1)

    async def add() -> None:
        variable.set(variable.get() + 1)

    waiting_for(add)()
    assert variable.get() == 2


def test_a_coroutine_that_is_cancelled_says_so_to_its_caller() -> None:
    async def cancelled() -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        waiting_for(cancelled)()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_process_has_its_own_loop(tmp_path: Any) -> None:
    import subprocess

    code = (
        "import os, asyncio\n"
        "from carboy.app.loop import the_loop, waiting_for\n"
        "async def number(): return os.getpid()\n"
        "mine = waiting_for(number)()\n"
        "child = os.fork()\n"
        "if not child:\n"
        "    os._exit(0 if waiting_for(number)() == os.getpid() != mine else 1)\n"
        "raise SystemExit(os.waitpid(child, 0)[1])\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


def test_the_loop_is_made_once_by_many_threads() -> None:
    barrier = threading.Barrier(8)

    def get() -> int:
        barrier.wait()
        return id(the_loop())

    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(lambda _: get(), range(8)))) == 1
