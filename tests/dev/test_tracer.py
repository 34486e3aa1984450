"""The tracer: which calls belong to which request, and that other code is not affected."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable
from contextvars import ContextVar, copy_context
from typing import Any

import pytest
from markupsafe._speedups import _escape_inner

from carboy.dev.explain import page
from carboy.dev.explain import tracer as tracing
from carboy.dev.explain.explanation import of_traced
from carboy.dev.explain.recorder import Call
from carboy.dev.explain.tracer import Traced, Tracer

NOBODY = ("", 0)


def view() -> str:
    return "answer"


class Server:
    """Serves numbers in turns, as the engine does: each number has a branch of the turn."""

    def __init__(self, tracer: Tracer, work: Callable[[], object] = view) -> None:
        self.tracer = tracer
        self.work = work

    def turn(self, *numbers: int) -> None:
        for number in numbers:
            self.read(number)

    def read(self, number: int) -> None:
        self.receive()
        self.answer(number)
        self.send()

    def receive(self) -> None: ...

    def send(self) -> None: ...

    def answer(self, number: int) -> None:
        self.tracer.begin(number, NOBODY)
        try:
            self.work()
        finally:
            self.tracer.end(number)


TURN = {Server.turn.__code__: 1}


def traced_in_a_thread(
    work: Callable[[Tracer], object], on: Callable[[], bool] = lambda: True, **more: Any
) -> list[Traced]:
    """The requests that are recorded while a separate thread does something."""
    kept: list[Traced] = []
    over = threading.Event()
    tracer = Tracer(kept.append, lambda: on() and not over.is_set(), **more)

    def run() -> None:
        tracer.watch()
        work(tracer)
        over.set()
        tracer.watch()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return kept


def names(calls: list[Call]) -> list[str]:
    found = []
    for call in calls:
        code = call.code
        found.append(code if isinstance(code, str) else code.co_name)
        found += names(call.children)
    return found


def test_each_request_has_its_branch_from_reading_to_sending() -> None:
    kept = traced_in_a_thread(lambda tracer: Server(tracer).turn(1, 2), units=TURN)
    assert [traced.number for traced in kept] == [1, 2]
    for traced in kept:
        assert names(traced.calls) == ["read", "receive", "answer", "view", "send"]


def test_a_request_handled_on_another_thread_has_its_whole_unit() -> None:
    units = {Server.read.__code__: 0}
    [traced] = traced_in_a_thread(lambda tracer: Server(tracer).read(7), units=units)
    assert names(traced.calls) == ["read", "receive", "answer", "view", "send"]


def test_without_units_the_calls_between_begin_and_end_are_recorded() -> None:
    kept = traced_in_a_thread(lambda tracer: Server(tracer).turn(1, 2))
    assert [(traced.number, names(traced.calls)) for traced in kept] == [
        (1, ["view"]),
        (2, ["view"]),
    ]


def test_a_unit_that_raises_is_recorded() -> None:
    def fails() -> None:
        raise LookupError

    def work(tracer: Tracer) -> None:
        with pytest.raises(LookupError):
            Server(tracer, fails).turn(1)
        Server(tracer).turn(2)

    kept = traced_in_a_thread(work, units=TURN)
    assert [traced.number for traced in kept] == [1, 2]
    assert names(kept[0].calls) == ["read", "receive", "answer", "fails"]


def test_calls_made_aside_are_not_part_of_the_request() -> None:
    def work(tracer: Tracer) -> None:
        def beside() -> None:
            assert sys.getprofile() is None

        Server(tracer, lambda: tracer.aside(beside)).turn(1)

    [traced] = traced_in_a_thread(work, units=TURN)
    assert "beside" not in names(traced.calls)


def test_no_hook_is_left_when_recording_is_off() -> None:
    switch = {"on": True}
    seen = []

    def work(tracer: Tracer) -> None:
        server = Server(tracer, lambda: seen.append(sys.getprofile()))
        server.turn(1)
        switch["on"] = False
        server.turn(2)
        seen.append(sys.getprofile())
        switch["on"] = True
        server.turn(3)
        server.turn(4)

    kept = traced_in_a_thread(work, lambda: switch["on"], units=TURN)
    assert [profile is None for profile in seen] == [False, True, True, False, False]
    assert [traced.number for traced in kept] == [1, 3, 4]
    assert "receive" not in names(kept[1].calls)  # it was read before recording was switched on
    assert "receive" in names(kept[2].calls)


def test_a_watching_thread_is_recorded_from_the_next_unit() -> None:
    switch = {"on": False}

    def work(tracer: Tracer) -> None:
        for on, number in ((False, 1), (True, 2), (False, 3)):
            switch["on"] = on
            tracer.watch()
            Server(tracer).turn(number)
        assert sys.getprofile() is None

    [traced] = traced_in_a_thread(work, lambda: switch["on"], units=TURN)
    assert traced.number == 2
    assert names(traced.calls) == ["read", "receive", "answer", "view", "send"]


def test_a_thread_with_another_profiler_is_not_recorded() -> None:
    def profiler(frame: Any, event: str, arg: Any) -> None: ...

    def work(tracer: Tracer) -> None:
        sys.setprofile(profiler)
        Server(tracer).turn(1)
        assert sys.getprofile() is profiler
        sys.setprofile(None)

    assert traced_in_a_thread(work, units=TURN) == []


def test_too_many_calls_are_truncated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "MOST", 50)

    def many() -> None:
        for _ in range(1000):
            view()

    def work(tracer: Tracer) -> None:
        Server(tracer, many).turn(1)
        Server(tracer).turn(2)

    cut, whole = traced_in_a_thread(work, units=TURN)
    assert cut.overflowed
    assert len(names(cut.calls)) <= 50
    assert not whole.overflowed
    assert whole.number == 2


def test_the_unit_after_a_truncated_one_is_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "MOST", 50)

    class Idle(Server):
        def read(self, number: int) -> None:
            if number:
                super().read(number)
            else:
                [view() for _ in range(100)]  # outside of a request

    def work(tracer: Tracer) -> None:
        for number in (0, 1):
            tracer.watch()
            Idle(tracer).turn(number)

    [traced] = traced_in_a_thread(work, units=TURN)
    assert names(traced.calls) == ["read", "read", "receive", "answer", "view", "send"]


def test_a_full_disk_does_not_affect_the_request(caplog: pytest.LogCaptureFixture) -> None:
    def full(traced: Traced) -> None:
        raise OSError("no space left")

    done = []

    def work() -> None:
        tracer = Tracer(full, lambda: not done, TURN)
        server = Server(tracer)
        server.turn(1)
        server.turn(2)
        done.append(True)
        tracer.watch()

    with caplog.at_level(logging.ERROR):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert done
    assert "could not be stored" in caplog.text


class Engine(Server):
    """Reads for a client in a branch of a turn, and answers on another thread."""

    def turn(self, *numbers: int) -> None:
        for number in numbers:
            self.read_for(PEER, number)

    def read_for(self, peer: tuple[str, int], number: int) -> None:
        self.receive()

    def away(self, number: int) -> None:
        self.tracer.begin(number, PEER)
        self.work()
        self.tracer.end(number)


PEER = ("127.0.0.1", 5000)


def test_a_branch_read_on_another_thread_belongs_to_its_request() -> None:
    def work(tracer: Tracer) -> None:
        engine = Engine(tracer)
        engine.turn(0, 0)
        for number in (1, 2):
            thread = threading.Thread(target=watched, args=(engine, number))
            thread.start()
            thread.join()

    def watched(engine: Engine, number: int) -> None:
        engine.tracer.watch()
        engine.away(number)

    kept = traced_in_a_thread(
        work,
        units={Engine.turn.__code__: 1, Engine.away.__code__: 0},
        reading={Engine.read_for.__code__: lambda frame: frame.f_locals["peer"]},
    )
    assert [(traced.number, names(traced.calls)) for traced in kept] == [
        (1, ["read_for", "receive", "read_for", "receive", "away", "view"]),
        (2, ["away", "view"]),
    ]


def test_branches_of_clients_without_a_request_are_dropped() -> None:
    def work(tracer: Tracer) -> None:
        engine = Engine(tracer)
        for port in range(tracing.CONNECTIONS + 5):
            read_turn(engine, ("127.0.0.1", port))
        found.append(len(tracer._before))

    def read_turn(engine: Engine, peer: tuple[str, int]) -> None:
        engine.read_for(peer, 0)

    found: list[int] = []
    traced_in_a_thread(
        work,
        units={read_turn.__code__: 1},
        reading={Engine.read_for.__code__: lambda frame: frame.f_locals["peer"]},
    )
    assert found == [tracing.CONNECTIONS]


def test_calls_through_c_are_in_the_page_of_a_request() -> None:
    def work(tracer: Tracer) -> None:
        tracer.watch()
        Server(tracer, lambda: list(map(double, range(20)))).turn(1)

    (traced,) = traced_in_a_thread(work, units=TURN)
    data = page.data_of(of_traced(traced, None))
    assert str(data["tracks"]).count("'name': 'double'") == 20


def double(number: int) -> int:
    return 2 * number


request: ContextVar[int | None] = ContextVar("request", default=None)


def compute() -> int:
    return sum(range(100_000))


def test_times_of_other_threads_are_those_of_the_request() -> None:
    """Even if recording has taken long before."""

    def view() -> None:
        for _ in range(3000):
            double(1)
        request.set(1)
        thread = threading.Thread(target=copy_context().run, args=[compute])
        thread.start()
        thread.join()

    (traced,) = traced_in_a_thread(
        lambda tracer: Server(tracer, view).turn(1), units=TURN, owner=request.get
    )
    first, other = of_traced(traced, None).tracks
    assert 0 < other.time < first.time


def test_calls_on_other_threads_in_the_context_of_the_request_are_recorded() -> None:
    def view() -> None:
        request.set(1)
        copied = copy_context()
        threads = [
            threading.Thread(target=copied.run, args=[double, 2], name="of the request"),
            threading.Thread(target=double, args=[3], name="of another"),
        ]
        for thread in threads:
            thread.start()
            thread.join()

    (traced,) = traced_in_a_thread(
        lambda tracer: Server(tracer, view).turn(1), units=TURN, owner=request.get
    )
    assert [(name, names(calls)) for name, calls in traced.others] == [
        ("of the request", ["double"])
    ]
    _, other = of_traced(traced, None).tracks
    (node,) = other.roots
    assert (node.name, node.result) == ("double", "4")
    assert 0 <= node.began <= node.ended <= of_traced(traced, None).time


def test_a_view_that_reaches_the_recursion_limit_is_recorded() -> None:
    limit = sys.getrecursionlimit()

    def down(n: int) -> int:
        return down(n + 1)

    def view() -> None:
        with pytest.raises(RecursionError):
            down(0)

    (traced,) = traced_in_a_thread(lambda tracer: Server(tracer, view).turn(1), units=TURN)
    assert traced.calls[0].children[-1].code == Server.send.__code__
    assert sys.getrecursionlimit() == limit


def test_waits_and_compiled_code_are_recorded_and_other_calls_into_c_are_not() -> None:
    def view() -> None:
        time.sleep(0)
        len("x")
        _escape_inner("x")

    (traced,) = traced_in_a_thread(lambda tracer: Server(tracer, view).turn(1), units=TURN)
    assert names(traced.calls)[-4:] == ["view", "sleep", "_escape_inner", "send"]
