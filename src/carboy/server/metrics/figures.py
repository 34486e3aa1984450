"""The figures of a worker besides its requests: what it has now, and what has happened so far.

They are read on another thread than the engine's. Each is one number, or is copied with one call of
C before it is looked at. Gauges are read when they are asked for, the others once a second.
"""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from carboy.net import tls_counts, worker_loop
from carboy.relay.counts import counts
from carboy.server.connection import LATER, RUNNING, STREAMING
from carboy.server.http2.connections import with_streams
from carboy.server.logs.channel import lost_lines
from carboy.server.machine import resident

if TYPE_CHECKING:
    from carboy.server.engine import Engine

# Name without the suffix of samples, labels, value.
Figure = tuple[str, tuple[tuple[str, str], ...], float]


class Collections:
    """Runs of the garbage collector and their time, from `start` to `stop`.

    The interpreter runs one at a time, and calls `_called` on the thread that has begun it.
    """

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.seconds = 0.0
        self._began = 0.0

    def start(self) -> None:
        """Begin to count."""
        gc.callbacks.append(self._called)

    def stop(self) -> None:
        """Count no longer."""
        if self._called in gc.callbacks:
            gc.callbacks.remove(self._called)

    def _called(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            self._began = time.perf_counter()
        elif self._began:
            self.seconds += time.perf_counter() - self._began
            generation = str(info["generation"])
            self.counts[generation] = self.counts.get(generation, 0) + 1


class LoopLag:
    """How long a call that is handed to the event loop waits for it. Nothing without a loop.

    The loop writes `_answered`, and the thread that asks the rest.
    """

    def __init__(self) -> None:
        self._asked = 0.0
        self._answered = 0.0
        self._last = 0.0

    def ask(self) -> None:
        """Hand a call to the loop, unless the last one still waits."""
        loops = worker_loop.running_loops()
        if loops and (not self._asked or self._answered >= self._asked):
            self._last = self.seconds() or 0.0
            self._asked = time.monotonic()
            loops[0].call(self._note)

    def _note(self) -> None:
        self._answered = time.monotonic()

    def seconds(self) -> float | None:
        """Of the last call, or the time that it has waited so far; None without a loop."""
        if not self._asked:
            return None
        if self._answered >= self._asked:
            return self._answered - self._asked
        return max(self._last, time.monotonic() - self._asked)


def gauges(engine: Engine, gateway: Any, lag: LoopLag) -> Iterator[Figure]:
    """The present figures of a worker."""
    phases, websockets = _connections(engine)
    crew, streams, queue = engine.crew, engine.streams, engine.scheduler.queue
    leads = len(crew.current.slot)
    held = phases[STREAMING] + phases[LATER] - websockets
    for name, value in (
        ("requests_in_flight", phases[RUNNING] + phases[STREAMING] + phases[LATER] + leads),
        ("requests_waiting", len(queue) + len(streams)),
        ("threads_busy", crew.away + leads),
        ("threads_limit", crew.threads),
        ("stream_threads_busy", streams.busy()),
        ("streams_held", max(0, held)),
        ("websockets", websockets),
        ("connections", len(engine.connections)),
        ("http2_connections", len(engine.pipes.all)),
        ("worker_memory_bytes", resident(os.getpid()) or 0),
    ):
        yield f"carboy_{name}", (), value
    seconds = lag.seconds()
    if seconds is not None:
        yield "carboy_event_loop_lag_seconds", (), seconds
    store = getattr(gateway, "store", None)
    if store is not None and hasattr(store, "used"):
        yield "carboy_response_cache_bytes", (), store.used
    memory_of_files = getattr(gateway, "memory", None)
    if memory_of_files is not None and hasattr(memory_of_files, "used"):
        yield "carboy_static_memory_bytes", (), memory_of_files.used


def _connections(engine: Engine) -> tuple[dict[Any, int], int]:
    """The numbers of connections and streams that have a request, by phase, and of WebSockets."""
    phases = {RUNNING: 0, STREAMING: 0, LATER: 0}
    websockets = engine.responder.sockets.count
    for connection in with_streams(engine.connections):
        phase = connection.phase
        if phase in phases:
            phases[phase] += 1
            channel = None if connection.exchange is None else connection.exchange.channel
            if channel is not None and channel.upgraded:
                websockets += 1
    return phases, websockets


def counters(engine: Engine, gateway: Any, collections: Collections) -> Iterator[Figure]:
    """The figures that only grow, since the worker began."""
    yield "carboy_connections_accepted", (), engine.accepting.accepted
    yield "carboy_http2_connections_opened", (), engine.pipes.opened
    if engine.responder.scheme == "https":
        for result, number in tls_counts.results().items():
            yield "carboy_tls_handshakes", (("result", result),), number
    yield "carboy_worker_cpu_seconds", (), time.process_time()
    for generation, number in collections.counts.copy().items():
        yield "carboy_gc_collections", (("generation", generation),), number
    yield "carboy_gc_seconds", (), collections.seconds
    yield "carboy_log_lines_lost", (), lost_lines()
    for name, count in list(counts.items()):
        yield name, (), count()
    store = getattr(gateway, "store", None)
    if store is None or not hasattr(store, "figures"):
        return
    for result in ("hits", "stale", "misses", "waited"):
        yield "carboy_response_cache_requests", (("result", result),), store.figures[result]


class Differences:
    """Numbers that only grow, as what has been added to each since the last call."""

    def __init__(self) -> None:
        self._sent: dict[tuple[Any, ...], float] = {}
        self._lock = threading.Lock()

    def take(self, figures: Iterator[Figure]) -> list[list[Any]]:
        """Name, labels and difference of those that have changed, or are new."""
        changed: list[list[Any]] = []
        with self._lock:
            for name, labels, value in figures:
                before = self._sent.get((name, labels))
                if before is None or value > before:
                    self._sent[name, labels] = value
                    changed.append([name, labels, value - (before or 0)])
        return changed
