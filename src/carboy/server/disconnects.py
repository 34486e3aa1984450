"""Whether the client of a request that waits is still there.

A client that gives up closes its socket, and what arrives is the same as from one that only says
that it sends no more (`shutdown(SHUT_WR)`) and reads on. What follows differs: octets sent to a
closed socket come back as a reset. Every answer begins with the same nine octets, so these are
sent ahead, and left out when the answer itself is sent.
"""

from __future__ import annotations

import select
from typing import TYPE_CHECKING, Any

from carboy.server.connection import Connection

if TYPE_CHECKING:
    from carboy.server.exchange import ServerExchange

AHEAD = b"HTTP/1.1 "
_GONE = select.POLLHUP | select.POLLERR | select.POLLNVAL if hasattr(select, "poll") else 0
_ENDED = getattr(select, "POLLRDHUP", 0)  # the client sends no more


def has_left(exchange: ServerExchange) -> bool:
    """Whether nobody reads the answer any more. Only for the thread that owns the connection."""
    connection = exchange.connection
    if connection.broken:
        return True
    if not _ENDED:
        return _reset(connection)
    flags = _flags(connection)
    if flags & _ENDED and not flags & _GONE and _send_ahead(exchange):
        flags = _flags(connection)  # within one machine the reset is here already
    return bool(flags & _GONE) or connection.broken


def has_disconnected(connection: Connection) -> bool:
    """Whether a client reads no more of an answer that has begun; it is noted as broken then."""
    gone = bool(_flags(connection) & _GONE) if _ENDED else _reset(connection)
    connection.broken = connection.broken or gone
    return connection.broken


def _flags(connection: Connection) -> int:
    poll = select.poll()
    poll.register(connection.fd, _ENDED)
    ready = poll.poll(0)
    return ready[0][1] if ready else 0


def _reset(connection: Connection) -> bool:
    """All that can be told where the system does not say that the client sends no more."""
    try:
        connection.sock.recv(0)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return False


def _send_ahead(exchange: ServerExchange) -> bool:
    connection = exchange.connection
    stream = connection.sock
    if isinstance(stream, _Shortened) or connection.out is not None or exchange.head.upgrade:
        return False
    if exchange.head_begun or exchange.socket_taken:
        return False
    try:
        sent = stream.send(AHEAD)
    except BlockingIOError:
        return False
    except OSError:
        connection.broken = True
        return False
    connection.sock = _Shortened(connection, stream, sent)
    return True


class _Shortened:
    """The stream of a connection, for as long as the octets sent ahead are still to come."""

    def __init__(self, connection: Connection, stream: Any, ahead: int) -> None:
        self._connection = connection
        self._ahead = ahead
        self.stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def send(self, data: Any) -> int:
        if len(data) <= self._ahead:
            self._ahead -= len(data)
            if not self._ahead:
                self._connection.sock = self.stream
            return len(data)
        sent = self.stream.send(memoryview(data)[self._ahead :])
        ahead, self._ahead = self._ahead, 0
        self._connection.sock = self.stream
        return int(sent) + ahead
