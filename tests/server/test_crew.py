from __future__ import annotations

import math
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from carboy.server.crew import CLOSE_LOOKS, CLOSER, CLOSEST, IDLE_LOOKS, WAITED, Crew, Lead
from carboy.server.dispatch_times import CAP, DispatchTimes
from live_engine import GET, Live, eventually, hello, served
from running import PATIENCE


class Gate:
    """An application with paths that wait until they are released."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.lock = threading.Lock()
        self.inside = 0
        self.most = 0
        self.order: list[str] = []
        self.threads: dict[str, int] = {}

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        path = environ["PATH_INFO"]
        with self.lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
            self.order.append(path)
            self.threads[path] = threading.get_ident()
        if path.startswith("/wait"):
            self.go.wait(30)
        with self.lock:
            self.inside -= 1
        return hello(environ, start_response)


@contextmanager
def gate(**settings: Any) -> Iterator[tuple[Gate, Live]]:
    app = Gate()
    with served(app, **settings) as live:
        try:
            yield app, live
        finally:
            app.go.set()


def test_a_stuck_handler_never_stops_others() -> None:
    with gate(threads=2) as (app, live), live.client() as stuck:
        stuck.request("GET", "/wait")
        eventually(lambda: app.inside)
        for _ in range(3):
            assert live.get("/quick").body == b"hello"
        app.go.set()
        assert stuck.reply().body == b"hello"


def test_many_slow_requests_at_once_do_not_delay_quick_ones() -> None:
    with gate(threads=2) as (app, live), ExitStack() as stack:
        clients = [stack.enter_context(live.client()) for _ in range(12)]
        for client in clients:
            client.request("GET", "/wait")
        eventually(lambda: app.inside == 2 and len(live.engine.in_flight()) == 12)
        # Only the first was ever tried by a leader; so one still is there for the others.
        assert live.get("/quick").body == b"hello"
        assert app.inside == 2
        app.go.set()
        for client in clients:
            assert client.reply().body == b"hello"


def test_a_handler_that_holds_the_interpreter_lock_loses_the_lead() -> None:
    stop = threading.Event()

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"] == "/busy":
            while not stop.is_set():
                sum(range(1000))
        return hello(environ, start_response)

    with served(app) as live, live.client() as busy:
        busy.request("GET", "/busy")
        try:
            eventually(live.engine.in_flight)
            assert live.get("/").body == b"hello"
        finally:
            stop.set()
        assert busy.reply().body == b"hello"


def test_all_threads_can_wait_in_handlers_at_once() -> None:
    with gate(threads=3) as (app, live), ExitStack() as stack:
        clients = [stack.enter_context(live.client()) for _ in range(6)]
        # Known to be slow, so that none of them is tried on the leader's thread.
        live.engine.dispatch_times.averages["GET /wait"] = 1.0
        live.engine.dispatch_times.next_trial = math.inf
        for client in clients:
            client.request("GET", "/wait")
        eventually(lambda: app.inside == 3)
        eventually(lambda: len(live.engine.in_flight()) == 6)
        assert live.get("/quick").body == b"hello"
        app.go.set()
        for client in clients:
            assert client.reply().body == b"hello"
    assert app.most <= 4  # three that wait, and a quick one beside them


def test_the_watcher_ends_with_the_crew_even_if_it_looks_rarely() -> None:
    crew = Crew(2, 3600.0, lambda lead: None)
    crew.start()
    watcher = crew._watcher
    assert watcher is not None
    crew.stop()
    watcher.join(PATIENCE)
    assert not watcher.is_alive()


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_only_the_watcher_waits_without_slack_while_it_looks_closely() -> None:
    slacks: list[str] = []  # of members
    over = threading.Event()

    def lead(lead: Lead) -> None:
        slacks.append(timer_slack(threading.current_thread()))
        if len(slacks) < 4:
            lead.slot.append(Held(0.0))  # type: ignore[arg-type]
            if crew.asleep:
                crew.wake_watcher()
        over.wait(PATIENCE)

    crew = Crew(4, 0.002, lead)
    before = timer_slack(threading.current_thread())
    crew.start()
    try:
        eventually(lambda: len(slacks) == 4)
        assert crew._watcher is not None
        eventually(lambda: crew._exact and timer_slack(crew._watcher) == "1")
        assert slacks == [before] * 4
        for _ in range(CLOSE_LOOKS // IDLE_LOOKS + 1):
            crew.wake_watcher()  # it sleeps after so many looks, because the leader is idle
        eventually(lambda: not crew._exact and timer_slack(crew._watcher) == before)
    finally:
        over.set()
        crew.stop()


def timer_slack(thread: threading.Thread | None) -> str:
    assert thread is not None
    return Path(f"/proc/{thread.native_id}/timerslack_ns").read_text().strip()


def test_requests_get_threads_in_order() -> None:
    with gate(threads=2) as (app, live), ExitStack() as stack:
        averages = live.engine.dispatch_times.averages
        for path in ("/wait", *(f"/{name}" for name in "abcdef")):
            averages[f"GET {path}"] = 1.0
        live.engine.dispatch_times.next_trial = math.inf  # none of them on the leader's thread
        clients = [stack.enter_context(live.client()) for _ in range(7)]
        with live.client() as blocked:
            blocked.request("GET", "/wait")
            eventually(lambda: app.inside == 1)
            clients[6].request("GET", "/wait")
            eventually(lambda: app.inside == 2)
            for name, client in zip("abcdef", clients):
                client.request("GET", f"/{name}")
                eventually(lambda: len(live.engine.scheduler.queue) == "abcdef".index(name) + 1)
            app.go.set()
            for client in clients:
                client.reply()
            blocked.reply()
    # Two threads take them in order; two neighbours may be swapped.
    places = [app.order.index(f"/{name}") for name in "abcdef"]
    assert all(abs(place - n - 2) <= 1 for n, place in enumerate(places))


def test_one_thread_means_one_request_at_a_time_on_one_thread() -> None:
    with gate(threads=1) as (app, live), ExitStack() as stack:
        app.go.set()
        clients = [stack.enter_context(live.client()) for _ in range(8)]
        for number, client in enumerate(clients):
            client.request("GET", f"/wait{number}")
        for client in clients:
            assert client.reply().body == b"hello"
    assert app.most == 1
    assert len(set(app.threads.values())) == 1


def test_a_key_that_turned_out_slow_runs_in_the_crew() -> None:
    with gate(inline_budget=0.001) as (app, live), live.client() as first:
        first.request("GET", "/wait")
        eventually(lambda: app.inside)
        threading.Event().wait(0.02)
        app.go.set()
        first.reply()
        eventually(lambda: not live.engine.dispatch_times.is_quick("GET /wait"))
        # Not by one request, which may take longer on a busy machine.
        eventually(
            lambda: live.get("/quick").status and live.engine.dispatch_times.is_quick("GET /quick")
        )
        assert not live.engine.dispatch_times.is_quick("GET /wait")


def test_a_thread_is_made_only_when_it_is_needed() -> None:
    with gate(threads=64) as (app, live):
        for _ in range(10):
            live.get("/quick")
        names = {thread.name for thread in threading.enumerate()}
        assert len([name for name in names if name.startswith("carboy-")]) < 8


def test_a_slow_key_that_turns_out_quick_on_the_leaders_thread_is_quick_at_once() -> None:
    learned = DispatchTimes(budget=0.001, size=10)
    assert learned.is_quick("new")
    learned.note("a", 5.0)
    assert not learned.is_quick("a")
    learned.note("a", 0.0001)
    assert learned.is_quick("a")


def test_a_time_taken_on_another_thread_does_not_make_a_key_slow() -> None:
    learned = DispatchTimes(budget=0.001, size=10)
    learned.note("a", 0.0005)
    learned.note_away("a", 5.0)
    learned.note_away("unknown", 5.0)
    assert learned.is_quick("a") and learned.is_quick("unknown")


def test_short_times_on_other_threads_make_a_slow_key_quick() -> None:
    learned = DispatchTimes(budget=0.001, size=10)
    learned.note("a", 5.0)
    times = 0
    while not learned.is_quick("a"):
        learned.note_away("a", 0.0001)
        times += 1
    assert 5 < times < 50


def test_trials_of_a_key_get_rarer_while_it_stays_slow() -> None:
    learned = DispatchTimes(budget=0.001, size=10)
    learned.note("a", 5.0)
    trials = []
    for millisecond in range(20_000):
        now = 100 + millisecond / 1000
        if learned.on_trial("a", now):
            trials.append(now)
            learned.note("a", 5.0)
    pauses = [later - earlier for earlier, later in pairwise(trials)]
    assert pauses == sorted(pauses)
    assert 5 < len(trials) < 20
    assert pauses[-1] == pytest.approx(2.0, abs=0.01)


def test_trials_of_many_keys_are_spread() -> None:
    learned = DispatchTimes(budget=0.001, size=1000)
    for key in range(500):
        learned.note(key, 5.0)
    tried = sum(
        learned.on_trial(key, 100 + second / 100) for second in range(100) for key in range(500)
    )
    assert tried <= 21  # in one second


def test_a_quick_view_whose_first_request_was_slow_comes_back_to_the_leader() -> None:
    """With many requests at once the times on other threads hold waits, and look slow."""
    with gate(inline_budget=0.001) as (app, live):
        app.go.set()
        live.engine.dispatch_times.averages["GET /quick"] = 0.008
        eventually(
            lambda: live.get("/quick").status and live.engine.dispatch_times.is_quick("GET /quick")
        )


def test_one_slow_response_does_not_make_a_quick_key_slow() -> None:
    learned = DispatchTimes(budget=0.001, size=10)
    for _ in range(20):
        learned.note("a", 0.0002)
    learned.note("a", 0.003)
    assert learned.is_quick("a")


def test_a_time_counts_for_the_cap_at_most() -> None:
    learned = DispatchTimes(budget=0.001, size=10)
    learned.note("a", 3600.0)
    assert learned.averages["a"] == CAP * 0.001


def test_the_table_of_keys_is_bounded() -> None:
    learned = DispatchTimes(budget=0.001, size=10)
    for key in range(100):
        learned.note(key, 1.0)
    assert len(learned.averages) == 10
    assert not learned.is_quick(99)


@pytest.mark.parametrize("threads", [2, 8])
def test_quick_and_slow_requests_mixed_are_all_answered(threads: int) -> None:
    """The leader is replaced all the time here, and no request may get lost."""

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"] == "/slow":
            threading.Event().wait(0.003)
        start_response("200 OK", [])
        return [environ["PATH_INFO"].encode()]

    wrong: list[Any] = []
    with served(app, threads=threads, watch_interval=0.0005) as live:

        def drive(number: int) -> None:
            with live.client() as client:
                for n in range(60):
                    path = "/slow" if (n + number) % 7 == 0 else f"/quick{n % 3}"
                    client.request("GET", path)
                    body = client.reply().body
                    if body != path.encode():
                        wrong.append((path, body))

        drivers = [threading.Thread(target=drive, args=(n,)) for n in range(8)]
        for driver in drivers:
            driver.start()
        for driver in drivers:
            driver.join(60)
            assert not driver.is_alive()
        assert wrong == []
        eventually(lambda: live.engine.crew.away == 0)


def test_a_connection_is_kept_after_a_response_of_the_crew() -> None:
    with gate() as (app, live), live.client() as client:
        live.engine.dispatch_times.averages["GET /slow"] = 1.0
        app.go.set()
        for path in ("/slow", "/quick", "/slow", "/quick"):
            client.request("GET", path)
            assert client.reply().body == b"hello"
        client.send(GET)
        assert client.reply().body == b"hello"


def test_trace_is_called_before_each_turn_and_each_request_in_the_crew() -> None:
    traced: list[str] = []
    go = threading.Event()

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"] == "/wait":
            go.wait(20)
        return hello(environ, start_response)

    def trace() -> None:
        traced.append(threading.current_thread().name)

    with served(app, trace=trace) as live, live.client() as client:
        live.engine.dispatch_times.averages["GET /wait"] = 1.0
        live.engine.dispatch_times.next_trial = math.inf
        turns = len(traced)
        assert live.get("/").body == b"hello"
        assert len(traced) > turns
        client.request("GET", "/wait")
        eventually(lambda: live.engine.crew.away == 1 and len(set(traced)) == 2)
        go.set()
        assert client.reply().body == b"hello"


def test_replacing_a_leader_keeps_the_count_of_bytes_sent() -> None:
    """The handler may be about to measure the rate at which its client reads."""
    written, go = threading.Event(), threading.Event()

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        write = start_response("200 OK", [("Content-Length", str(1 << 22))])
        write(bytes(1 << 22))
        written.set()
        go.wait(20)
        return []

    with served(app, high_water=1 << 23, watch_interval=60.0) as live, live.client() as client:
        client.request("GET", "/")
        assert written.wait(20)
        [connection] = live.engine.connections.values()
        before = connection.moved
        assert before > 0
        assert live.engine.crew.depose(live.engine.crew.current)
        assert connection.moved == before
        go.set()
        assert len(client.reply().body) == 1 << 22


class Clock:
    """The clocks that the watcher reads. A process that computes for less time has waited."""

    now = computed = 0.0

    def monotonic(self) -> float:
        return self.now

    def process_time(self) -> float:
        return self.computed


class Looks:
    """Stands for the lock that the watcher waits for: each wait is over at once.

    On the clock, it has taken one and a half times as long as it should.
    """

    def __init__(self, clock: Clock, steps: list[Callable[[], object]]) -> None:
        self.clock = clock
        self.steps = iter(steps)
        self.pauses: list[float] = []

    def locked(self) -> bool:
        return False

    def acquire(self, timeout: float) -> bool:
        self.pauses.append(timeout)
        self.clock.now += 1.5 * timeout
        for step in self.steps:
            step()
            return False
        return True


class Held:
    """A request that the leader runs."""

    patience = 0.0

    def __init__(self, began: float) -> None:
        self.began = began
        self.connection = SimpleNamespace()


class Watched:
    """A crew whose watcher makes its looks in this thread."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, interval: float) -> None:
        self.clock = Clock()
        self.deposed: list[float] = []
        monkeypatch.setattr("carboy.server.crew.time", self.clock)
        self.crew = crew = Crew(4, interval, lambda lead: None)
        crew.on_deposed = lambda exchange, seconds: self.deposed.append(seconds)
        self.watch: CloseWatch
        self.slacks: list[tuple[int, ...]] = []  # that the watcher has asked for
        self.may_set_slack = True
        monkeypatch.setattr("carboy.server.crew.set_timer_slack", self.set_slack)
        crew._claim = lambda: True  # type: ignore[method-assign]

    def set_slack(self, *nanoseconds: int) -> bool:
        self.slacks.append(nanoseconds)
        return self.may_set_slack

    def holds(self) -> None:
        """The leader runs a request, and is still in it at the next looks."""
        self.crew.current.slot[:] = [Held(self.clock.now)]  # type: ignore[list-item]

    def ends(self) -> None:
        """The request of the leader ends before the next look."""
        self.crew.current.slot.clear()

    def computes(self) -> None:
        """Since the last look, the process has used the processor all the time."""
        self.clock.computed = self.clock.now

    def look(self, *steps: Callable[[], object]) -> list[float]:
        looks = Looks(self.clock, [*steps])
        self.crew._ended = looks  # type: ignore[assignment]
        self.crew._watch()
        return looks.pauses


