"""How a connection ends: refused, drained, closed. Only for the leader."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable, Iterable

from carboy.net.poller import READ, WRITE, Poller
from carboy.protocol.errors import RemoteProtocolError
from carboy.server.balancing import CONNECTIONS
from carboy.server.connection import (
    CLOSED,
    IDLE,
    LATER,
    LINGER,
    RUNNING,
    STREAMING,
    WRITING,
    Connection,
)
from carboy.server.exchange import ServerExchange
from carboy.server.listening import Listeners
from carboy.server.responder import Responder
from carboy.server.scoreboard import Row
from carboy.server.settings import Settings

log = logging.getLogger("carboy.error")
Verdict = tuple[Connection, RemoteProtocolError | None]


class Closing:
    """Closes the connections of an engine, and sets what the poller watches until then."""

    def __init__(
        self,
        settings: Settings,
        connections: dict[int, Connection],
        poller: Poller,
        listeners: Listeners,
        responder: Responder,
        row: Row,
    ) -> None:
        self._connections = connections
        self._poller = poller
        self._listeners = listeners
        self._responder = responder
        self._cells = row.cells
        self._linger_size = settings.linger_size
        self._read_size = settings.read_size

    def watch(self, connection: Connection, flags: int) -> None:
        """Have the poller watch a connection for `flags`; 0 means nothing."""
        before = connection.interest
        if before == flags:
            return
        connection.interest = flags
        if connection.fd < 0:
            if flags:
                connection.sock.watched()  # type: ignore[attr-defined]  # of one request of HTTP/2
        elif not before:
            self._poller.add(connection.fd, flags)
        elif flags:
            self._poller.change(connection.fd, flags)
        else:
            self._poller.remove(connection.fd)

    def fail_early(
        self, connection: Connection, exchange: ServerExchange, error: BaseException
    ) -> None:
        """Answer 500: an error occurred before the application could be called."""
        exchange.began = time.monotonic()
        connection.machine.close_after_response()
        self._responder.fail(exchange, error)
        connection.unread = True
        self.end(connection, exchange.began)

    def refuse(self, connection: Connection, error: RemoteProtocolError, now: float) -> None:
        """Answer a request that broke a rule, and close so that the client sees the response."""
        self._refuse(connection, error, now, self._responder.extra.lines)

    def _refuse(
        self, connection: Connection, error: RemoteProtocolError, now: float, extra: bytes
    ) -> None:
        self._responder.record_refusal(connection, error)
        connection.push(connection.machine.error_response(error, extra))
        connection.unread = True
        self.end(connection, now)

    def cannot_receive(self, connection: Connection, problem: OSError) -> None:
        """Close a connection that cannot be read; answer plain HTTP where TLS is spoken."""
        advice = getattr(problem, "message", None)  # of net.tls.PlainHttp
        if advice is None:
            self.close(connection)
        else:
            error = RemoteProtocolError(400, advice)
            self._refuse(connection, error, time.monotonic(), self._responder.extra.plain)

    def expire(
        self, exceeded: Iterable[Verdict], refuse_slow: Callable[..., None], now: float
    ) -> None:
        """End connections that took too long; `refuse_slow`: those that are answered later."""
        for connection, error in exceeded:
            if error is not None and connection.phase is LATER:
                refuse_slow(connection, error, now)
            elif error is None:
                # Not an idle connection whose next request has arrived in this very turn.
                if connection.phase is not IDLE or connection.is_quiet():
                    self.close(connection)
            else:
                self.refuse(connection, error, now)

    def fault(self, connection: Connection, error: Exception) -> None:
        """Close a connection whose input triggered a bug in Carboy; others are not affected."""
        log.critical(
            "A bug in Carboy was triggered by a client's input. Its connection is closed.",
            exc_info=error,
        )
        self.close(connection)

    def end(self, connection: Connection, now: float) -> None:
        """Close after the last response, after draining what the client still sends.

        Closing with unread input makes the kernel send a reset, which can overtake the response
        (RFC 9112, section 9.6).
        """
        if connection.broken or not (
            connection.unread
            or connection.unsent is not None
            or connection.machine.buffered  # more of it may be on its way
            or not connection.is_quiet()
        ):
            self.close(connection)
            return
        if connection.unsent is not None:
            connection.enter(WRITING, now)
            self.watch(connection, WRITE)
            return
        try:
            connection.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self.close(connection)
            return
        if connection.received is not None:
            connection.received.close()
            connection.received = None
        connection.enter(LINGER, now)
        self.watch(connection, READ)

    def drain(self, connection: Connection) -> None:
        """Discard input of a connection whose last response is sent."""
        try:
            data = connection.sock.recv(self._read_size)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        connection.moved += len(data)
        if not data or connection.moved > self._linger_size:
            self.close(connection)

    def close(self, connection: Connection) -> None:
        """Close a connection. If its request still runs, it is only cut now, and closed later.

        So is one with a streamed response that is set aside, or with a channel: the poller reports
        the cut, and the engine ends the response.
        """
        phase = connection.phase
        if phase is CLOSED:
            return
        if phase in (RUNNING, STREAMING, LATER) and connection.exchange is not None:
            connection.cut()
            return
        connection.phase = CLOSED
        connection.uncork()
        if connection.after_sent is not None:
            connection.all_sent()
        connection.template = connection.repeated = None  # it leads back to the connection
        self.watch(connection, 0)
        self._connections.pop(connection.fd, None)
        self._cells[CONNECTIONS] = len(self._connections)
        if connection.received is not None:
            connection.received.close()
            connection.received = None
        connection.forget_file()
        connection.sock.close()
        if self._listeners.paused:
            self._listeners.resume()
