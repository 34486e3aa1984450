"""New connections of an engine: which of those that wait it takes, and when. Only for the leader.

a listener is readable ─▶ another worker should take it (server/balancing.py) ─▶ stands back
        └──▶ room? ─▶ taken, watched by the poller
               └─no─▶ the connection that has been idle longest is closed;
                      is none idle, the door is paused

standing back ─▶ ends when another worker rings, at the latest after a MOMENT; with one thread also
                 when the request has come that this worker expects, at the latest PROMPTLY
paused        ─▶ ends when a connection is closed, at the latest after RETRY seconds
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from carboy.net.poller import READ, Poller
from carboy.protocol.machine import Machine
from carboy.server.balancing import ANY, BUSY, CONNECTIONS, HEARD, MOMENT, Balancer
from carboy.server.closing import Closing
from carboy.server.connection import Connection
from carboy.server.deadlines import AT_A_TIME, Deadlines
from carboy.server.descriptors import room_for
from carboy.server.listening import RETRY, Accepted, Listeners
from carboy.server.scoreboard import Row
from carboy.server.settings import Settings

NONE = -1  # instead of a descriptor
# Seconds in which the first request of a new connection is expected, when this worker has a single
# thread and the others are at work.
PROMPTLY = 0.02


class Accepting:
    """Takes connections in at the door and makes room for them."""

    def __init__(
        self, settings: Settings, connections: dict[int, Connection], poller: Poller, row: Row
    ) -> None:
        self._limit = settings.connections
        self._limits = settings.limits
        self._connections = connections
        self._poller = poller
        self._row = row
        self._balancer = Balancer(row, settings.threads)
        self.bell = NONE if row.bell is None else row.bell.fileno()
        self.due: list[int] = []  # listeners to look at when the turn has served what was ready
        self._ours = False  # another worker has left the next connection to this one
        self._handed_on = False
        self._alone = settings.threads == 1
        # With one thread: the connection taken last, until its first request has come.
        self._newest: Connection | None = None
        self._expecting = False  # we stand back only until that request has come
        self._prompt = True  # the one before did not let others wait in vain
        self._until = 0.0  # monotonic seconds: when we stand back no longer

    def use(self, listeners: Listeners, deadlines: Deadlines, closing: Closing) -> None:
        """The other parts of the engine that accepting works with."""
        self._listeners = listeners
        self._deadlines = deadlines
        self._closing = closing

    def open(self, now: float) -> None:
        """Begin to accept. Before the first turn."""
        if self.bell != NONE:
            self._poller.add(self.bell, READ)
        self._row.cells[HEARD] = now
        self._limit = room_for(self._limit)
        self._listeners.open()

    def take(self, now: float) -> None:
        """Take what waits at the listeners that are due, or leave it to another worker.

        At the end of a turn: with one thread, what this worker has taken before is served first.
        """
        share = ANY if self.bell == NONE else self._balancer.share(now)
        if self._ours:
            # Unless its one thread is promised to a connection that it took before it was rung.
            if not (self._alone and self._row.cells[BUSY]):
                share = max(1, share)
            self._ours = False
        if not self._listeners.takes():
            pass
        elif share:
            for fd in dict.fromkeys(self.due):
                share -= self._accept(fd, share, now)
                if share <= 0:
                    break
        else:
            self._listeners.stand_back(now)
            self._expecting = not self._balancer.ring()
            self._until = now + (PROMPTLY if self._expecting else MOMENT)
        self.due.clear()

    def served(self) -> None:
        """With one thread: what was ready in this turn has been served.

        A request is expected from a connection just taken. Another connection would wait for as
        long as that request runs, so it is left to the worker that is free first. Connections that
        stay silent do that once in a while, not each of them.
        """
        if self._newest is not None and not self._newest.is_silent():
            self._newest = None
            self._prompt = True
        self._row.cells[BUSY] = float(self._newest is not None and self._prompt)

    def _accept(self, fd: int, most: int, now: float) -> int:
        room = self._limit - len(self._connections)
        if room <= 0:
            if not self._make_room(now):
                self._listeners.pause(now)
                return 0
            room = 1
        taken = 0
        if not self._listeners.closed:
            taken = self._admit(self._listeners.accept(fd, min(room, most), now), now)
        if self._listeners.paused and self._make_room(now):
            self._listeners.resume()
        return taken

    def _admit(self, accepted: Iterable[Accepted], now: float) -> int:
        taken = 0
        for sock, peer, server in accepted:
            connection = Connection(sock, Machine(self._limits), peer, server, now)
            self._connections[connection.fd] = connection
            self._closing.watch(connection, READ)
            taken += 1
            if self._alone:
                self._newest = connection
                self._row.cells[BUSY] = float(self._prompt)
        self._row.cells[CONNECTIONS] = len(self._connections)
        return taken

    def admit_taken(self, now: float) -> None:
        """Serve those that were taken when the listeners were emptied, whatever their number."""
        self._admit(self._listeners.taken(), now)

    def rung(self, now: float) -> None:
        """Another worker leaves the next connection to this one."""
        if self._row.bell is not None:
            self._row.bell.clear()
        if self._listeners.takes():
            self._row.cells[HEARD] = now
            self._listeners.come_forward()
            self._look_everywhere()

    def tick(self) -> None:
        """Once an interval: what nobody was told of."""
        self._listeners.resume()
        self._prompt = True
        # The kernel wakes one worker for a connection. That one may have been stuck at the time,
        # or have died since.
        if self.bell != NONE and not self._listeners.held:
            self._look_everywhere()

    def _look_everywhere(self) -> None:
        self._ours = True
        self.due[:] = self._listeners.sockets

    def look(self, now: float) -> None:
        """End what keeps the door from being open, if it has lasted. Once a turn while it is."""
        listeners = self._listeners
        if listeners.paused and now > listeners.paused + RETRY:
            listeners.resume()
        if listeners.aside and now >= self._until:
            self._balancer.lapsed(now)
            self._prompt = self._prompt and self._newest is None
            listeners.come_forward()
        elif listeners.aside and self._expecting and not self._row.cells[BUSY]:
            listeners.come_forward()

    def patience(self) -> float:
        """Seconds until `look` has something to do while the door is held."""
        if self._listeners.paused:
            return RETRY
        return max(0.0, self._until - time.monotonic())

    def hand_on(self, now: float) -> None:
        """The door is closed. The kernel may have woken only this worker for one that waits."""
        if not self._handed_on:
            self._handed_on = True
            self._balancer.hand_on(now)

    def _make_room(self, now: float) -> bool:
        """Close the connection that has been idle longest; whether there was one."""
        for _ in range(AT_A_TIME):
            oldest = self._deadlines.longest_idle(self._connections, now)
            if oldest is None:
                break
            if oldest.is_quiet():  # or its next request has come in this very turn
                self._closing.close(oldest)
                return True
        return False
