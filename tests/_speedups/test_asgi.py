"""The compiled first step of an ASGI application: the same scopes, responses and errors as in
Python, and a task and a context that seem to be those of the request alone.
"""

from __future__ import annotations

import asyncio
import re
import socket
import weakref
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from typing import Any

import pytest

from _speedups.twins import compiled
from carboy.request_identity import identity
from carboy.server import turn
from carboy.speedups import speedups
from live_asgi import Message, Receive, Send, body, served_asgi, start
from live_engine import GET, LAST, Live, eventually

compiled("asgi")

Seen = list[Any]
View = Callable[[Message, Receive, Send, Seen], Awaitable[None]]
VIEWS: dict[str, View] = {}
variable: ContextVar[int] = ContextVar("variable", default=0)


def view(function: View) -> View:
    """Have a function compared with its twin."""
    VIEWS[function.__name__] = function
    return function


def sends(name: str, *messages: Any) -> None:
    """Have an application compared that sends these messages, and notes errors."""

    async def app(scope: Message, receive: Receive, send: Send, seen: Seen) -> None:
        for message in messages:
            try:
                await send(message.copy())
            except Exception as error:
                seen.append((type(error), str(error)))

    VIEWS[name] = app


LENGTH = (b"content-length", b"1")
START = {"type": "http.response.start", "status": 200}
BODY = {"type": "http.response.body", "body": b"x"}
sends("whole", start(), body(b"x"))
sends("fields as a list", START | {"headers": [LENGTH, (b"x-a", b"b")]}, BODY)
sends("no fields", START, BODY)
sends("no body", START, {"type": "http.response.body"})
sends("fields as lists", START | {"headers": [[b"x-a", b"b"]]}, BODY)
sends("text in fields", START | {"headers": [("x-a", "b")]}, BODY)
sends("no pairs", START | {"headers": [1]}, BODY)
sends("split fields", START | {"headers": [(b"x-a", b"b\r\nc: d")]}, BODY)
sends("wrong length", START | {"headers": [(b"content-length", b"2")]}, BODY)
sends("connection", START | {"headers": [(b"connection", b"close")]}, BODY)
sends("other status", START | {"status": 299}, BODY)
sends("no content", START | {"status": 204}, {"type": "http.response.body"})
sends("status as text", START | {"status": "200"}, BODY)
sends("no status", {"type": "http.response.start"}, BODY)
sends("two starts", START, START, BODY)
sends("body first", BODY, START, BODY)
sends("two bodies", START, BODY, BODY)
sends("start after the response", START, BODY, START)
sends("pieces", START, body(b"x", more=True), body(b"y"))
sends("large", START, body(b"x" * 200_000))
sends("rather large", START, body(b"x" * 40_000))
sends("bytearray", START, BODY | {"body": bytearray(b"x")})
sends("text", START, BODY | {"body": "x"})
sends("trailers", START | {"trailers": True}, BODY)
sends("unknown", {"type": "other"})
sends("no type", {})
sends("only a start", START)
sends("nothing")


@view
async def reads(scope: Message, receive: Receive, send: Send, seen: Seen) -> None:
    seen.append(await receive())
    await send(start())
    await send(body(b"x"))
    seen.append(await receive())


@view
async def notes_the_scope(scope: Message, receive: Receive, send: Send, seen: Seen) -> None:
    scope = scope | {"client": None, "server": None}  # they have numbers of their own
    scope["extensions"] = {name: dict(of) for name, of in scope["extensions"].items()}
    seen.append([*scope.items()])
    seen.append(identity() is not None)
    await send(start())
    await send(body(b"x"))


@view
async def waits(scope: Message, receive: Receive, send: Send, seen: Seen) -> None:
    async with asyncio.timeout(60):
        await asyncio.sleep(0)
    await send(start())
    await asyncio.sleep(0)
    await send(body(b"x"))
    await asyncio.sleep(0)


@view
async def waits_and_fails(scope: Message, receive: Receive, send: Send, seen: Seen) -> None:
    await asyncio.sleep(0)
    raise LookupError("lost")


@view
async def fails(scope: Message, receive: Receive, send: Send, seen: Seen) -> None:
    raise LookupError("lost")


@view
async def fails_late(scope: Message, receive: Receive, send: Send, seen: Seen) -> None:
    await send(start())
    await send(body(b"x"))
    raise LookupError("lost")


@view
async def exits(scope: Message, receive: Receive, send: Send, seen: Seen) -> None:
    raise SystemExit(1)


@view
async def cancels_itself(scope: Message, receive: Receive, send: Send, seen: Seen) -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await send(start())
    await send(body(b"x"))


@view
async def is_cancelled(scope: Message, receive: Receive, send: Send, seen: Seen) -> None:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().call_soon(task.cancel)
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        seen.append("cancelled")
    await send(start())
    await send(body(b"x"))


@view
async def sends_in_tasks(scope: Message, receive: Receive, send: Send, seen: Seen) -> None:
    seen.append((await asyncio.ensure_future(receive()))["type"])
    await asyncio.create_task(send(start()))  # type: ignore[arg-type]
    await asyncio.wait_for(send(body(b"x")), 60)


