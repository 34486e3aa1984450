"""Pipelined requests: the responses of quick handlers leave in one send.

A client may send further requests before it has the response to the first (RFC 9112, section
9.3.2). A response is held back if the next request has come with its own. It leaves with the next
bytes that any thread sends on the connection, so the order is that of the requests.
It leaves without them

    before a request runs whose handler is not known to be quick
    when the handler of the next request has lost the lead
    after TOGETHER requests, because other connections wait
    when the connection is closed

Only the leader calls this file.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from carboy.net.poller import READ
from carboy.server.connection import BODY, HEAD, IDLE, Connection
from carboy.server.crew import Lead
from carboy.server.exchange import ServerExchange
from carboy.server.keep_alive import KeepAlive

TOGETHER = 16  # requests of one connection that are handled before those of others


class Pipelining:
    """Decides which responses are held back."""

    def __init__(self, keep_alive: KeepAlive) -> None:
        self._keep_alive = keep_alive

    def hold_back(self, exchange: ServerExchange, response: bytes, now: float) -> bool:
        """Hold back a whole response until that of the next request; returns whether it was.

        The exchange is finished, and its connection deferred.
        """
        connection = exchange.connection
        machine = connection.machine
        if (
            machine.must_close
            or machine.short
            or machine.excess
            or exchange.body is not None
            or connection.after_sent is not None
            or connection.has_unsent
            or connection.broken
            or connection.interest != READ
            or not machine.another_waits
        ):
            return False
        connection.corked = (connection.corked or b"") + response
        exchange.cached_environ = None  # each would keep the other alive
        connection.phase = HEAD
        connection.since = now
        self._keep_alive.defer(connection)
        return True

    def go_on(self, lead: Lead, read: Callable[[Lead, Connection], None]) -> None:
        """Call `read` for every connection that was deferred, again while responses are held back.

        `read` handles one more request of the connection, or a part of its body.
        """
        deferred = self._keep_alive.deferred
        for _ in range(len(deferred)):
            connection = deferred.popleft()
            for left in range(TOGETHER, 0, -1):
                connection.deferred = False
                if connection.phase is HEAD or connection.phase is BODY:
                    read(lead, connection)
                if left == 1 or connection.corked is None or not connection.deferred:
                    break
                deferred.pop()  # the connection, which was deferred again
            self._let_go(connection)
            self._keep_alive.receive_again(connection)

    def _let_go(self, connection: Connection) -> None:
        """Send what is held back, because the next request is left to another turn."""
        if connection.corked is not None:
            connection.uncork()
            if connection.phase in (IDLE, HEAD) and (connection.broken or connection.has_unsent):
                self._keep_alive.write_on(connection, time.monotonic())
