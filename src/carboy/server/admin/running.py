"""The requests of this worker at this moment: what they are, their age, and what they do now.

Read by a thread that is not the leader, without a lock: at worst, a request has just ended. Nothing
is recorded for it while requests run. The thread of a request is found by its frames, because the
functions that run a request have it as a local variable.
"""

from __future__ import annotations

import linecache
import sysconfig
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from carboy.server.connection import CLOSED, IDLE, LATER, RUNNING, STREAMING
from carboy.server.dispatching import Dispatcher
from carboy.server.engine import Engine
from carboy.server.exchange import ServerExchange
from carboy.server.http2.pipe import with_streams
from carboy.server.runner import Runner
from carboy.thread_frames import task_frames, thread_frames

RUN: frozenset[CodeType] = frozenset({Runner.run.__code__, Dispatcher.dispatch.__code__})
PHASES = {RUNNING: "running", STREAMING: "streaming", LATER: "awaiting"}
_paths = sysconfig.get_paths()
NOT_OWN = tuple(
    {
        str(Path(__file__).resolve().parents[2]) + "/",
        *(_paths[name] + "/" for name in ("stdlib", "platstdlib", "purelib", "platlib")),
        "<",
    }
)


def is_own(code: CodeType) -> bool:
    """Whether a function is part of the application, and not of a library or of Python."""
    return is_own_file(code.co_filename)


def is_own_file(name: str) -> bool:
    """Whether a file is part of the application."""
    return not name.startswith(NOT_OWN)


def shown(frame: FrameType) -> dict[str, Any]:
    """File, line and function of a frame."""
    code = frame.f_code
    return {"file": code.co_filename, "line": frame.f_lineno, "function": code.co_qualname}


def innermost(frame: FrameType | None) -> dict[str, Any] | None:
    """The place of the application that a thread is at, or the innermost one of any code."""
    first = frame
    while frame is not None and frame.f_code not in RUN:
        if is_own(frame.f_code):
            return shown(frame)
        frame = frame.f_back
    return None if first is None else shown(first)


def innermost_of_task(frames: Sequence[FrameType]) -> dict[str, Any] | None:
    """The same for a coroutine, whose frames begin with the outermost one."""
    own = [frame for frame in frames if is_own(frame.f_code)]
    return shown((own or frames)[-1]) if frames else None


def task_of(exchange: ServerExchange) -> Any:
    """The task whose coroutine runs a request that is answered later; None without one."""
    return getattr(exchange.receiver, "task", None)


def request_of(frame: FrameType | None) -> ServerExchange | None:
    """The request that a thread with this innermost frame runs."""
    while frame is not None:
        if frame.f_code in RUN:
            found = frame.f_locals.get("exchange")
            return found if isinstance(found, ServerExchange) else None
        frame = frame.f_back
    return None


def threads_of_requests() -> dict[ServerExchange, tuple[int, FrameType]]:
    """The thread that runs each request, and its innermost frame."""
    found: dict[ServerExchange, tuple[int, FrameType]] = {}
    for ident, frame in thread_frames().items():
        if ident != threading.get_ident() and (exchange := request_of(frame)) is not None:
            found[exchange] = ident, frame
    return found


def open_exchanges(engine: Engine) -> list[tuple[ServerExchange, str]]:
    """The requests that run, wait or are answered later, each with what it does."""
    found: dict[ServerExchange, str] = {}
    for exchange in engine.crew.current.slot[:]:
        found[exchange] = "running"
    for connection in with_streams(engine.connections):
        exchange_of = connection.exchange  # the leader may delete it at any moment
        phase = connection.phase
        if exchange_of is None or phase is IDLE or phase is CLOSED or phase not in PHASES:
            continue
        waits = phase is RUNNING and exchange_of.queued_at and not exchange_of.began
        found.setdefault(exchange_of, "waiting" if waits else PHASES[phase])
    return list(found.items())


def running_requests(engine: Engine) -> list[dict[str, Any]]:
    """All requests of the engine, oldest first, with their seconds, thread and place."""
    now = time.monotonic()
    threads = threads_of_requests()
    names = {each.ident: each.name for each in threading.enumerate()}
    found = []
    for exchange, state in open_exchanges(engine):
        ident, frame = threads.get(exchange, (None, None))
        place = innermost(frame) or innermost_of_task(task_frames(task_of(exchange)))
        began = exchange.queued_at or exchange.arrived or exchange.began
        found.append(
            {
                "request": exchange.request_line(),
                "state": state,
                "seconds": round(now - began, 3) if began else 0.0,
                "client": exchange.peer[0] if exchange.peer else None,
                "thread": names.get(ident) if ident is not None else None,
                "route": getattr(exchange, "route", "") or "",
                "id": getattr(exchange, "id", "") or "",
                "waits_for": next(reversed(exchange.services), None),
                "at": place,
            }
        )
    return sorted(found, key=lambda each: -each["seconds"])


def all_stacks(engine: Engine) -> list[dict[str, Any]]:
    """The calls of every thread but this one, and of the coroutines of requests that wait.

    Outermost first, with the request that each runs. `coroutine` says which of both it is.
    """
    found = [*thread_stacks(), *task_stacks(engine)]
    return sorted(found, key=lambda each: (each["request"] is None, -(each["seconds"] or 0.0)))


def task_stacks(engine: Engine) -> list[dict[str, Any]]:
    """The calls of coroutines that requests wait for, and that no thread runs now."""
    now = time.monotonic()
    threads = threads_of_requests()
    found = []
    for exchange, _ in open_exchanges(engine):
        task = task_of(exchange)
        frames = task_frames(task)
        if not frames or exchange in threads:
            continue
        began = exchange.arrived or exchange.began
        found.append(
            {
                "thread": task.get_name(),
                "id": None,
                "coroutine": True,
                "request": exchange.request_line(),
                "seconds": round(now - began, 3) if began else 0.0,
                "frames": [call_of(frame) for frame in frames],
            }
        )
    return found


def thread_stacks() -> list[dict[str, Any]]:
    """The calls of every thread but this one, outermost first, with the request that it runs."""
    names = {each.ident: each.name for each in threading.enumerate()}
    now = time.monotonic()
    found = []
    for ident, frame in thread_frames().items():
        if ident == threading.get_ident():
            continue
        exchange = request_of(frame)
        found.append(
            {
                "thread": names.get(ident, ""),
                "id": ident,
                "coroutine": False,
                "request": exchange.request_line() if exchange else None,
                "seconds": round(now - exchange.began, 3) if exchange else None,
                "frames": calls_of(frame),
            }
        )
    return found


def calls_of(frame: FrameType | None) -> list[dict[str, Any]]:
    """The calls that lead to a frame, outermost first, each with the text of its line."""
    found: list[dict[str, Any]] = []
    while frame is not None:
        found.append(call_of(frame))
        frame = frame.f_back
    return found[::-1]


def call_of(frame: FrameType) -> dict[str, Any]:
    """One call, with the text of its line."""
    place = shown(frame)
    place["own"] = is_own(frame.f_code)
    place["text"] = linecache.getline(place["file"], place["line"], frame.f_globals).strip()
    return place
