"""Calls of functions that were compiled with Cython, which the profiler does not report."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator

import falcon.cyutil.uri
import pytest
from falcon.cyutil.uri import decode
from sqlalchemy.util import _collections_cy
from sqlalchemy.util._collections_cy import OrderedSet

from carboy.dev.explain import tree
from carboy.dev.explain.call_sites import sites_of
from carboy.dev.explain.compiled_calls import IS_POSSIBLE
from carboy.dev.explain.places import COMPILED
from carboy.dev.explain.recorder import Recorder
from carboy.dev.explain.tree import Node

IS_COMPILED = str(falcon.cyutil.uri.__file__).endswith((".so", ".pyd"))
pytestmark = pytest.mark.skipif(
    not (IS_POSSIBLE and IS_COMPILED and not _collections_cy.__file__.endswith(".py")),
    reason="needs Python 3.11, and modules that were compiled",
)
DECODE = ("falcon.cyutil.uri.decode", COMPILED)
SET = ("sqlalchemy.util._collections_cy.OrderedSet", COMPILED)


def in_a_loop() -> None:
    for _ in range(3):
        falcon.cyutil.uri.decode("a%20b", unquote_plus=True)


def in_an_expression(given: bool = True) -> str:
    return decode("a" if given else "b") and (given or decode("c")) and f"{decode('d')}"


def with_a_callback() -> None:
    OrderedSet(number(each) for each in range(2))


def number(each: int) -> int:
    return each


def generated() -> list[str]:
    def generate() -> Iterator[str]:
        for each in "ab":
            yield decode(each)

    return list(generate())


def refused() -> None:
    try:
        decode(3)  # type: ignore[arg-type]
    except TypeError:
        fails()


def fails() -> None:
    try:
        raises()
    except LookupError:
        pass


def raises() -> None:
    raise LookupError("why")


def nodes(work: Callable[[], object]) -> list[Node]:
    recorder = Recorder()
    recorder.install()
    recorder.start()
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    recorder.stop()
    recorder.uninstall()
    (recorded,) = recorder.threads.values()
    return list(tree.of_branches("t", recorded.roots).walk())


@pytest.mark.parametrize(
    ("work", "expected"),
    [
        (in_a_loop, [DECODE] * 3),
        (in_an_expression, [DECODE] * 2),
        (with_a_callback, [SET]),
        (generated, [DECODE] * 2),
    ],
)
def test_each_call_is_recorded(work: Callable[[], object], expected: list[tuple[str, str]]) -> None:
    found = [(node.name, node.place.lines) for node in nodes(work)]
    assert [each for each in found if each[1] == COMPILED] == expected


def test_what_compiled_code_calls_is_below_it() -> None:
    (made,) = (node for node in nodes(with_a_callback) if node.name == SET[0])
    assert [node.name for node in made.walk()].count("number") == 2
    assert sum(child.time for child in made.children) <= made.time


def test_exceptions_of_compiled_code_and_in_its_callers_are_named() -> None:
    raised = [(node.name, node.result) for node in nodes(refused) if node.raised]
    assert [(name, text.partition(":")[0]) for name, text in raised] == [
        (DECODE[0], "TypeError"),
        ("raises", "LookupError"),
    ]


def test_a_debugger_that_traces_is_not_disturbed() -> None:
    seen = []

    def trace(frame: object, event: str, arg: object) -> None: ...

    def work() -> None:
        sys.settrace(trace)
        in_a_loop()
        seen.append(sys.gettrace() is trace)
        sys.settrace(None)

    nodes(work)
    assert seen == [True]


def test_a_function_without_compiled_code_has_no_such_calls() -> None:
    assert sites_of(fails.__code__, globals()) == {}
    assert len(sites_of(in_an_expression.__code__, globals())) == 3
