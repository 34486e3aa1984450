"""The exceptions with which calls end."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from carboy.dev.explain.raised import CAUGHT, MONITORING
from carboy.dev.explain.recorder import Call, Recorder

UNKNOWN = CAUGHT if MONITORING is None else ""


def fail(error: type[Exception] = ValueError) -> None:
    raise error("why")


def raised(work: Callable[[], object]) -> list[tuple[str, str]]:
    """Functions that raised below `work`, and what they raised."""
    recorder = Recorder()
    recorder.install()

    def run() -> None:
        with contextlib.suppress(Exception):
            work()

    thread = threading.Thread(target=run)
    recorder.start()
    thread.start()
    thread.join()
    recorder.stop()
    recorder.uninstall()
    found: list[tuple[str, str]] = []

    def below(call: Call) -> None:
        if call.raised:
            name = call.code if isinstance(call.code, str) else call.code.co_name
            found.append((name, call.result))
        for each in call.children:
            below(each)

    for each in recorder.threads.values():
        for root in each.roots:
            below(root)
    return found


def quietly() -> None:
    try:
        fail()
    except ValueError:
        pass


def through_c() -> None:
    try:
        list(map(fail, [LookupError]))
    except LookupError:
        pass


def in_c() -> None:
    with contextlib.suppress(ValueError):
        [1].index(2)


def twice() -> None:
    try:
        fail()
    except ValueError as error:
        raise KeyError("other") from error


def after_another() -> None:
    quietly()
    through_c()


@contextlib.contextmanager
def managed() -> Iterator[None]:
    yield


def thrown_into() -> None:
    with managed():
        raise LookupError("inside")


def closed() -> None:
    def generate() -> Iterator[int]:
        yield 1

    generator = generate()
    next(generator)
    generator.close()


def replaced() -> None:
    connection = sqlite3.connect(":memory:")
    connection.create_function("fail", 0, fail)
    try:
        connection.execute("select fail()")
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("work", "expected"),
    [
        (quietly, [("fail", "ValueError: why")]),
        (through_c, [("fail", "LookupError: why")]),
        (in_c, [("list.index", "ValueError: 2 is not in list")]),
        (twice, [("twice", "KeyError: 'other'"), ("fail", "ValueError: why")]),
        (after_another, [("fail", "ValueError: why"), ("fail", "LookupError: why")]),
    ],
)
def test_an_exception_is_named(work: Callable[[], object], expected: list[object]) -> None:
    assert raised(work) == expected


def test_an_exception_that_is_thrown_into_a_generator_ends_its_call() -> None:
    assert ("managed", "LookupError: inside") in raised(thrown_into)
    if sys.version_info < (3, 13):  # from there on, closing it calls nothing
        assert raised(closed) == [("generate", "GeneratorExit")]


def test_an_exception_that_c_code_replaces_has_not_the_name_of_the_other() -> None:
    found = dict(raised(replaced))
    assert found["Connection.execute"] == "OperationalError: user-defined function raised exception"
    assert found["fail"] == (UNKNOWN or "ValueError: why")


def test_what_c_code_expects_is_named() -> None:
    class Missing:
        def __getattr__(self, name: str) -> str:
            raise AttributeError(name)

    ((name, text),) = raised(lambda: getattr(Missing(), "x", None))
    assert (name, text.partition(":")[0]) == ("__getattr__", "AttributeError")


def test_an_exception_that_is_caught_in_c_and_raised_again_later_is_named() -> None:
    async def task() -> None:
        fail()

    def work() -> None:
        with contextlib.suppress(ValueError):
            asyncio.run(asyncio.wait_for(task(), 5))

    assert ("task", "ValueError: why") in raised(work)


def test_a_debugger_that_traces_is_left_alone() -> None:
    seen: list[str] = []

    def trace(frame: object, event: str, arg: object) -> None:
        seen.append(event)

    def work() -> None:
        sys.settrace(trace)
        quietly()
        seen.append("still there" if sys.gettrace() is trace else "replaced")
        sys.settrace(None)

    raised(work)
    assert seen[-1] == "still there"