@view
async def closes_what_it_sends(scope: Message, receive: Receive, send: Send, seen: Seen) -> None:
    send(start(201)).close()  # type: ignore[attr-defined]
    await send(start())
    await send(body(b"x"))


def not_a_coroutine_function(
    scope: Message, receive: Receive, send: Send, seen: Seen
) -> Awaitable[None]:
    class Answer:
        def __await__(self) -> Any:
            yield from send(start()).__await__()
            yield from send(body(b"x")).__await__()

    return Answer()


VIEWS["not_a_coroutine_function"] = not_a_coroutine_function
VIEWS["nothing to await"] = lambda scope, receive, send, seen: None  # type: ignore[return-value,assignment]


@contextmanager
def twin_of(function: View, held: bool, seen: Seen) -> Iterator[Live]:
    """A server that runs GET / in the leader's turn, with the functions in Python if `held`."""

    def app(scope: Message, receive: Receive, send: Send) -> Any:
        if scope["type"] != "http":
            raise RuntimeError("not http")
        return function(scope, receive, send, seen)

    if held:
        speedups.hold("a test")
    try:
        with served_asgi(app, record=False) as live:
            live.engine.dispatch_times.averages["GET /"] = 0.0
            yield live
            assert (turn.compiled is None) == (held or bool(speedups.reason))
    finally:
        if held:
            speedups.release("a test")


_date = re.compile(rb"(?i)Date: [^\r]+")


@pytest.mark.parametrize("name", VIEWS)
def test_a_response_is_that_of_the_python_twin(name: str, caplog: pytest.LogCaptureFixture) -> None:
    if speedups.reason:
        pytest.skip(speedups.reason)
    found = []
    for held in (False, True):
        seen: Seen = []
        caplog.clear()
        with twin_of(VIEWS[name], held, seen) as live:
            for request in (GET, LAST):
                with live.client() as client:
                    client.send(request)
                    client.sock.shutdown(socket.SHUT_WR)
                    seen.append(_date.sub(b"", client.rest()))
        seen.append([(each.name, each.message) for each in caplog.records])
        found.append(seen)
    assert found[0] == found[1]


async def answered(send: Send) -> None:
    await send(start())
    await send(body(b"x"))


def three(function: View) -> Seen:
    """The notes of a view in three requests."""
    seen: Seen = []
    with twin_of(function, False, seen) as live, live.client() as client:
        for _ in range(3):
            client.send(GET)
            assert client.reply().status == 200
    return seen


def test_a_task_makes_the_first_steps_of_several_requests() -> None:
    if speedups.reason:
        pytest.skip(speedups.reason)

    async def plain(scope: Message, receive: Receive, send: Send, seen: Seen) -> None:
        task = asyncio.current_task()
        assert task is not None
        seen.append(task.get_name())
        await answered(send)

    def again() -> bool:
        seen = three(plain)
        return len(set(seen)) < 3

    eventually(again)  # a request that took long on a busy machine runs in Python


async def keeps_the_task(scope: Message, receive: Receive, send: Send, seen: Seen) -> None:
    seen.append(asyncio.current_task())
    await answered(send)


async def names_the_task(scope: Message, receive: Receive, send: Send, seen: Seen) -> None:
    task = asyncio.current_task()
    assert task is not None
    seen.append(task.get_name())
    task.set_name("named")
    await answered(send)


async def sets_a_variable(scope: Message, receive: Receive, send: Send, seen: Seen) -> None:
    seen.append((variable.get(), variable.set(1).var.name, len(copy_context())))
    await answered(send)


def test_a_task_that_is_kept_is_that_of_one_request() -> None:
    tasks = three(keeps_the_task)
    assert len(set(tasks)) == 3
    assert all(task.done() and not task.cancelled() for task in tasks)


def test_a_name_is_that_of_one_request() -> None:
    assert "named" not in three(names_the_task)


def test_a_variable_is_that_of_one_request() -> None:
    assert [seen[0] for seen in three(sets_a_variable)] == [0, 0, 0]


def test_a_callback_of_the_task_is_called_after_the_request() -> None:
    async def adds_a_callback(scope: Message, receive: Receive, send: Send, seen: Seen) -> None:
        task = asyncio.current_task()
        assert task is not None
        number = len(seen)
        task.add_done_callback(lambda _: seen.append(("done", number)))
        seen.append(("runs", number))
        await answered(send)

    seen = three(adds_a_callback)
    assert sum(word == "done" for word, _ in seen) == 3


def test_a_weak_reference_ends_with_the_request() -> None:
    references = []

    async def refers(scope: Message, receive: Receive, send: Send, seen: Seen) -> None:
        task = asyncio.current_task()
        assert task is not None
        references.append(weakref.ref(task))
        await answered(send)

    three(refers)
    assert len(set(map(id, references))) == 3
    assert [reference() for reference in references] == [None] * 3


def test_a_task_that_waits_for_a_request_can_be_cancelled(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def cancels_others(scope: Message, receive: Receive, send: Send, seen: Seen) -> None:
        if len(seen) == 1:
            await asyncio.sleep(0)  # another task waits for the next request
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                if "Lifespan" not in repr(task):
                    task.cancel()
        seen.append(None)
        await answered(send)

    assert len(three(cancels_others)) == 3
    assert not caplog.records