def nothing() -> None:
    pass


INTERVAL = 400.0
RARELY, CLOSE, AT_ONCE = 2 * INTERVAL, INTERVAL / CLOSER, INTERVAL / CLOSEST


def test_a_request_has_the_interval_from_its_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch, INTERVAL)
    pauses = watched.look(watched.holds, nothing, watched.ends)
    # Found when it had just begun; then again when it had run for an interval.
    assert pauses[:2] == [RARELY, INTERVAL]
    assert watched.deposed == [1.5 * INTERVAL]


def test_a_request_that_is_found_late_has_one_more_look(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch, INTERVAL)

    def held_for_long() -> None:
        watched.holds()
        watched.clock.now += INTERVAL

    assert watched.look(held_for_long, watched.ends) == [RARELY, AT_ONCE, RARELY]
    assert watched.deposed == []  # the process, and not the request, was held
    assert watched.look(held_for_long, nothing)[:2] == [RARELY, AT_ONCE]
    assert len(watched.deposed) == 1


def test_the_watcher_looks_closely_after_it_has_replaced_a_leader(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watched = Watched(monkeypatch, INTERVAL)
    pauses = watched.look(watched.holds, nothing, watched.holds, nothing, nothing)
    assert pauses == [RARELY, INTERVAL, CLOSE, AT_ONCE, CLOSE, CLOSE]
    # The second request waits as well. It counts like the first, although it was found sooner.
    assert watched.deposed == [1.5 * INTERVAL, INTERVAL]


class CloseWatch:
    """Stands for the compiled looks. Each call is one step, which returns when it found one."""

    def __init__(self, watched: Watched, *steps: Callable[[], float]) -> None:
        self.watched = watched
        self.steps = iter(steps)
        self.calls: list[tuple[int, int]] = []  # the clock of the leader's thread, the looks

    def __call__(
        self,
        slot: object,
        look_again: bytearray,
        thread_clock: int,
        pause: float,
        least: float,
        most: float,
        looks: int,
        idle_looks: int,
    ) -> tuple[int, float]:
        assert (pause, least, most) == (BRIEF / CLOSEST, BRIEF / WAITED, BRIEF)
        assert not look_again[0]
        self.calls.append((thread_clock, looks))
        for step in self.steps:
            return 1, step()
        self.watched.crew.stop()
        assert look_again[0]
        return 1, 0.0


BRIEF = 1 / 32  # an interval for which the looks are compiled


def closely(monkeypatch: pytest.MonkeyPatch, *steps: Callable[[Watched], float]) -> Watched:
    """The watcher after it has replaced a leader, where functions are compiled."""
    watched = Watched(monkeypatch, BRIEF)
    watched.watch = CloseWatch(watched, *(partial(step, watched) for step in steps))
    watched.crew.close_watch = watched.watch
    watched.look(watched.holds, nothing)
    assert watched.slacks == []  # the compiled looks set it themselves
    return watched


def waits(watched: Watched) -> float:
    watched.holds()
    watched.clock.now += 2 * BRIEF / WAITED
    return watched.clock.now


def waits_for_the_interpreter(watched: Watched) -> float:
    found = waits(watched)
    watched.clock.now += 2 * BRIEF / WAITED  # as this thread does
    return found


def has_begun(watched: Watched) -> float:
    watched.holds()  # after another request was found
    return watched.clock.now


def computes(watched: Watched) -> float:
    watched.holds()
    watched.clock.now += BRIEF
    return watched.clock.now


def ends(watched: Watched) -> float:
    watched.ends()
    return watched.clock.now


def is_not_found(watched: Watched) -> float:
    return 0.0


@pytest.mark.parametrize("found", [waits, computes])
def test_compiled_close_looks_replace_a_leader_that_waits_or_computes_for_the_interval(
    monkeypatch: pytest.MonkeyPatch, found: Callable[[Watched], float]
) -> None:
    watched = closely(monkeypatch, is_not_found, found)
    assert watched.deposed == [1.5 * BRIEF, BRIEF]
    # Until the new leader has said which clock it has, each look is a call.
    assert watched.watch.calls == [(-1, 1)] * 3


@pytest.mark.parametrize("found", [waits_for_the_interpreter, has_begun, ends, is_not_found])
def test_compiled_close_looks_keep_other_leaders(
    monkeypatch: pytest.MonkeyPatch, found: Callable[[Watched], float]
) -> None:
    assert len(closely(monkeypatch, found).deposed) == 1


def test_compiled_close_looks_end(monkeypatch: pytest.MonkeyPatch) -> None:
    def leads(watched: Watched) -> float:
        watched.crew.current.clock = 7
        return 0.0

    watched = closely(monkeypatch, leads, *[is_not_found] * (CLOSE_LOOKS - 1))
    assert watched.watch.calls[1:] == [(7, left) for left in range(CLOSE_LOOKS - 1, 0, -1)]


def test_the_watcher_sleeps_when_compiled_close_looks_find_no_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slept = []

    def is_idle(watched: Watched) -> float:
        watched.ends()
        watched.crew._sleep = lambda: slept.append(True)  # type: ignore[method-assign]
        return -1.0

    closely(monkeypatch, is_idle)
    assert slept == [True]


def test_the_watcher_waits_without_slack_only_while_it_looks_closely(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("carboy.server.crew.IDLE_LOOKS", CLOSE_LOOKS + 2)
    for looks, slacks in ((CLOSE_LOOKS - 1, [(1,)]), (CLOSE_LOOKS, [(1,), ()])):
        watched = Watched(monkeypatch, INTERVAL)
        watched.look(watched.holds, nothing, *[watched.ends] * looks)
        assert watched.slacks == slacks


@pytest.mark.parametrize("exact", [False, True])
def test_a_handler_has_waited_if_the_process_was_idle_for_the_pause_less_what_slack_adds(
    monkeypatch: pytest.MonkeyPatch, exact: bool
) -> None:
    watched = Watched(monkeypatch, INTERVAL)
    watched.may_set_slack = exact

    def half_waits() -> None:
        # A close look comes after one and a half pauses.
        watched.clock.computed += 0.75 * AT_ONCE

    watched.look(watched.holds, nothing, watched.holds, half_waits)
    assert len(watched.deposed) == (2 if exact else 1)


def test_a_handler_that_ends_between_two_close_looks_keeps_the_lead(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watched = Watched(monkeypatch, INTERVAL)
    pauses = watched.look(watched.holds, nothing, watched.holds, watched.ends, watched.holds)
    assert pauses == [RARELY, INTERVAL, CLOSE, AT_ONCE, CLOSE, AT_ONCE]
    assert len(watched.deposed) == 1


def test_a_handler_that_computes_keeps_the_lead_for_the_whole_interval(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watched = Watched(monkeypatch, INTERVAL)

    def begins() -> None:
        watched.computes()
        watched.holds()

    # Three looks say less than one interval.
    watched.look(watched.holds, nothing, begins, *[watched.computes] * 3)
    assert len(watched.deposed) == 1
    watched.look(*[watched.computes] * CLOSEST)
    assert len(watched.deposed) == 2


def test_the_watcher_looks_rarely_again_when_no_leader_was_held_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watched = Watched(monkeypatch, INTERVAL)
    monkeypatch.setattr("carboy.server.crew.IDLE_LOOKS", CLOSE_LOOKS + 2)
    pauses = watched.look(watched.holds, nothing, *[nothing] * (CLOSE_LOOKS + 1))
    assert pauses[2:] == [CLOSE] * CLOSE_LOOKS + [RARELY] * 2


def test_requests_that_wait_now_and_then_do_not_make_their_view_slow() -> None:
    learned = DispatchTimes(budget=0.001, size=10)
    for n in range(1, 2000):
        if n % 100 == 0:
            learned.note("view", 0.002, stuck=True)  # the interval of the watcher
        else:
            learned.note("view", 0.00002)
        assert learned.is_quick("view")
