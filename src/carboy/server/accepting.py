"""New connections of an engine: which of those that wait it takes, and when. Only for the leader.

Full or out of descriptors:

    a listener is readable ─▶ room? ─▶ taken, watched by the poller
                                └──no─▶ the connection that has been idle longest is closed;
                                        is none idle, the door is paused
    paused ─▶ opened again when a connection is closed, at the latest after RETRY seconds
"""

from __future__ import annotations

from carboy.net.poller import READ
from carboy.protocol.connection import Connection as Machine
from carboy.server.closing import Closing
from carboy.server.connection import Connection
from carboy.server.deadlines import Deadlines
from carboy.server.door import RETRY, Door
from carboy.server.settings import Settings


class Accepting:
    """Takes connections in at the door and makes room for them."""

    def __init__(
        self,
        settings: Settings,
        connections: dict[int, Connection],
        door: Door,
        deadlines: Deadlines,
        closing: Closing,
    ) -> None:
        self._limit = settings.connections
        self._limits = settings.limits
        self._connections = connections
        self._door = door
        self._deadlines = deadlines
        self._closing = closing

    def accept(self, fd: int, now: float) -> None:
        """Take what waits at the listener `fd`."""
        room = self._limit - len(self._connections)
        if room <= 0:
            if not self._make_room(now):
                self._door.pause(now)
                return
            room = 1
        for sock, peer, server in self._door.accept(fd, room, now):
            connection = Connection(sock, Machine(self._limits), peer, server, now)
            self._connections[connection.fd] = connection
            self._closing.watch(connection, READ)
        if self._door.paused and self._make_room(now):
            self._door.resume()

    def retry(self, now: float) -> None:
        """Open a door that has been paused for long enough. Called once a turn while it is."""
        if now > self._door.paused + RETRY:
            self._door.resume()

    def _make_room(self, now: float) -> bool:
        """Close the connection that has been idle longest; whether there was one."""
        oldest = self._deadlines.longest_idle(self._connections)
        if oldest is None:
            return False
        self._closing.close(oldest)
        return True
