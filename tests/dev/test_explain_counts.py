"""Programs whose functions call each other through C code: every call is in every view."""

from __future__ import annotations

import asyncio
import bisect
import contextlib
import contextvars
import copy
import csv
import functools
import itertools
import json
import operator
import pickle
import re
import sqlite3
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carboy.dev.explain import page, tree
from carboy.dev.explain.explanation import Explanation
from carboy.dev.explain.recorder import Thread
from carboy.dev.explain.tree import Line, Node

Program = tuple[Any, ...]  # routes and the programs that are called through them
Shape = tuple[Any, ...]  # the calls of `work` below a call of `work`
Work = Callable[[], str]


class Lazy:
    """Calls a function in its special methods."""

    def __init__(self, work: Work, *, early: bool = False) -> None:
        self.work = work
        if early:
            work()

    def __getattr__(self, name: str) -> str:
        if name.startswith("__"):
            raise AttributeError(name)
        return self.work()

    @property
    def prop(self) -> str:
        return self.work()

    def method(self) -> str:
        return self.work()

    def __iter__(self) -> Iterator[str]:
        yield self.work()

    def __index__(self) -> int:
        return len(self.work())

    def __format__(self, spec: str) -> str:
        return self.work()

    def __eq__(self, other: object) -> bool:
        return bool(self.work())

    def __hash__(self) -> int:
        return hash(self.work())

    def __enter__(self) -> str:
        return self.work()

    def __exit__(self, *args: object) -> None: ...

    def __radd__(self, other: object) -> str:
        return self.work()

    def __deepcopy__(self, memo: object) -> str:
        return self.work()

    def __reduce__(self) -> str | tuple[Any, ...]:
        return str, (self.work(),)


class Finalized:
    def __init__(self, work: Work) -> None:
        self.work = work

    def __del__(self) -> None:
        self.work()


class Meta(type):
    def __call__(cls, work: Work) -> Any:
        work()
        return super().__call__()


class Made(metaclass=Meta):
    pass


class Local(threading.local):
    def __init__(self, work: Work) -> None:
        work()


class Descriptor:
    def __init__(self, work: Work) -> None:
        self.work = work

    def __set_name__(self, owner: type, name: str) -> None:
        self.work()


@contextlib.contextmanager
def managed(work: Work) -> Iterator[str]:
    yield work()


def raising(work: Work, *args: object) -> str:
    work()
    raise LookupError("on purpose")


def caught(work: Work) -> None:
    with contextlib.suppress(LookupError):
        list(map(functools.partial(raising, work), [1]))


def closed(work: Work) -> None:
    def generate() -> Iterator[None]:
        try:
            yield
        finally:
            work()

    generator = generate()
    next(generator)
    generator.close()


def awaited(work: Work) -> None:
    async def inner() -> str:
        await asyncio.sleep(0)
        return work()

    coroutine = inner()
    coroutine.send(None)
    with contextlib.suppress(StopIteration):
        coroutine.send(None)


def stored(work: Work) -> None:
    connection = sqlite3.connect(":memory:")
    connection.create_function("work", 0, work)
    connection.execute("select work()").fetchall()
    connection.close()


def finalized(work: Work) -> None:
    thing = Finalized(lambda: "")
    weakref.finalize(thing, work)
    del thing


ROUTES: dict[str, Callable[[Work], object]] = {
    "a call": lambda work: work(),
    "map": lambda work: list(map(lambda _: work(), [1])),  # noqa: C417
    "filter": lambda work: list(filter(lambda _: work(), [1])),
    "str.join": lambda work: "".join(work() for _ in [1]),
    "sorted": lambda work: sorted([1], key=lambda _: work()),
    "max": lambda work: max([1], key=lambda _: work()),
    "any": lambda work: any(not work() for _ in [1]),
    "reduce": lambda work: functools.reduce(lambda a, b: work(), [1, 2]),
    "partial": lambda work: functools.partial(lambda a: work(), 1)(),
    "lru_cache": lambda work: functools.cache(work)(),
    "re.sub": lambda work: re.sub("a", lambda match: work(), "a"),
    "json": lambda work: json.dumps(object(), default=lambda each: work()),
    "starmap": lambda work: list(itertools.starmap(lambda a, b: work(), [(1, 2)])),
    "accumulate": lambda work: list(itertools.accumulate([1, 2], lambda a, b: work())),
    "comprehension": lambda work: [work() for _ in [1]],
    "bisect": lambda work: bisect.bisect([1], "", key=lambda _: work()),
    "property": lambda work: Lazy(work).prop,
    "__getattr__": lambda work: Lazy(work).missing,
    "getattr": lambda work: getattr(Lazy(work), "missing", None),
    "methodcaller": lambda work: operator.methodcaller("method")(Lazy(work)),
    "attrgetter": lambda work: operator.attrgetter("prop")(Lazy(work)),
    "a constructor": lambda work: Lazy(work, early=True),
    "a metaclass": Made,
    "threading.local": Local,
    "__set_name__": lambda work: type("Owner", (), {"it": Descriptor(work)}),
    "__del__": lambda work: Finalized(work) and None,
    "weakref.finalize": finalized,
    "__iter__": lambda work: list(Lazy(work)),
    "csv": lambda work: list(csv.reader(work() for _ in [1])),
    "range": lambda work: range(Lazy(work)),
    "format": lambda work: f"{Lazy(work)}",
    "__eq__": lambda work: [Lazy(work)].index(1),  # type: ignore[list-item]
    "__hash__": lambda work: {Lazy(work): 1},
    "sum": lambda work: sum([Lazy(work)]),  # type: ignore[list-item]
    "deepcopy": lambda work: copy.deepcopy(Lazy(work)),
    "pickle": lambda work: pickle.dumps(Lazy(work)),
    "a context": lambda work: contextvars.copy_context().run(work),
    "contextmanager": lambda work: managed(work).__enter__(),
    "ExitStack": lambda work: contextlib.ExitStack().enter_context(Lazy(work)),
    "exec": lambda work: exec("work()", {"work": work}),
    "an exception": caught,
    "a closed generator": closed,
    "a coroutine": awaited,
    "sqlite3": stored,
}


