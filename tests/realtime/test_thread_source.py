"""Plain iterators in threads of their own: what reaches the thread, and when it is counted."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue
from typing import Any

import pytest

from carboy.realtime import thread_source
from carboy.realtime.thread_source import ThreadSource
from live_engine import eventually
from running import PATIENCE


def run(function: Callable[[], Any]) -> Any:
    """The result of a coroutine function on an event loop of its own."""

    async def limited() -> Any:
        return await asyncio.wait_for(function(), PATIENCE)

    return asyncio.run(limited())


def no_threads() -> bool:
    return all(each.name != "carboy-stream" for each in threading.enumerate())


@pytest.fixture(autouse=True)
def _threads_of_other_tests_have_ended() -> None:
    eventually(no_threads)


@pytest.fixture
def one_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """One thread may run."""
    monkeypatch.setattr(thread_source, "_threads", 0)
    monkeypatch.setattr(thread_source, "MOST", 1)


class Ends:
    """An iterator that raises an exception, and whose `close` waits."""

    def __init__(self, error: type[BaseException]) -> None:
        self.error = error
        self.closing = threading.Event()
        self.go: SimpleQueue[None] = SimpleQueue()
        self.reached: list[BaseException] = []  # exceptions that reached `close`

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        raise self.error

    def close(self) -> None:
        try:
            self.closing.set()
            self.go.get(timeout=PATIENCE)
            for _ in range(1000):  # an exception that another thread raises comes here
                pass
        except BaseException as error:
            self.reached.append(error)


@pytest.mark.parametrize("error", [StopIteration, GeneratorExit, ValueError])
def test_no_exception_is_raised_in_a_thread_that_has_left_the_iterator(
    error: type[BaseException],
) -> None:
    ends = Ends(error)

    async def use() -> None:
        source = ThreadSource(ends)
        if error is ValueError:
            with pytest.raises(ValueError):
                await anext(source)
        else:
            assert [each async for each in source] == []
        closing = asyncio.create_task(source.aclose())
        await asyncio.to_thread(ends.closing.wait, PATIENCE)
        await asyncio.sleep(0)  # aclose has looked
        ends.go.put(None)
        await closing

    run(use)
    eventually(no_threads)
    assert ends.reached == []


def test_iterators_are_closed_at_any_moment() -> None:
    """The threads are switched as often as possible."""
    ended: list[str] = []
    errors: list[Any] = []

    def values(number: int) -> Iterator[int]:
        try:
            yield from range(number % 7)
            while True:
                try:
                    never.get(timeout=0.001)
                except Empty:
                    pass
        finally:
            ended.append("ended")

    async def use(number: int) -> None:
        source = ThreadSource(values(number))
        waiting = asyncio.ensure_future(anext(source))
        for _ in range(number % 5):
            await asyncio.sleep(0)
        await source.aclose()
        waiting.cancel()
        await asyncio.wait([waiting])

    async def all_of_them() -> None:
        for number in range(200):
            await use(number)

    never: SimpleQueue[None] = SimpleQueue()
    count = thread_source._threads
    interval = sys.getswitchinterval()
    before, threading.excepthook = threading.excepthook, errors.append
    sys.setswitchinterval(1e-6)
    try:
        run(all_of_them)
        eventually(no_threads)
    finally:
        sys.setswitchinterval(interval)
        threading.excepthook = before
    assert errors == []
    assert thread_source._threads == count


@pytest.mark.usefixtures("one_place")
def test_a_thread_that_ends_after_its_loop_leaves_its_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(thread_source, "END", 0.01)
    inside, go = threading.Event(), SimpleQueue[None]()

    def values() -> Iterator[None]:
        inside.set()
        yield go.get(timeout=PATIENCE)  # waits inside C

    async def first() -> None:
        source = ThreadSource(values())
        waiting = asyncio.ensure_future(anext(source))
        await asyncio.to_thread(inside.wait, PATIENCE)
        await source.aclose()
        waiting.cancel()

    async def second() -> Any:
        return [each async for each in ThreadSource(iter("ab"))]

    run(first)
    assert thread_source._threads == 1
    go.put(None)
    eventually(no_threads)
    assert run(second) == ["a", "b"]


@pytest.mark.usefixtures("one_place")
def test_a_source_that_is_cancelled_while_it_waits_leaves_its_turn_to_the_next() -> None:
    go: SimpleQueue[None] = SimpleQueue()

    async def values(source: Any) -> list[Any]:
        return [each async for each in ThreadSource(source)]

    async def use() -> Any:
        first = asyncio.create_task(values(iter(go.get, None)))
        second = asyncio.create_task(values(iter("b")))
        third = asyncio.create_task(values(iter("c")))
        await asyncio.sleep(0)
        go.put(None)
        eventually(no_threads)  # it is the turn of the second, which the loop does not know yet
        second.cancel()
        return await first, await third

    assert run(use) == ([], ["c"])


def test_an_iterator_is_closed_if_no_thread_can_be_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    closed: list[str] = []

    class Values:
        def __iter__(self) -> Iterator[str]:
            return self

        def __next__(self) -> str:
            return "x"

        def close(self) -> None:
            closed.append("closed")

    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def use() -> None:
        source = ThreadSource(Values())
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", refuse)
            with pytest.raises(RuntimeError):
                await anext(source)
        await source.aclose()

    before = thread_source._threads
    run(use)
    assert (closed, thread_source._threads) == (["closed"], before)
