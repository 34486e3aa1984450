"""Whether the client of a request that waits is still there.

A client that gives up closes its socket. The server receives the same from a client that has only
stopped sending (`shutdown(SHUT_WR)`) and still reads. The difference is that a closed socket
answers sent bytes with a reset. Every response begins with the same nine bytes, so these are sent
ahead, and left out when the response itself is sent. Within a chunked response, a zero is sent,
with which the size of the next chunk may begin (RFC 9112, section 7.1).
"""

from __future__ import annotations

import select
from typing import TYPE_CHECKING, Any

from carboy.protocol.states import Writing
from carboy.server.connection import Connection

if TYPE_CHECKING:
    from carboy.server.exchange import ServerExchange

AHEAD = b"HTTP/1.1 "
ZERO = b"0"
_GONE = select.POLLHUP | select.POLLERR | select.POLLNVAL if hasattr(select, "poll") else 0
_ENDED = getattr(select, "POLLRDHUP", 0)  # the client sends no more


def has_left(exchange: ServerExchange) -> bool:
    """Whether nothing will read the response. For the thread that owns the connection."""
    connection = exchange.connection
    if connection.broken or connection.fd < 0:  # the leader notes that a stream was reset
        return connection.broken
    if not _ENDED:
        return _reset(connection)
    flags = _flags(connection)
    if flags & _ENDED and not flags & _GONE and (_send_ahead(exchange) or _send_zero(exchange)):
        flags = _flags(connection)  # from the same computer the reset is here already
    return bool(flags & _GONE) or connection.broken


def has_ended(connection: Connection) -> bool:
    """Whether the client has gone, or has ended its side of the connection."""
    if connection.fd < 0:
        return connection.broken
    return bool(_flags(connection) & (_GONE | _ENDED)) if _ENDED else _reset(connection)


def has_disconnected(connection: Connection) -> bool:
    """Whether the client of a response that has begun has gone; marks the connection as broken."""
    if connection.fd < 0:
        return connection.broken
    gone = bool(_flags(connection) & _GONE) if _ENDED else _reset(connection)
    connection.broken = connection.broken or gone
    return connection.broken


def _flags(connection: Connection) -> int:
    poll = select.poll()
    poll.register(connection.fd, _ENDED)
    ready = poll.poll(0)
    return ready[0][1] if ready else 0


def _reset(connection: Connection) -> bool:
    """For systems that do not say that the client sends no more: only a reset is seen."""
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
    if isinstance(stream, _Shortened) or connection.unsent is not None or exchange.head.upgrade:
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


def _send_zero(exchange: ServerExchange) -> bool:
    """Test the client of a chunked response that has begun; once, because it may only read."""
    connection = exchange.connection
    if (
        not exchange.head_begun
        or exchange.client_tested
        or exchange.unsent_head
        or connection.has_unsent
        or connection.machine.writing is not Writing.CHUNKED
    ):
        return False
    exchange.client_tested = True
    connection.push(ZERO)
    return True


class _Shortened:
    """The stream of a connection until the bytes that were sent ahead have been left out."""

    def __init__(self, connection: Connection, stream: Any, ahead: int) -> None:
        self._connection = connection
        self._ahead = ahead
        self.stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def send(self, data: Any, flags: int = 0) -> int:
        if len(data) <= self._ahead:
            self._ahead -= len(data)
            if not self._ahead:
                self._connection.sock = self.stream
            return len(data)
        rest = memoryview(data)[self._ahead :]
        sent = self.stream.send(rest, flags) if flags else self.stream.send(rest)
        ahead, self._ahead = self._ahead, 0
        self._connection.sock = self.stream
        return int(sent) + ahead
