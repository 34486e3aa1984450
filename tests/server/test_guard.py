"""The guard around a call of the application: the exception is raised in it, or not at all."""

from __future__ import annotations

import importlib
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest

from carboy.gateway.interface import ANSWERED
from carboy.server.guard import Guard, Overdue, Stage, deliver, may_interrupt, stack_of
from carboy.thread_frames import thread_frames
from carboy.time_limits import RequestTimeout, TimeLimit

PATIENCE = 60.0
ANSWER = ("200 OK", [], b"done", None)


class FakeConnection:
    taking: Any = None


class FakeExchange:
    """The part of an exchange that the guard uses."""

    def __init__(self) -> None:
        self.thread = 0
        self.overdue: Overdue | None = None
        self.made = b""
        self.connection: Any = FakeConnection()

    def request_line(self) -> str:
        return "GET / HTTP/1.1"


class FakeGateway:
    def __init__(self, handle: Any) -> None:
        self.handle = handle
        self.prepare = self.body_limit = self.wants_stream = handle


@contextmanager
def frequent_switches() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def end(exchange: Any) -> None:
    """The work of the thread of the time limits, without the client."""
    overdue = Overdue(TimeLimit(1.0), 0.0)
    exchange.overdue = overdue
    try:
        if not exchange.thread:
            overdue.stage = Stage.MISSED
            return
        overdue.stage = Stage.ANSWERED
        deliver(exchange, overdue, thread_frames().get(exchange.thread))
    finally:
        overdue.lock.release()


def test_the_exception_never_reaches_the_code_between_two_requests() -> None:
    """Requests of a few steps, each of which is ended at some moment, or just after its end."""
    current: list[Any] = [FakeExchange()]
    leaked: list[BaseException] = []
    results = {"ended": 0, "answered": 0}
    until = time.monotonic() + PATIENCE
    over = threading.Event()
    steps = iter(range(10**9))

    def application(exchange: Any) -> Any:
        for _ in range(next(steps) % 5):
            time.sleep(0)  # lets the other thread run
        return ANSWER

    guard = Guard(FakeGateway(application))  # type: ignore[arg-type]

    def serve() -> None:
        try:
            while min(results.values()) < 200 and time.monotonic() < until:
                exchange = FakeExchange()
                current[0] = exchange
                answer = guard.handle(exchange)
                for _ in range(5):
                    time.sleep(0)
                results["ended" if answer is ANSWERED else "answered"] += 1
        except BaseException as error:
            leaked.append(error)
        finally:
            over.set()

    def limit() -> None:
        while not over.is_set():
            exchange = current[0]
            if exchange.overdue is None and exchange.thread:
                end(exchange)

    with frequent_switches():
        threads = [threading.Thread(target=each, daemon=True) for each in (serve, limit)]
        for each in threads:
            each.start()
        for each in threads:
            each.join(PATIENCE)
    assert not leaked
    assert min(results.values()) >= 200


def ended_inside(application: Any) -> tuple[FakeExchange, Any]:
    """A request that is ended while its application runs; its answer or its error."""
    exchange = FakeExchange()
    found: list[Any] = []

    def run() -> None:
        try:
            found.append(Guard(FakeGateway(application)).handle(exchange))  # type: ignore[arg-type]
        except BaseException as error:
            found.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    while not exchange.thread:
        pass
    end(exchange)
    overdue = exchange.overdue
    assert overdue is not None
    while not overdue.delivered and thread.is_alive():
        with overdue.lock:
            deliver(exchange, overdue, thread_frames().get(exchange.thread))  # type: ignore[arg-type]
    thread.join(PATIENCE)
    return exchange, found[0]


def spin(until: threading.Event) -> None:
    while not until.is_set():
        pass


def test_the_answer_of_an_application_that_handles_the_exception_is_dropped() -> None:
    closed: list[None] = []

    def application(exchange: Any) -> Any:
        try:
            spin(threading.Event())
        except RequestTimeout:
            pass
        return "200 OK", [], b"late", lambda: closed.append(None)

    _, answer = ended_inside(application)
    assert answer is ANSWERED
    assert closed == [None]


def test_an_application_that_lets_it_pass_is_answered() -> None:
    _, answer = ended_inside(lambda exchange: spin(threading.Event()))
    assert answer is ANSWERED


