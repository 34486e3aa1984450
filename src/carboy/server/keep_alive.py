"""After a response: the connection is kept for the next request, or closed.

The machine decides which (`must_close` in protocol/machine.py, from the Connection field that
protocol/head.py has read); this file carries it out. Only for the leader.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from carboy.net.poller import READ, WRITE
from carboy.protocol.states import Reading
from carboy.server.closing import Closing
from carboy.server.connection import BODY, CLOSED, HEAD, IDLE, STREAMING, WRITING, Connection
from carboy.server.exchange import ServerExchange
from carboy.server.failures import log_wrong_length
from carboy.server.responder import Responder
from carboy.server.runner import close_body

RECEIVING = (IDLE, HEAD, BODY)
NOTHING_KEPT = Reading.IDLE  # the machine has no bytes of the next request


class KeepAlive:
    """Finishes responses for an engine, and keeps connections whose input waits for a turn."""

    def __init__(self, responder: Responder, closing: Closing) -> None:
        self._responder = responder
        self._closing = closing
        # Connections from which more was received than one turn handles.
        self.deferred: deque[Connection] = deque()
        # Called with an exchange that will be answered later, and the time.
        self.open_channel: Callable[[ServerExchange, float], None] = lambda exchange, now: None

    def finish(self, exchange: ServerExchange, now: float) -> None:
        """The application has returned: set aside, send the rest, or begin the next request."""
        if exchange.receiver is not None:
            self.open_channel(exchange, now)
            return
        connection = exchange.connection
        machine = connection.machine
        if exchange.rest is not None:
            connection.exchange = exchange
            exchange.resumed = now
            connection.enter(STREAMING, now)
            self._closing.watch(connection, WRITE)
            return
        exchange.cached_environ = None  # each would keep the other alive
        connection.exchange = None
        if machine.short or machine.excess:
            log_wrong_length(exchange)
        if exchange.body is not None:
            close_body(exchange)
        if connection.phase is CLOSED or connection.broken:
            self._closing.close(connection)
        elif connection.unsent is not None or connection.file is not None:
            self.write_on(connection, now)
        else:
            self._keep_or_close(connection, now)

    def flush(self, connection: Connection, now: float) -> None:
        """Send more of a response that the application has finished."""
        if connection.flush(self._responder.sendfile):
            if connection.broken:
                self._closing.close(connection)
            else:
                self._keep_or_close(connection, now)

    def write_on(self, connection: Connection, now: float) -> None:
        """Send what the socket has not taken, before anything else of the connection."""
        if connection.broken:
            self._closing.close(connection)
        else:
            connection.enter(WRITING, now)
            self._closing.watch(connection, WRITE)

    def _keep_or_close(self, connection: Connection, now: float) -> None:
        """The response is sent."""
        if connection.after_sent is not None:
            connection.all_sent()
        machine = connection.machine
        if machine.must_close:
            self._closing.end(connection, now)
            return
        connection.phase = IDLE
        connection.since = now
        if machine.reading is not NOTHING_KEPT and machine.buffered:
            connection.phase = HEAD
            self.defer(connection)
        elif connection.interest != READ:
            self._closing.watch(connection, READ)

    # --- input that was received and not used yet

    def defer(self, connection: Connection) -> None:
        """Leave the bytes received from the connection to the next turn.

        Thousands of requests or chunks fit into one read, and all other connections would wait
        for them. Nothing more is received meanwhile, because it would have to be stored.
        """
        connection.deferred = True
        self.deferred.append(connection)

    def receive_again(self, connection: Connection) -> None:
        """Watch a deferred connection again, unless it is deferred once more or has other work."""
        if connection.deferred:
            return
        if connection.phase is HEAD and connection.is_silent():
            connection.phase = IDLE  # what was left was an empty line
        if connection.phase in RECEIVING and connection.interest != READ:
            self._closing.watch(connection, READ)
