"""The requests of this worker at this moment: what they are, their age, and what they do now.

Read by a thread that is not the leader, without a lock: at worst, a request has just ended. Nothing
is recorded for it while requests run. The thread of a request is found by its frames, because the
functions that run a request have it as a local variable. WebSockets are open for long, so those at
the same place are one entry.
"""

from __future__ import annotations

import threading
import time
from types import FrameType
from typing import Any

from carboy.request_identity import runners
from carboy.server.admin.frames import RUN, calls_of, innermost, innermost_of_task
from carboy.server.admin.tasks import is_websocket, task_stacks, waiting_coroutines
from carboy.server.connection import CLOSED, IDLE, LATER, RUNNING, STREAMING
from carboy.server.engine import Engine
from carboy.server.exchange import ServerExchange
from carboy.server.http2.connections import with_streams
from carboy.thread_frames import task_frames, thread_frames

Threads = dict[ServerExchange, tuple[int, FrameType]]  # identifier and innermost frame

WEBSOCKET = "websocket"  # the state of a request that has become one
MOST_GROUPS = 100  # groups of WebSockets
MOST_PLACES = 1000  # WebSockets whose places are looked up
PHASES = {RUNNING: "running", STREAMING: "streaming", LATER: "awaiting"}


def task_of(exchange: ServerExchange) -> Any:
    """The task whose coroutine runs a request that is answered later; None without one."""
    return getattr(exchange.receiver, "task", None)


def request_of(frame: FrameType | None) -> ServerExchange | None:
    """The request that a thread with this innermost frame runs."""
    while frame is not None:
        code = frame.f_code
        found: Any = None
        if code in RUN:
            found = frame.f_locals.get("exchange")
        elif code in runners:
            found = runners[code](frame)
        if code in RUN or found is not None:
            return found if isinstance(found, ServerExchange) else None
        frame = frame.f_back
    return None


def threads_of_requests() -> Threads:
    """The thread that runs each request, and its innermost frame."""
    found: Threads = {}
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
        # A request begins again when it has a thread.
        queued_at = exchange_of.queued_at
        waits = phase is RUNNING and queued_at and exchange_of.began <= queued_at
        found.setdefault(exchange_of, "waiting" if waits else PHASES[phase])
    return list(found.items())


def running_requests(engine: Engine) -> list[dict[str, Any]]:
    """All requests of the engine, oldest first, with their seconds, thread and place.

    After them the WebSockets: one entry with their number (`count`) for each route and place.
    """
    threads = threads_of_requests()
    requests: list[dict[str, Any]] = []
    websockets: list[ServerExchange] = []
    for exchange, state in open_exchanges(engine):
        if is_websocket(exchange):
            websockets.append(exchange)
            continue
        frame = threads[exchange][1] if exchange in threads else None
        place = innermost(frame) or innermost_of_task(task_frames(task_of(exchange)))
        requests.append(described(exchange, state, threads, place))
    found = grouped_websockets(websockets, threads)
    return sorted(requests, key=_age) + sorted(found, key=_age)


def _age(each: dict[str, Any]) -> float:
    return -float(each["seconds"])


def grouped_websockets(websockets: list[ServerExchange], threads: Threads) -> list[dict[str, Any]]:
    """The oldest WebSocket of each route and place, with the number of those."""
    places = places_of_websockets(len(websockets))
    counts: dict[Any, int] = {}
    oldest: dict[Any, tuple[ServerExchange, dict[str, Any] | None]] = {}
    for exchange in websockets:
        frame = threads[exchange][1] if exchange in threads else None
        place = innermost(frame) or places.get(exchange)
        key: Any = (exchange.route or exchange.head.path, frame is None, *(place or {}).values())
        if key not in oldest and len(oldest) >= MOST_GROUPS:
            key = None
        counts[key] = counts.get(key, 0) + 1
        if key not in oldest or exchange.began < oldest[key][0].began:
            oldest[key] = exchange, place
    return [
        {**described(exchange, WEBSOCKET, threads, place), "count": counts[key]}
        for key, (exchange, place) in oldest.items()
    ]


def described(
    exchange: ServerExchange, state: str, threads: Threads, place: dict[str, Any] | None
) -> dict[str, Any]:
    """A request, for JSON."""
    ident = threads[exchange][0] if exchange in threads else None
    names = (each.name for each in threading.enumerate() if each.ident == ident)
    began = exchange.queued_at or exchange.arrived or exchange.began
    return {
        "request": exchange.request_line(),
        "state": state,
        "seconds": round(time.monotonic() - began, 3) if began else 0.0,
        "client": exchange.peer[0] if exchange.peer else None,
        "thread": next(names, None) if ident is not None else None,
        "route": getattr(exchange, "route", "") or "",
        "id": getattr(exchange, "id", "") or "",
        "waits_for": next((each.service for each in reversed(exchange.services)), None),
        "at": place,
        "count": 1,
    }


def places_of_websockets(count: int) -> dict[Any, dict[str, Any] | None]:
    """The places of the coroutines of WebSockets; {} if there are so many that it takes long."""
    if not 0 < count <= MOST_PLACES:
        return {}
    return {
        each.exchange: innermost_of_task(each.frames)
        for each in waiting_coroutines()
        if each.exchange is not None
    }


def all_stacks() -> list[dict[str, Any]]:
    """The calls of every thread but this one, and of the coroutines that wait.

    Outermost first, with the request that each runs. `coroutine` says which of both it is.
    """
    found = [*thread_stacks(), *task_stacks()]
    return sorted(found, key=lambda each: (each["request"] is None, -(each["seconds"] or 0.0)))


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
                "websocket": exchange is not None and is_websocket(exchange),
                "count": 1,
                "request": exchange.request_line() if exchange else None,
                "seconds": round(now - exchange.began, 3) if exchange else None,
                "frames": calls_of(frame),
            }
        )
    return found