def work(program: Program) -> str:
    """Call `work` for each part of the program, through its route."""
    for route, part in program:
        ROUTES[route](functools.partial(work, part))
    return "done"


PROGRAMS = st.recursive(
    st.just(()),
    lambda inner: st.lists(st.tuples(st.sampled_from(sorted(ROUTES)), inner), max_size=4).map(
        tuple
    ),
    max_leaves=12,
)


def recorded(program: Program) -> Explanation:
    return recorded_of(lambda: work(program))


def recorded_of(run: Callable[[], object]) -> Explanation:
    thread = Thread("t", 10**6)
    now = itertools.count()

    def hook(frame: FrameType, event: str, arg: Any) -> None:
        thread.note(frame, event, arg, next(now))

    sys.setprofile(hook)
    try:
        run()
    finally:
        sys.setprofile(None)
    thread.end()
    track = tree.of_branches("t", thread.roots)
    return Explanation("", "", "", 0, [track], [])


def shape(program: Program) -> Shape:
    return tuple(shape(part) for _, part in program)


def below(calls: list[Any], name: Callable[[Any], str], children: Callable[[Any], Any]) -> Shape:
    """The shape of the calls of `work`; other calls are replaced by those they made."""
    found: list[Shape] = []
    for each in calls:
        inside = below(children(each), name, children)
        found += [inside] if name(each) == "work" else inside
    return tuple(found)


def of_nodes(nodes: list[Node]) -> Shape:
    return below(nodes, lambda node: node.name, lambda node: node.children)


def of_page(calls: list[dict[str, Any]]) -> Shape:
    children: dict[int, list[int]] = {}
    for number, each in enumerate(calls):
        children.setdefault(each["above"], []).append(number)
    return below(children[-1], lambda n: str(calls[n]["name"]), lambda n: children.get(n, []))


def times(lines: list[Line]) -> int:
    return sum(line.times for top in lines for line in top.walk() if line.node.name == "work")


def count(found: Shape) -> int:
    return len(found) + sum(map(count, found))


@pytest.mark.parametrize("route", ROUTES)
def test_a_call_through_c_code_is_recorded_where_it_was_made(route: str) -> None:
    program = ((route, (("a call", ()),)), (route, ()))
    (track,) = recorded(program).tracks
    assert of_nodes(track.roots) == (shape(program),)


@settings(max_examples=40)
@given(PROGRAMS)
def test_every_view_has_every_call(program: Program) -> None:
    found = recorded(program)
    expected = (shape(program),)
    (track,) = found.tracks
    assert of_nodes(track.roots) == expected
    (on_page,) = page.data_of(found)["tracks"]
    assert of_page(on_page["calls"]) == expected
    assert times(tree.unfolded(track.roots)) == count(expected)
    assert times(tree.fold(track.roots, found.time)) == count(expected)


@settings(max_examples=20)
@given(PROGRAMS)
def test_times_are_never_negative_and_add_up(program: Program) -> None:
    found = recorded(program)
    for node in found.nodes():
        assert node.time >= 0
        assert sum(child.time for child in node.children) <= node.time
    assert sum(own for _, _, own in found.shares()) == found.time


def test_the_calls_of_tasks_are_recorded() -> None:
    async def task(number: int) -> None:
        await asyncio.sleep(0)
        work(tuple((route, ()) for route in list(ROUTES)[:number]))

    async def main() -> None:
        await asyncio.gather(*map(task, range(4)))

    found = recorded_of(lambda: asyncio.run(main()))
    assert count(of_nodes(found.tracks[0].roots)) == 4 + (1 + 2 + 3)
