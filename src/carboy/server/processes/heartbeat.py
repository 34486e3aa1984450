"""A thread that shows the supervisor that its worker is alive, and looks after its memory.

    BEAT    written by this thread: old when Python code can no longer run
    LEADER  written by the leader when this thread has woken it, and by this thread when the
            leader has begun another request, or sends: old when the leader is stuck
    MEMORY  written by this thread
    CREW    written by this thread while a thread is free or nothing waits for one; otherwise
            when the youngest request began: old when every thread is stuck

The leader's figure costs nothing for each request. An idle leader is woken once an interval.
The thread reads what belongs to the leader without a lock; at worst it sees a request that has
just ended, and writes the right figure at its next beat.
"""

from __future__ import annotations

import os
import threading

# Bound here: an application may replace time.sleep by one that does not sleep in this thread.
from time import monotonic, sleep
from typing import TYPE_CHECKING

from carboy.net.threads import start_thread
from carboy.server.machine import resident
from carboy.server.memory_pools import PoolTrimmer
from carboy.server.raw_socket import has_switched_protocol
from carboy.server.scoreboard import Figure
from carboy.server.systemd import Watchdog

if TYPE_CHECKING:
    from carboy.server.engine import Engine
    from carboy.server.processes.orphan_timer import OrphanTimer


class Heartbeat:
    """Beats every `interval` seconds until the process ends.

    Without a supervisor, no process reads the figures, and `watchdog` is fed here. Below a
    supervisor, `orphan_timer` is for the case that the supervisor dies.
    """

    def __init__(
        self,
        engine: Engine,
        interval: float,
        watchdog: Watchdog | None = None,
        orphan_timer: OrphanTimer | None = None,
    ) -> None:
        self._engine = engine
        self._watchdog = watchdog
        self._orphan_timer = orphan_timer
        self._interval = interval
        self.trimmer = PoolTrimmer()
        self._seen: tuple[object, ...] = ()  # state of the leader at the last beat
        self._wanted = False  # a request has waited since a thread was free last

    def start(self) -> None:
        """Start the thread. Raises NoThread."""
        self._begin()
        start_thread(threading.Thread(target=self._run, name="carboy-heartbeat", daemon=True))

    def _begin(self) -> None:
        now = monotonic()
        for figure in (Figure.LEADER, Figure.CREW, Figure.BEAT):
            self._engine.row.cells[figure] = now
        self._write_memory()
        if self._orphan_timer is not None:
            self._orphan_timer.set_back()

    def _run(self) -> None:
        while True:
            sleep(self._interval)
            self.beat(monotonic())

    def beat(self, now: float) -> None:
        """Write the figures as they are at `now`."""
        cells = self._engine.row.cells
        if self._leader_moves():
            cells[Figure.LEADER] = now
        cells[Figure.CREW] = self._crew_moved(now)
        cells[Figure.BEAT] = now
        self._write_memory()
        watchdog = self._watchdog
        if watchdog is not None and now >= watchdog.wake_at:
            if now - min(cells[Figure.LEADER], cells[Figure.CREW]) < watchdog.timeout:
                watchdog.feed()
            watchdog.next(now)
        if self._orphan_timer is not None:
            self._orphan_timer.set_back()
        self._engine.nudge()
        self.trimmer.look(now, cells[Figure.MEMORY])

    def _write_memory(self) -> None:
        """For the report of a crash. A process that has ended no longer has this figure."""
        self._engine.row.cells[Figure.MEMORY] = float(resident(os.getpid()) or 0)

    def _leader_moves(self) -> bool:
        """Whether the leader runs another request than last time, or has sent something."""
        exchange = next(iter(self._engine.crew.current.slot[-1:]), None)
        if exchange is None:
            self._seen = ()
            return False  # the leader writes its figure itself
        connection = exchange.connection
        seen = (exchange.began, connection.body_sent, connection.moved)
        moves = seen != self._seen
        self._seen = seen
        return moves or has_switched_protocol(exchange)

    def _crew_moved(self, now: float) -> float:
        """When a thread was free last, or began a request."""
        engine = self._engine
        running = list(engine.crew.running)
        # Long responses and WebSockets are meant to hold their threads.
        held = [e for e in running if not e.head_begun and not has_switched_protocol(e)]
        if len(held) < engine.crew.threads:
            self._wanted = False
            return now
        # A waiting request may be gone before the next beat: refused, or given up by its client.
        self._wanted |= engine.scheduler.waits_for_thread()
        return max(exchange.began for exchange in held) if self._wanted else now
