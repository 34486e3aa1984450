"""The event loop of a worker, which other threads hand calls to."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator

import pytest

from carboy.net import loop as module
from carboy.net.loop import Loop, make_loop
from carboy.net.threads import NoThread
from live_engine import eventually


@pytest.fixture(params=["asyncio", "uvloop"])
def loop(request: pytest.FixtureRequest) -> Iterator[Loop]:
    if request.param == "uvloop":
        pytest.importorskip("uvloop")
    made = Loop(request.param)
    yield made
    made.stop(5)


def test_calls_of_many_threads_all_run_and_those_of_a_thread_in_order(loop: Loop) -> None:
    ran: list[tuple[int, int]] = []
    done = threading.Event()

    def call(thread: int) -> None:
        for number in range(2000):
            loop.call(ran.append, (thread, number))

    threads = [threading.Thread(target=call, args=(thread,)) for thread in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    loop.call(done.set)
    assert done.wait(20)
    for thread_number in range(4):
        assert [n for thread, n in ran if thread == thread_number] == list(range(2000))


def test_a_call_that_is_made_while_others_run_runs_too(loop: Loop) -> None:
    done = threading.Event()
    loop.call(loop.call, loop.call, done.set)
    assert done.wait(20)


def test_a_call_that_fails_is_logged_and_the_next_one_runs(
    loop: Loop, caplog: pytest.LogCaptureFixture
) -> None:
    done = threading.Event()

    def fail() -> None:
        raise ValueError("broken")

    loop.call(fail)
    loop.call(done.set)
    assert done.wait(20)
    assert "A call on the event loop failed." in caplog.text
    assert "broken" in caplog.text


def test_a_call_for_which_no_thread_can_be_started_does_not_keep_the_next_one_from_running(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise NoThread

    made: list[str] = []
    with monkeypatch.context() as limited:
        limited.setattr(module, "start_thread", refuse)
        with pytest.raises(NoThread):
            loop.call(made.append, "refused")
    loop.call(made.append, "made")
    eventually(lambda: made == ["made"])


def test_the_loop_runs_in_a_thread_of_its_own_that_starts_when_it_is_used(loop: Loop) -> None:
    assert not loop.running

    async def name() -> str:
        return threading.current_thread().name

    assert loop.submit(name()).result(20) == "carboy-loop"
    assert loop.running
    assert loop.start() is loop.start()


def test_a_stop_cancels_what_runs_and_ends_the_thread(loop: Loop) -> None:
    ended: list[str] = []
    runs = threading.Event()

    async def wait() -> None:
        runs.set()
        try:
            await asyncio.sleep(3600)
        finally:
            ended.append("cancelled")

    loop.submit(wait())
    assert runs.wait(20)
    loop.stop(5)
    assert ended == ["cancelled"]
    assert not loop.running
    loop.stop(5)  # a second one has no effect


def test_a_task_that_exits_does_not_end_the_loop(
    loop: Loop, caplog: pytest.LogCaptureFixture
) -> None:
    async def leave() -> None:
        sys.exit(3)

    done = threading.Event()
    tasks: list[asyncio.Future[None]] = []
    loop.call(lambda: tasks.append(asyncio.ensure_future(leave())))
    eventually(lambda: "A task has tried to end the event loop." in caplog.text)
    loop.call(done.set)
    assert done.wait(20)
    # asyncio logs an exception that is not asked for, at a garbage collection in a later test.
    # If that is inside ast.parse, the traceback of the record calls it again, and 3.11 fails.
    assert isinstance(tasks[0].exception(), SystemExit)


def test_a_loop_that_was_not_used_has_nothing_to_stop() -> None:
    Loop("asyncio").stop(5)


def test_a_coroutine_that_does_not_end_does_not_keep_a_stop_waiting(
    caplog: pytest.LogCaptureFixture,
) -> None:
    loop = Loop("asyncio")
    go = threading.Event()

    async def block() -> None:
        go.wait(20)

    loop.submit(block())
    loop.stop(0.05)
    assert "The event loop did not end within 0.1 s." in caplog.text
    go.set()
    eventually(lambda: not loop.running)


def test_auto_is_uvloop_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("uvloop")
    loop = make_loop("auto")
    loop.close()
    assert type(loop).__module__ == "uvloop"
    monkeypatch.setitem(sys.modules, "uvloop", None)
    monkeypatch.setattr("importlib.machinery.PathFinder.find_spec", lambda name: None)
    loop = make_loop("auto")
    loop.close()
    assert type(loop).__module__.startswith("asyncio")
    with pytest.raises(ValueError, match="uvloop is not installed"):
        make_loop("uvloop")
