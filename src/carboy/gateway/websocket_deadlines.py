"""The limits of an engine's WebSockets, and when each of them is due for a ping or an end.

Durations are constant, so what was added first is due first: one dict for each duration, in order,
and an idle connection costs a tick nothing. Any thread adds and removes; the leader calls `tick`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from threading import Lock
from typing import Protocol


@dataclass(frozen=True, slots=True)
class WebSocketLimits:
    """The settings of WebSockets (server/settings.py): sizes in bytes, times in seconds."""

    max_message: int
    max_queue: int  # messages
    ping_interval: float  # 0: no pings
    ping_timeout: float  # 0: no limit
    close_timeout: float
    compression: bool


class Timed(Protocol):
    """A WebSocket, as its deadlines see it."""

    def ping_due(self) -> None:
        """It is time for a ping."""
        ...

    def pong_due(self) -> None:
        """The client has had the time for its answer."""
        ...

    def close_due(self) -> None:
        """The client has had the time for its close frame."""
        ...


class WebSocketDeadlines:
    """The deadlines of an engine's WebSockets."""

    def __init__(self, limits: WebSocketLimits) -> None:
        self.limits = limits
        self._lock = Lock()
        self._pings: dict[Timed, float] = {}  # monotonic seconds
        self._pongs: dict[Timed, float] = {}
        self._closes: dict[Timed, float] = {}

    def ping_later(self, timed: Timed) -> None:
        """Have `ping_due` called after the interval."""
        self._add(self._pings, timed, self.limits.ping_interval)

    def expect_pong(self, timed: Timed) -> None:
        """Have `pong_due` called after the timeout, or `ping_due` after the interval."""
        if self.limits.ping_timeout:
            self._add(self._pongs, timed, self.limits.ping_timeout)
        else:
            self.ping_later(timed)

    def expect_close(self, timed: Timed) -> None:
        """Have `close_due` called after the timeout, and nothing else."""
        self.forget(timed)
        with self._lock:
            self._closes[timed] = time.monotonic() + self.limits.close_timeout

    def forget(self, timed: Timed) -> None:
        """Have nothing called."""
        with self._lock:
            self._pings.pop(timed, None)
            self._pongs.pop(timed, None)
            self._closes.pop(timed, None)

    def _add(self, queue: dict[Timed, float], timed: Timed, seconds: float) -> None:
        if seconds:
            with self._lock:
                queue[timed] = time.monotonic() + seconds

    def tick(self, now: float) -> None:
        """Call what is due at `now`."""
        for timed in self._due(self._pings, now):
            timed.ping_due()
        for timed in self._due(self._pongs, now):
            timed.pong_due()
        for timed in self._due(self._closes, now):
            timed.close_due()

    def _due(self, queue: dict[Timed, float], now: float) -> list[Timed]:
        found: list[Timed] = []
        with self._lock:
            for timed, due in queue.items():
                if due > now:
                    break
                found.append(timed)
            for timed in found:
                del queue[timed]
        return found
