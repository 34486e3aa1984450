"""Request bodies from the first octet to the last, before the application is called.

Decides what becomes of a body and keeps its octets; the engine reads and dispatches.
"""

from __future__ import annotations

import logging
import time
from enum import Enum

from carboy.gateway.interface import Gateway
from carboy.protocol.errors import RemoteProtocolError
from carboy.server.closing import Closing
from carboy.server.connection import BODY, IDLE, Connection
from carboy.server.exchange import ServerExchange
from carboy.server.minimum_rate import MinimumRate
from carboy.server.request_body import BodyStream, ReceivedBody
from carboy.server.settings import Settings

log = logging.getLogger("carboy.error")


class AfterHead(Enum):
    """What comes after the head of a request with a body."""

    REFUSED = "nothing: the request was refused"
    STREAM = "the application, which reads the body itself"
    RECEIVE = "the bytes of the body"


class BodyReader:
    """Receives bodies for an engine. Only for the leader."""

    def __init__(self, settings: Settings, gateway: Gateway, closing: Closing) -> None:
        self._settings = settings
        self._gateway = gateway
        self._closing = closing

    def begin(self, exchange: ServerExchange) -> AfterHead:
        """Check the limit and ask for the body, unless the application wants to do that."""
        connection = exchange.connection
        machine = connection.machine
        try:
            limit = self._gateway.body_limit(exchange)
            stream = self._gateway.wants_stream(exchange)
        except Exception as error:
            self._closing.fail_early(connection, exchange, error)
            return AfterHead.REFUSED
        try:
            machine.set_body_limit(limit)
        except RemoteProtocolError as error:
            self._closing.refuse(connection, error, time.monotonic())
            return AfterHead.REFUSED
        if stream:
            self._leave_unread(exchange)
            return AfterHead.STREAM
        if machine.continue_needed:
            connection.push(machine.send_continue())
        connection.exchange = exchange
        connection.received = ReceivedBody(self._settings.spool_limit)
        connection.enter(BODY, time.monotonic())
        return AfterHead.RECEIVE

    def _leave_unread(self, exchange: ServerExchange) -> None:
        settings = self._settings
        connection = exchange.connection
        rate = MinimumRate(0.0, settings.body_grace, settings.body_rate, settings.silence_timeout)
        exchange.body = BodyStream(connection, rate, settings.read_size)
        exchange.body_size = exchange.head.content_length
        self._closing.watch(connection, 0)

    def take(self, connection: Connection, octets: bytes) -> None:
        """Keep a piece. Raises RemoteProtocolError 507 when the disk takes no more."""
        connection.moved += len(octets)
        if connection.received is not None:
            try:
                connection.received.write(octets)
            except OSError as error:
                raise _disk_full(error) from error

    def end(self, connection: Connection) -> ServerExchange:
        """The exchange with its whole body. Raises RemoteProtocolError 507 like `take`."""
        exchange, body = connection.exchange, connection.received
        if exchange is None or body is None:
            raise RuntimeError("the machine ended a body that never began")
        try:
            exchange.body = body.finish()
        except OSError as error:
            raise _disk_full(error) from error
        exchange.body_size = body.size
        connection.exchange = None
        connection.received = None
        connection.enter(IDLE, time.monotonic())
        return exchange


def _disk_full(error: OSError) -> RemoteProtocolError:
    log.error("A request body could not be spooled to a file: %s", error)
    return RemoteProtocolError(507, "the server has no room for this body now")
