"""Readers that take nothing: a stop does not wait for them as long as for others."""

from __future__ import annotations

from carboy.server.connection import RUNNING, STREAMING, WRITING, Connection

STALLED = 5.0  # seconds without a byte, from the first look on


class Stalled:
    """Looks at connections again and again. Only for the leader."""

    def __init__(self) -> None:
        self._seen: dict[Connection, tuple[int, float]] = {}  # bytes sent, monotonic seconds

    def has(self, connection: Connection, now: float) -> bool:
        """Whether the client of `connection` owes us a read for too long.

        That of a request which still runs is judged by the bytes that its thread waits to send.
        """
        phase = connection.phase
        if not (
            phase is STREAMING or phase is WRITING or (phase is RUNNING and connection.pending)
        ):
            self._seen.pop(connection, None)
            return False
        moved, since = self._seen.get(connection, (-1, now))
        if moved != connection.moved:
            self._seen[connection] = connection.moved, now
            return False
        return now - since > STALLED
