"""Finds connections that have waited too long, once an interval, at no cost to requests.

Decides only; the engine acts. Deadlines count from the start of a phase, not from the last
byte. Otherwise a client that sends one byte at a time could keep a connection open without end.
Bytes that came early count for a limited time (server/minimum_rate.py).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Collection, Mapping

from carboy.protocol.errors import RemoteProtocolError
from carboy.server.connection import (
    BODY,
    HEAD,
    IDLE,
    LATER,
    LINGER,
    PIPE,
    STREAMING,
    WRITING,
    Connection,
)
from carboy.server.http2.connections import is_idle_pipe
from carboy.server.minimum_rate import MinimumRate
from carboy.server.settings import Settings

# Seconds without a look after which this process must have been suspended: a laptop that slept,
# SIGSTOP, a container that was paused.
SUSPENDED = 1.0
SLICE = 512  # connections, which takes about half a millisecond
AT_A_TIME = 32  # idle connections put in order at least, when room is needed
LONGEST_LINGER = 60.0  # seconds that the rest of a refused body is discarded at most
NEWCOMER = 1.0  # seconds that the first byte of a connection is waited for when room is needed
Verdict = tuple[Connection, RemoteProtocolError | None]


class Deadlines:
    """The time limits of docs/design.md, section 7, and which idle connection is closed first."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        shortest = min(
            settings.headers_timeout,
            settings.keepalive_timeout,
            settings.linger_timeout,
            settings.silence_timeout,
            settings.body_grace or 1.0,
            settings.write_grace or 1.0,
            settings.graceful_timeout or 1.0,
            settings.queue_timeout or 1.0,
            settings.request_limits.request_timeout or 1.0,
        )
        # Seconds between two looks: no limit is exceeded noticeably.
        self.interval = max(0.01, min(1.0, shortest / 4))
        # Seconds until the next call of `exceeded`. Many connections are looked at slice by slice,
        # all of them once an interval, so that requests do not wait for a look at thousands.
        self.pause = self.interval
        self._rest: list[Connection] = []  # of the slices of this interval
        self._looked = 0.0  # monotonic seconds: the last look
        self._candidates: deque[tuple[Connection, float]] = deque()

    def exceeded(self, connections: Collection[Connection], now: float) -> list[Verdict]:
        """Connections over a limit, each with the error to answer, or None to close silently.

        Looks at one slice of `connections`, and sets `pause`.
        """
        found: list[Verdict] = []
        gap = now - self._looked if self._looked else 0.0
        self._looked = now
        if gap > max(SUSPENDED, 2 * self.interval):
            _leave_out(gap - self.interval, connections, now)
            return found
        if not self._rest:
            self._rest = list(connections)
            self.pause = self.interval / max(1, math.ceil(len(self._rest) / SLICE))
        looked_at = self._rest[-SLICE:]
        del self._rest[-SLICE:]
        before = now - self._settings.keepalive_timeout
        for connection in looked_at:
            phase = connection.phase
            if phase is IDLE:
                if connection.since < before:
                    found.append((connection, None))
            elif phase is LATER:
                # Thousands are held open, and nearly none of them has a limit now.
                exchange = connection.exchange
                if (
                    connection.minimum_rate is not None
                    or exchange is None
                    or exchange.channel is None
                    or exchange.channel.reading_rate is not None
                ):
                    self._judge_channel(connection, now, found)
            else:
                self._judge(connection, now, found)
        return found

    def _judge(self, connection: Connection, now: float, found: list[Verdict]) -> None:
        settings = self._settings
        phase = connection.phase
        waited = now - connection.since
        if phase is HEAD:
            if waited > settings.headers_timeout:
                error = RemoteProtocolError(408, "the request head took too long to arrive")
                found.append((connection, None if connection.is_silent() else error))
        elif phase is BODY:
            if self._is_too_slow(connection, now, settings.body_grace, settings.body_rate):
                found.append((connection, _too_slow()))
        elif phase is WRITING or phase is STREAMING:
            if self._is_too_slow(connection, now, settings.write_grace, settings.write_rate):
                connection.reset_on_close()
                found.append((connection, None))
        elif phase is LINGER and (waited > LONGEST_LINGER or self._has_paused(connection, now)):
            found.append((connection, None))

    def _judge_channel(self, connection: Connection, now: float, found: list[Verdict]) -> None:
        """Both directions may be slow; each counts only while the client can do something."""
        channel = None if connection.exchange is None else connection.exchange.channel
        if channel is None:
            return
        reading, writing = channel.reading_rate, connection.minimum_rate
        receives = not (channel.body_ended or channel.paused_at)
        if receives and reading is not None and reading.is_too_slow(now, channel.received):
            found.append((connection, _too_slow()))
        elif writing is not None and writing.is_too_slow(now, connection.moved):
            connection.reset_on_close()
            found.append((connection, None))

    def _is_too_slow(
        self, connection: Connection, now: float, grace: float, rate: int, silence: float = math.inf
    ) -> bool:
        limit = connection.minimum_rate
        if limit is None:
            silence = min(silence, self._settings.silence_timeout)
            limit = MinimumRate(connection.since, grace, rate, silence)
            connection.minimum_rate = limit
        return limit.is_too_slow(now, connection.moved)

    def _has_paused(self, connection: Connection, now: float) -> bool:
        """Whether a client has stopped sending what is discarded, or sends it too slowly."""
        settings, time = self._settings, self._settings.linger_timeout
        return self._is_too_slow(connection, now, time, settings.body_rate, silence=time)

    def longest_idle(self, connections: Mapping[int, Connection], now: float) -> Connection | None:
        """The connection that has been idle longest; None if there is no idle one.

        A connection that has never sent a byte is idle too, once its first request is overdue.
        Sorting is done for many calls at once, so that each of many new connections does not
        cost a scan.
        """
        for _ in range(2):
            while self._candidates:
                connection, since = self._candidates.popleft()
                if connection.since == since and is_idle(connection, now):
                    return connection
            idle = [(c, c.since) for c in connections.values() if is_idle(c, now)]
            idle.sort(key=lambda pair: pair[1])
            self._candidates = deque(idle[: max(AT_A_TIME, len(idle) // 16)])
        return None


def is_idle(connection: Connection, now: float) -> bool:
    """Whether a connection waits for a request of which nothing has been received."""
    if connection.phase is IDLE:
        return not connection.deferred
    if connection.phase is PIPE:
        return is_idle_pipe(connection)
    return connection.is_silent() and now - connection.since > NEWCOMER


def _leave_out(seconds: float, connections: Collection[Connection], now: float) -> None:
    """Leave out seconds in which this process did not run.

    What the clients sent meanwhile is still in the sockets and has to be received first.
    """
    for connection in connections:
        connection.since = min(now, connection.since + seconds)
        if connection.minimum_rate is not None:
            connection.minimum_rate.put_off(seconds)
        if connection.phase is LATER and connection.exchange is not None:
            channel = connection.exchange.channel
            if channel is not None and channel.reading_rate is not None:
                channel.reading_rate.put_off(seconds)


def _too_slow() -> RemoteProtocolError:
    return RemoteProtocolError(408, "the body arrives too slowly")