def test_another_error_after_the_limit_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    def application(exchange: Any) -> Any:
        try:
            spin(threading.Event())
        finally:
            raise ValueError("while cleaning up")

    with caplog.at_level(logging.ERROR, "carboy.error"):
        _, answer = ended_inside(application)
    assert answer is ANSWERED
    assert "failed after its time limit: GET / HTTP/1.1" in caplog.text


def test_an_ordinary_error_passes_through() -> None:
    def application(exchange: Any) -> Any:
        raise ValueError("as always")

    with pytest.raises(ValueError, match="as always"):
        Guard(FakeGateway(application)).handle(FakeExchange())  # type: ignore[arg-type]


def test_an_application_that_raises_the_exception_itself_has_failed() -> None:
    def application(exchange: Any) -> Any:
        raise RequestTimeout

    with pytest.raises(RequestTimeout):
        Guard(FakeGateway(application)).handle(FakeExchange())  # type: ignore[arg-type]


# --- where a thread may be interrupted


def frame_here() -> FrameType:
    return sys._getframe()


def test_code_of_an_application_may_be_interrupted() -> None:
    assert may_interrupt(frame_here())


def test_a_thread_that_logs_is_not_interrupted() -> None:
    frames: list[FrameType] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            frames.append(sys._getframe())
            assert not may_interrupt(frames[0])

    Handler().handle(logging.makeLogRecord({"msg": "x"}))
    assert frames


def test_a_thread_that_imports_is_not_interrupted(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "slow_to_import.py").write_text(
        "import sys\nfrom carboy.server.guard import may_interrupt\n"
        "allowed = may_interrupt(sys._getframe())\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert importlib.import_module("slow_to_import").allowed is False


def test_a_stack_ends_at_the_call_of_the_application() -> None:
    stacks: list[str] = []

    def application(exchange: Any) -> Any:
        stacks.append(stack_of(sys._getframe()))
        return ANSWER

    Guard(FakeGateway(application)).handle(FakeExchange())  # type: ignore[arg-type]
    assert stacks[0].count("File ") == 1
    assert "in application" in stacks[0]


TRACED_AFTER = """
import sys, threading, time
from types import SimpleNamespace
from carboy.gateway.interface import ANSWERED
from carboy.server.guard import Guard, Overdue, Stage, deliver
from carboy.thread_frames import thread_frames
from carboy.time_limits import TimeLimit

connection = SimpleNamespace(taking=None)
exchange = SimpleNamespace(
    thread=0, overdue=None, made=b"", request_line=str, connection=connection
)
running = threading.Event()

def application(exchange):
    running.set()
    while True:
        time.sleep(0.001)

gateway = SimpleNamespace(handle=application, prepare=0, body_limit=0, wants_stream=0)
thread = threading.Thread(target=Guard(gateway).handle, args=(exchange,))
thread.start()
running.wait()
overdue = exchange.overdue = Overdue(TimeLimit(1.0), 0.0)
overdue.stage = Stage.ANSWERED
while not deliver(exchange, overdue, thread_frames().get(exchange.thread)):
    time.sleep(0.001)
overdue.lock.release()
thread.join()
sys.settrace(lambda frame, event, argument: None)
(lambda: None)()
print("ended")
"""


def test_the_interpreter_is_as_before_after_a_request_was_ended() -> None:
    """Python 3.11 would look in vain for an exception that was taken back, in each call."""
    done = subprocess.run(
        [sys.executable, "-c", TRACED_AFTER], capture_output=True, text=True, timeout=PATIENCE,
        check=False,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("ended\n", "")


def test_a_connection_has_one_lock_for_all_its_guarded_requests() -> None:
    first, second = FakeExchange(), FakeExchange()
    second.connection = first.connection
    seen: list[Any] = []

    def application(exchange: Any) -> Any:
        seen.append(exchange.connection.taking)
        return ANSWER

    guard = Guard(FakeGateway(application))  # type: ignore[arg-type]
    guard.handle(first)
    guard.handle(second)
    guard.handle(FakeExchange())
    assert seen[0] is seen[1]
    assert None not in seen
    assert seen[2] is not seen[0]
