"""New connections of an engine: which waiting connections it accepts, and when. For the leader.

a listener is readable ─▶ another worker should accept (server/balancing.py) ─▶ left to others
        └──▶ room? ─▶ accepted, watched by the poller
               └─no─▶ the connection that has been idle longest is closed;
                      if there is no idle connection, the listeners are paused

left to others ─▶ ends when another worker asks, at the latest after RESPONSE_TIME; with one thread
                  also when the request has come that this worker expects, at the latest after
                  FIRST_REQUEST
paused         ─▶ ends when a connection is closed, at the latest after RETRY seconds
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from carboy.net.poller import READ, Poller
from carboy.protocol.machine import Machine
from carboy.server.balancing import ANY, BUSY, CONNECTIONS, REACTED, RESPONSE_TIME, Balancer
from carboy.server.closing import Closing
from carboy.server.connection import Connection
from carboy.server.deadlines import AT_A_TIME, Deadlines
from carboy.server.descriptors import room_for
from carboy.server.listening import RETRY, Accepted, Listeners
from carboy.server.scoreboard import Row
from carboy.server.settings import Settings

NONE = -1  # instead of a descriptor
# Seconds in which the first request of a new connection is expected, when this worker has a single
# thread and the others are busy.
FIRST_REQUEST = 0.02


class Accepting:
    """Accepts connections and makes room for them."""

    def __init__(
        self,
        settings: Settings,
        connections: dict[int, Connection],
        poller: Poller,
        row: Row,
        listeners: Listeners,
        deadlines: Deadlines,
        closing: Closing,
    ) -> None:
        self._limit = settings.connections
        self._limits = settings.limits
        self._connections = connections
        self._poller = poller
        self._row = row
        self.listeners = listeners
        self._deadlines = deadlines
        self._closing = closing
        self._balancer = Balancer(row, settings.threads)
        self.waker_fd = NONE if row.waker is None else row.waker.fileno()
        # Set by the thread that starts the engine, before it wakes the leader. By then, the
        # supervisor has been told. It kills a worker that is not ready, and requests would be lost.
        self.may_open = False
        self.accepted = 0  # connections since the start
        self.due: list[int] = []  # listeners to look at when the turn has served the others
        self._asked = False  # another worker has left the next connection to this one
        self._passed_on = False
        self._single_threaded = settings.threads == 1
        # With one thread: the connection accepted last, until its first request has come.
        self._newest: Connection | None = None
        self._expecting = False  # the listeners are left to others only until that request
        self._prompt = True  # the last new connection sent its request in time
        self._until = 0.0  # monotonic seconds: up to when the listeners are left to others

    def open_once(self, now: float) -> None:
        """Begin to accept, if it is time to."""
        if not self.may_open:
            return
        self.may_open = False
        if self.waker_fd != NONE:
            self._poller.add(self.waker_fd, READ)
        self._row.cells[REACTED] = now
        self._limit = room_for(self._limit)
        self.listeners.open()

    def take(self, now: float) -> None:
        """Accept connections at the listeners that are due, or leave them to another worker.

        Called at the end of a turn: with one thread, connections accepted before are served first.
        """
        share = ANY if self.waker_fd == NONE else self._balancer.share(now)
        if self._asked:
            # Unless its one thread is reserved for a connection that it accepted before.
            if not (self._single_threaded and self._row.cells[BUSY]):
                share = max(1, share)
            self._asked = False
        if not self.listeners.can_accept():
            pass
        elif share:
            for fd in dict.fromkeys(self.due):
                share -= self._accept(fd, share, now)
                if share <= 0:
                    break
        else:
            self.listeners.yield_to_others(now)
            self._expecting = not self._balancer.ask_better()
            self._until = now + (FIRST_REQUEST if self._expecting else RESPONSE_TIME)
        self.due.clear()

    def served(self) -> None:
        """With one thread: note that everything that was ready in this turn has been served.

        A connection that was just accepted is about to send a request. Another connection would
        wait for as long as that request runs, so it is left to the worker that is free first. After
        a connection that stays silent, the worker does not wait for the next one.
        """
        if self._newest is not None and not self._newest.is_silent():
            self._newest = None
            self._prompt = True
        self._row.cells[BUSY] = float(self._newest is not None and self._prompt)

    def _accept(self, fd: int, most: int, now: float) -> int:
        room = self._limit - len(self._connections)
        if room <= 0:
            if not self._make_room(now):
                self.listeners.pause(now)
                return 0
            room = 1
        taken = 0
        if not self.listeners.closed:
            taken = self._admit(self.listeners.accept(fd, min(room, most), now), now)
        if self.listeners.paused and self._make_room(now):
            self.listeners.resume()
        return taken

    def _admit(self, accepted: Iterable[Accepted], now: float) -> int:
        taken = 0
        proxied = self.listeners.proxied
        for sock, peer, server in accepted:
            connection = Connection(sock, Machine(self._limits), peer, server, now)
            if proxied is not None:
                proxied.connect(sock, connection)
            self._connections[connection.fd] = connection
            self._closing.watch(connection, READ)
            taken += 1
            if self._single_threaded:
                self._newest = connection
                self._row.cells[BUSY] = float(self._prompt)
        self._row.cells[CONNECTIONS] = len(self._connections)
        self.accepted += taken
        return taken

    def admit_drained(self, now: float) -> None:
        """Serve all connections that were accepted when the listeners were drained."""
        self._admit(self.listeners.drained(), now)

    def asked(self, now: float) -> None:
        """Another worker leaves the next connection to this one."""
        if self._row.waker is not None:
            self._row.waker.clear()
        if self.listeners.can_accept():
            self._row.cells[REACTED] = now
            self.listeners.take_part()
            self._look_everywhere()

    def tick(self, now: float) -> None:
        """Once an interval: look for connections that no worker was woken for."""
        self.listeners.resume()
        self._prompt = True
        # The kernel wakes one worker for a connection. That worker may have been stuck at the
        # time, or have died since.
        if self.waker_fd != NONE and not self.listeners.held:
            self._look_everywhere()

    def _look_everywhere(self) -> None:
        self._asked = True
        self.due[:] = self.listeners.sockets

    def watch_again(self, now: float) -> None:
        """Once a turn while the listeners are not watched: watch them again if it is time."""
        listeners = self.listeners
        if listeners.paused and now > listeners.paused + RETRY:
            listeners.resume()
        if listeners.yielded and now >= self._until:
            self._balancer.waited(now)
            self._prompt = self._prompt and self._newest is None
            listeners.take_part()
        elif listeners.yielded and self._expecting and not self._row.cells[BUSY]:
            listeners.take_part()

    def patience(self) -> float:
        """Seconds until `watch_again` has something to do."""
        if self.listeners.paused:
            return RETRY
        return max(0.0, self._until - time.monotonic())

    def pass_on(self, now: float) -> None:
        """Accept nothing more. The kernel may have woken only this worker for a connection."""
        if not self._passed_on:
            self._passed_on = True
            self._balancer.pass_on(now)

    def _make_room(self, now: float) -> bool:
        """Close the connection that has been idle longest; returns whether there was one."""
        for _ in range(AT_A_TIME):
            oldest = self._deadlines.longest_idle(self._connections, now)
            if oldest is None:
                break
            if oldest.is_quiet():  # its next request may have come in this very turn
                self._closing.close(oldest)
                return True
        return False
