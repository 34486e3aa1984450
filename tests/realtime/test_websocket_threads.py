"""The threads of WebSocket handlers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from carboy.realtime import websocket_threads
from carboy.realtime.websocket_threads import WebSocketThreads, the_threads
from live_engine import eventually

PATIENCE = 60


class Held:
    """Work that waits for its release."""

    def __init__(self, before: Callable[[], Any] = lambda: None) -> None:
        self.before = before
        self.found: Any = None
        self.begun, self.release, self.ended = (threading.Event() for _ in range(3))

    def __call__(self) -> None:
        self.found = self.before()
        self.begun.set()
        self.release.wait(PATIENCE)
        self.ended.set()


def test_work_above_the_limit_waits_for_a_thread() -> None:
    threads = WebSocketThreads(brief=2, holding=1)
    works = [Held() for _ in range(4)]
    for work in works:
        threads.submit(work)
    for work in works[:2]:
        assert work.begun.wait(PATIENCE)
    assert not works[2].begun.is_set()
    for work in works:
        work.release.set()
        assert work.ended.wait(PATIENCE)


def test_work_that_holds_its_thread_leaves_its_place_to_other_work() -> None:
    threads = WebSocketThreads(brief=1, holding=2)
    first, second, third = Held(threads.hold), Held(threads.hold), Held()
    for work in (first, second, third):
        threads.submit(work)
        assert work.begun.wait(PATIENCE)
    assert (first.found, second.found) == (True, True)
    for work in (first, second, third):
        work.release.set()


def test_no_more_threads_than_the_limit_may_hold_theirs(caplog: pytest.LogCaptureFixture) -> None:
    threads = WebSocketThreads(brief=3, holding=1)
    first, second = Held(threads.hold), Held(threads.hold)
    for work in (first, second):
        threads.submit(work)
        assert work.begun.wait(PATIENCE)
    assert (first.found, second.found) == (True, False)
    assert "All 1 WebSocket threads are in use" in caplog.text
    for work in (first, second):
        work.release.set()
        assert work.ended.wait(PATIENCE)
    third = Held(threads.hold)
    threads.submit(third)
    assert third.begun.wait(PATIENCE)
    assert third.found is True
    third.release.set()


def test_any_other_thread_may_wait() -> None:
    assert WebSocketThreads(brief=1, holding=1).hold() is True


def test_long_work_is_counted_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket_threads, "LONG", 0.01)
    monkeypatch.setattr(websocket_threads, "LOOK", 0.01)
    threads = WebSocketThreads(brief=1, holding=1)
    first, second = Held(), Held()
    for work in (first, second):
        threads.submit(work)
        assert work.begun.wait(PATIENCE)  # the second, although the first goes on
    for work in (first, second):
        work.release.set()


def test_work_that_has_waited_for_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket_threads, "PATIENCE", 0.0)
    monkeypatch.setattr(websocket_threads, "LOOK", 0.01)
    threads = WebSocketThreads(brief=1, holding=1)
    first, second, third = Held(), Held(), Held()
    given_up = threading.Event()
    threads.submit(first)
    threads.submit(second, given_up.set)
    threads.submit(third)
    assert given_up.wait(PATIENCE)
    first.release.set()
    third.release.set()
    assert third.ended.wait(PATIENCE)
    assert not second.begun.is_set()


def test_servers_with_other_limits_have_other_threads() -> None:
    threads = the_threads(3, 5)
    assert the_threads(3, 5) is threads
    assert the_threads(3, 6) is not threads
    assert (threads.brief, threads.holding) == (3, 5)


def test_threads_are_used_again() -> None:
    threads = WebSocketThreads(brief=4, holding=1)
    seen = set()
    for _ in range(20):
        work = Held(threading.get_ident)
        threads.submit(work)
        work.release.set()
        assert work.ended.wait(PATIENCE)
        seen.add(work.found)
        eventually(lambda: threads._idle)  # its thread is about to wait for work
    assert len(seen) == 1


def test_work_that_raises_is_logged_and_its_thread_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    threads = WebSocketThreads(brief=1, holding=1)

    def fail() -> None:
        raise ZeroDivisionError

    threads.submit(fail)
    work = Held()
    threads.submit(work)
    work.release.set()
    assert work.ended.wait(PATIENCE)
    assert "ended with an error" in caplog.text


def test_a_thread_that_cannot_be_started_gives_its_work_up(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    threads = WebSocketThreads(brief=1, holding=1)
    given_up = threading.Event()
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        threads.submit(lambda: None, given_up.set)
    assert given_up.is_set()
    assert "No further thread can be started" in caplog.text
    work = Held()
    threads.submit(work)
    work.release.set()
    assert work.ended.wait(PATIENCE)
