"""When samples are taken, and what belongs to a request in a stack."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from types import FrameType
from typing import Any
from weakref import ref

import pytest

import carboy
from carboy import waiting_for
from carboy.request_identity import current
from carboy.server.admin.call_tree import CallTree
from carboy.server.admin.sampling import add_all, request_stack, sample
from live_asgi import served_asgi
from live_engine import eventually, served
from running import PATIENCE


class Clock:
    """A clock that a test sets; `held` is added to the sleeps, one after the other."""

    def __init__(self, *held: float) -> None:
        self.now = 100.0
        self._held = iter(held)

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds + next(self._held, 0.0)


def never() -> str:
    return ""


def test_samples_are_taken_at_the_rate() -> None:
    clock = Clock()
    found = sample(CallTree(), 2.0, 8.0, False, never, clock, clock.sleep, never)
    assert found == {
        "seconds": 2.0, "rate": 8.0, "samples": 16, "missed": 0, "latest": 0.0, "ended": ""
    }  # fmt: skip


def test_a_late_sample_counts_for_those_that_were_missed() -> None:
    clock = Clock(0.5)  # the lock is held for half a second
    tree, done = CallTree(), threading.Event()
    thread = threading.Thread(target=done.wait, args=(PATIENCE,), name="waits")
    thread.start()
    found = sample(tree, 2.0, 8.0, True, never, clock, clock.sleep, never)
    done.set()
    thread.join(PATIENCE)
    assert found["missed"] == 4 and found["samples"] == 12 and found["latest"] == 0.5
    answer = tree.answer()
    roots = [answer["frames"][call][0] for call in answer["calls"]]
    assert _below(answer, roots.index("(thread waits)")) == 16


def _below(answer: dict[str, Any], node: int) -> int:
    """The samples of a node and of all below it."""
    below = [at for at, parent in enumerate(answer["parents"]) if parent == node]
    return int(answer["counts"][node]) + sum(_below(answer, each) for each in below)


def test_a_profile_ends_when_it_is_to_end() -> None:
    clock = Clock()
    found = sample(CallTree(), 600.0, 1.0, False, lambda: "Enough." * (clock.now > 105), clock,
                   clock.sleep, never)  # fmt: skip
    assert found["ended"] == "Enough." and 5 <= found["seconds"] < 6


class Exchange:
    """A request, as the context of its code names it."""


@pytest.fixture
def frame() -> Iterator[tuple[FrameType, Exchange]]:
    """The frame of a thread that was handed a function of a request, as asyncio.to_thread does."""
    exchange, inside, done = Exchange(), threading.Event(), threading.Event()

    def works() -> None:
        inside.set()
        done.wait(PATIENCE)

    context = copy_context()
    context.run(current.set, ref(exchange))
    with ThreadPoolExecutor(1) as pool:
        pool.submit(partial(context.run, works))
        assert inside.wait(PATIENCE)
        thread = next(iter(pool._threads))
        assert thread.ident is not None
        yield sys._current_frames()[thread.ident], exchange
        done.set()


def test_a_function_on_another_thread_belongs_to_the_request_of_its_context(
    frame: tuple[FrameType, Exchange],
) -> None:
    innermost, exchange = frame
    codes, found = request_stack(innermost, {})
    assert found is exchange
    assert codes[-1].co_name == "works"


def test_a_thread_without_a_request_has_none() -> None:
    codes, found = request_stack(sys._getframe(), {})
    assert found is None
    assert codes[0].co_name == "test_a_thread_without_a_request_has_none"


# --- services that a request waits for


def a_stack() -> list[str]:
    """The names in the stack of the only request that runs, from its route on."""
    tree = CallTree()
    add_all(tree, False, 1, {})
    answer = tree.answer()
    return [answer["frames"][call][0].rpartition(".")[2] for call in answer["calls"]]


def test_a_service_is_inside_the_function_that_has_said_so() -> None:
    app, go, stacks = carboy.Carboy("waits"), threading.Event(), []

    def asks() -> None:
        with waiting_for("fraud check"):
            go.wait(PATIENCE)

    @app.get("/pay")
    def pay() -> str:
        with waiting_for("first"):
            pass
        with waiting_for("payments"):
            asks()
        return "paid"

    def has_waited() -> bool:
        stacks.append(a_stack())
        return "(waits for fraud check)" in stacks[-1]

    with served(app) as live, live.client() as client:
        client.send(b"GET /pay HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        eventually(has_waited)
        go.set()
        assert client.rest().endswith(b"paid")
    first = stacks[-1].index("pay")
    assert stacks[-1][0] == "/pay" and stacks[-1][first:][:4] == [
        "pay", "(waits for payments)", "asks", "(waits for fraud check)"
    ]  # fmt: skip


def test_a_service_of_a_coroutine_is_outside_of_what_its_thread_runs() -> None:
    go, stacks = threading.Event(), []

    def asks() -> None:
        go.wait(PATIENCE)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            scope["carboy.route"] = "/pay"
            with waiting_for("payments"):
                await asyncio.to_thread(asks)
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"paid"})

    def has_waited() -> bool:
        stacks.append(a_stack())
        return "asks" in stacks[-1]

    with served_asgi(app) as live, live.client() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        eventually(has_waited)
        go.set()
        assert b"paid" in client.rest()
    assert stacks[-1][:2] == ["/pay", "(waits for payments)"]
