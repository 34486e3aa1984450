"""Request bodies, received before the application is called. Only for the leader.

A body that has come with its head is handed over at once: the request goes on like one without.

A body is refused when it is larger than the limit (413, protocol/errors.py), left to an application
that reads it itself, or received into memory or a temporary file. The engine reads the bytes and
dispatches the request.
"""

from __future__ import annotations

import logging
import socket
import time
from collections import deque
from collections.abc import Callable
from enum import Enum
from io import BytesIO

from carboy.gateway.interface import Gateway
from carboy.protocol.errors import RemoteProtocolError
from carboy.server import splice
from carboy.server.closing import Closing
from carboy.server.connection import BODY, IDLE, Connection
from carboy.server.exchange import ServerExchange
from carboy.server.minimum_rate import MinimumRate
from carboy.server.request_body import BodyStream, ReceivedBody
from carboy.server.settings import Settings
from carboy.speedups import speedups

log = logging.getLogger("carboy.error")


# Bytes that are received at a time of a body that is known to be large.
PIECE = 256 * 1024


class AfterHead(Enum):
    """The next step after the head of a request with a body."""

    REFUSED = "nothing: the request was refused"
    STREAM = "the application, which reads the body itself"
    RECEIVE = "the bytes of the body"
    READY = "the application, which has the whole body or reads it through a channel"


# Members by plain names: an Enum's attribute is looked up slowly on Python 3.11.
REFUSED, STREAM, RECEIVE, READY = AfterHead


class BodyReader:
    """Receives bodies for an engine."""

    def __init__(self, settings: Settings, gateway: Gateway, closing: Closing) -> None:
        self._settings = settings
        self._most_in_memory = settings.spool_limit
        self._gateway = gateway
        self._answers_later: Callable[[ServerExchange], bool] | None = getattr(
            gateway, "answers_later", None
        )
        self._closing = closing
        self._pipe = splice.Splice()
        self.ready: deque[tuple[ServerExchange, bytes | None]] = deque()  # of the engine

    def begin(self, exchange: ServerExchange) -> AfterHead:
        """Check the limit and ask for the body, unless the application reads it itself."""
        connection = exchange.connection
        machine = connection.machine
        try:
            limit = self._gateway.body_limit(exchange)
            stream = self._gateway.wants_stream(exchange)
            later = self._answers_later is not None and self._answers_later(exchange)
        except Exception as error:
            self._closing.fail_early(connection, exchange, error)
            return REFUSED
        # A larger body belongs into a file, even if all of it is here.
        if not (later or stream) and (exchange.head.content_length or 0) <= self._most_in_memory:
            whole = machine.whole_body(limit)
            if whole is not None:
                return self.take_whole(exchange, whole)
        try:
            machine.set_body_limit(limit)
        except RemoteProtocolError as error:
            self._closing.refuse(connection, error, time.monotonic())
            return REFUSED
        if later:
            return READY
        if stream:
            self._leave_unread(exchange)
            return STREAM
        if machine.continue_needed:
            connection.push(machine.send_continue())
        connection.exchange = exchange
        connection.received = ReceivedBody(self._settings.spool_limit, exchange.head.content_length)
        connection.enter(BODY, time.monotonic())
        return RECEIVE

    def take_whole(self, exchange: ServerExchange, body: bytes) -> AfterHead:
        """Give the request a body that has come with its head."""
        exchange.body = BytesIO(body)
        exchange.body_size = len(body)
        return READY

    def _leave_unread(self, exchange: ServerExchange) -> None:
        settings = self._settings
        connection = exchange.connection
        rate = MinimumRate(0.0, settings.body_grace, settings.body_rate, settings.silence_timeout)
        exchange.body = BodyStream(connection, rate, settings.read_size)
        exchange.body_size = exchange.head.content_length
        self._closing.watch(connection, 0)

    def receive(self, connection: Connection) -> bytes | None:
        """Receive more of a body, past the buffer of the machine if its length is known.

        Returns what the machine has to see, or None if there is nothing for it: then the request
        is in `ready` if its body is complete. Raises OSError as `recv` does.
        """
        machine, sock, received = connection.machine, connection.sock, connection.received
        size = self._settings.read_size
        left = machine.left_to_receive()
        if not left or received is None or speedups.is_held:  # the machine has to see every byte
            return sock.recv(size)
        splices = splice.available and received.in_file and type(sock) is socket.socket
        if splices:
            data, count = b"", self._pipe.fill(sock.fileno(), left)
        else:
            data = sock.recv(max(size, min(left, PIECE)))
            count = len(data)
        if not 0 < count <= left:
            return data  # the end of the stream, or the next request too
        try:
            if splices:
                self._take_from_pipe(connection, received, count)
            else:
                self.take(connection, data)
            if not machine.left_to_receive(count):
                self.ready.append((self.end(connection), None))
        except RemoteProtocolError as error:
            self._closing.refuse(connection, error, time.monotonic())
        except Exception as error:
            self._closing.fault(connection, error)
        return None

    def _take_from_pipe(self, connection: Connection, received: ReceivedBody, count: int) -> None:
        connection.moved += count
        try:
            received.take_from(self._pipe, count)
        except OSError as error:
            raise _disk_full(error) from error

    def close(self) -> None:
        """Close the pipe, after the last turn."""
        self._pipe.close()

    def take(self, connection: Connection, piece: bytes) -> None:
        """Keep a piece. Raises RemoteProtocolError 507 when the disk is full."""
        connection.moved += len(piece)
        if connection.received is not None:
            try:
                connection.received.write(piece)
            except OSError as error:
                raise _disk_full(error) from error

    def end(self, connection: Connection) -> ServerExchange:
        """The exchange with its whole body. Raises RemoteProtocolError 507 like `take`."""
        exchange, body = connection.exchange, connection.received
        if exchange is None or body is None:
            raise RuntimeError("The machine has ended a body that did not begin.")
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
    log.error("A request body could not be written to a temporary file: %s.", error)
    return RemoteProtocolError(507, "the server has no room for this body now")
