"""What becomes of the listeners when a server stops."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from enum import IntEnum

from carboy.net.listener import Listener

# Seconds for workers to take the connections that wait, before the port is closed regardless:
# they need milliseconds, unless every one of them is stuck.
EMPTYING = 2.0
GLANCE = 0.005  # seconds between looks whether something still waits


class Port(IntEnum):
    """What a process that stops does with its listeners; a greater one overrides a smaller."""

    LEFT = 0  # others accept, or it will itself later: nothing is done with them
    BACK = 1  # it starts itself again: it accepts while idle connections are waited for
    TAKEN = 2  # what waits is taken, then this process closes its copies
    CLOSED = 3  # the same, and new connections are refused at once


class Closure:
    """A supervisor's part in the end: the port is closed once its workers took what waits."""

    def __init__(self, sockets: Sequence[socket.socket] = ()) -> None:
        self._open = [each for each in sockets if isinstance(each, Listener)]
        self._until = float("inf")

    def begin(self, now: float) -> None:
        """Let nothing new in. Before the workers are told to stop.

        Mostly nothing waits, and the port is closed here: no client is left without an answer.
        """
        self._until = now + EMPTYING
        for listener in self._open:
            listener.refuse()
        self.look(now)

    def look(self, now: float) -> float | None:
        """Close what is empty; seconds until the next look, or None when all is closed."""
        if self._until == float("inf"):
            return None
        for listener in self._open[:]:
            if now >= self._until or listener.is_empty():
                listener.end()
                self._open.remove(listener)
        return GLANCE if self._open else None
