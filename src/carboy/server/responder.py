"""The application's response, sent on its connection by the thread that ran the request.

The connection keeps what the socket does not take, and the engine sends it later. A response made
piece by piece is set aside above the high-water mark: the exchange keeps its rest until the engine
resumes it (server/streams.py). Only `write` of PEP 3333 waits, on its own thread.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Hashable, Iterator, Mapping
from logging import ERROR
from threading import Lock
from typing import Any
from weakref import ref

from carboy.gateway.interface import ANSWERED, LATER, Answer
from carboy.gateway.websocket_deadlines import WebSocketDeadlines, WebSocketLimits
from carboy.gateway.wsgi import base_environ, checked
from carboy.net.stream import bytes_left, can_sendfile
from carboy.protocol.errors import LocalProtocolError, RemoteProtocolError
from carboy.protocol.states import Writing
from carboy.protocol.websocket.origins import Origins
from carboy.request_identity import current
from carboy.server.connection import NOTHING, ClientGone, Connection, FileRest
from carboy.server.default_fields import DefaultFields, with_length
from carboy.server.exchange import Headers, Rest, ServerExchange
from carboy.server.failures import FAILURE, failure_text, log_failure
from carboy.server.first_piece import begun, file_to_send
from carboy.server.forwarding import Forwarding
from carboy.server.identity import log_about
from carboy.server.logs.facts import Record, has_content
from carboy.server.logs.redaction import redaction
from carboy.server.open_handlers import OpenHandlers
from carboy.server.raw_socket import SWITCHED, close_after_use, has_switched_protocol
from carboy.server.request_body import BodyStream
from carboy.server.settings import Settings
from carboy.server.taken_sockets import TakenSockets

Access = Callable[[Record], None]

# Seconds after which a streamed response lets other requests run first, with a single thread.
SLICE = 0.01
NEVER = float("inf")
# Bytes of a body that is not copied behind its head. A second system call costs less.
LARGE = 32 * 1024
MORE = getattr(socket, "MSG_MORE", 0)
CLIENT_LEFT = "499 Client Closed Request"  # only in logs: the client has gone
SENDING = (
    "deliver", "fail", "resume", "start", "send_whole", "whole", "begin", "put", "put_file",
    "end_pieces", "upgrade",
)  # fmt: skip
TEXT: Headers = [("Content-Type", "text/plain; charset=utf-8")]


class ResponderSlots:
    """The attributes that compiled functions read for each request."""

    __slots__ = ("count", "plain")


class Responder(ResponderSlots):
    """Sends the responses of an engine."""

    plain: bool

    def __init__(
        self, settings: Settings, access: Access | None, processes: bool, secure: bool = False
    ) -> None:
        self.settings = settings
        self.access = access
        observing = settings.observing
        self.extra = DefaultFields(
            settings.server_header, settings.hsts, secure, observing.response_field
        )
        software = settings.server_header or "carboy"
        self.environ = base_environ(settings.threads > 1, processes, software)
        self.like_werkzeug = False  # environs have the keys of Werkzeug's server
        self.scheme = "https" if secure else "http"  # of the connections
        self.private = redaction(observing.access_log_redact)
        self.forwarding = Forwarding(settings.trust, observing.request_id_header)
        # The kernel sends files as they are, not encrypted.
        self.sendfile = settings.sendfile and not secure and can_sendfile()
        self.before_waiting: Callable[[ServerExchange], None] = _nothing
        # A client gets each piece while the next one is made (PEP 3333). With one thread no other
        # thread would send what the socket has not taken, so nothing is kept then.
        alone = settings.threads == 1
        self._slice = SLICE if alone else NEVER
        self._enough = 0 if alone else settings.high_water
        self.sockets = TakenSockets(settings.websocket_threads)
        self.handlers = OpenHandlers()
        self.stopping = False
        self.websocket_origins = Origins(settings.websocket_origins)
        self.websockets = WebSocketDeadlines(
            WebSocketLimits(
                settings.websocket_max_message,
                settings.websocket_max_queue,
                settings.websocket_ping_interval,
                settings.websocket_ping_timeout,
                settings.websocket_close_timeout,
                settings.websocket_compression,
            )
        )
        self.averages: Mapping[Hashable, float] = {}  # of DispatchTimes
        # What counts a complete response without a record, if the records are only counted.
        self.count: Callable[..., object] | None = getattr(access, "count", None)
        # a complete response only has to be sent
        self.plain = (access is None or self.count is not None) and not self.extra.varies

    def report_to(self, access: Access | None) -> None:
        """Hand each record to `access` from now on."""
        self.access = access
        self.count = None
        self.plain = False

    def stop(self) -> None:
        """From now on every response is the last of its connection."""
        self.stopping = True
        self.plain = False

    def disown(self, instead: Callable[..., Any]) -> None:
        """Call `instead` instead of everything that would send bytes on a connection."""
        self.plain = False
        for name in SENDING:
            setattr(self, name, instead)

    # --- complete responses

    def deliver(self, exchange: ServerExchange, answer: Answer) -> None:
        """Send `answer` as far as possible. Never raises; always calls its `close`, once.

        A streamed response may be set aside: `resume` will send and close `exchange.rest`.
        """
        if answer is LATER or answer is ANSWERED:
            return
        status, headers, body, close = answer
        try:
            if has_switched_protocol(exchange):
                self._end_other_protocol(exchange, None)
            elif body.__class__ is bytes and not exchange.head_begun:
                self.send_whole(exchange, status, headers, body)
            else:
                pieces = self._begin_pieces(exchange, status, headers, body)
                if pieces is not None:
                    exchange.rest = Rest(pieces, status, close)
                    self._iterate(exchange, exchange.rest)
        except BaseException as error:
            exchange.rest = None
            self.fail(exchange, error)
        finally:
            if close is not None and exchange.rest is None:
                self._close(exchange, close)

    def resume(self, exchange: ServerExchange) -> None:
        """Resume a streamed response that was set aside; close it if its client has gone."""
        rest = exchange.rest
        if rest is None:
            return
        try:
            if exchange.connection.broken:
                raise ClientGone
            self._iterate(exchange, rest)
        except BaseException as error:
            exchange.rest = None
            self.fail(exchange, error)
        finally:
            if rest.close is not None and exchange.rest is None:
                self._close(exchange, rest.close)

    def send_whole(
        self, exchange: ServerExchange, status: str, headers: Headers, body: bytes
    ) -> None:
        """Head and body in one send. Raises LocalProtocolError before anything is sent."""
        exchange.connection.push(self.whole(exchange, status, headers, body))

    def whole(self, exchange: ServerExchange, status: str, headers: Headers, body: bytes) -> bytes:
        """The bytes of a complete response that the caller has to send: with the head, or after it.

        The head before a large body is sent here. Raises LocalProtocolError before anything is.
        """
        machine = exchange.connection.machine
        if self.stopping:
            machine.close_after_response()
        head = b""
        if len(body) >= LARGE and self.scheme == "http" and exchange.connection.own_socket:
            head = machine.head_before(status, headers, len(body), self.extra.of(exchange, headers))
        if head:
            exchange.connection.push(head, MORE)
            data = body
        else:
            data = machine.whole_response(status, headers, body, self.extra.of(exchange, headers))
        exchange.head_begun = True
        exchange.status = status
        if self.access is not None:
            exchange.response_fields = headers
            self.record(exchange, status, len(body) - machine.excess)
        return data

    def fail(self, exchange: ServerExchange, error: BaseException | None = None) -> None:
        """Answer 500 when nothing was sent yet, otherwise cut the connection; log both.

        A client that has gone is not a failure. ClientGone may come through the application, when
        `write` raised it there.
        """
        if has_switched_protocol(exchange):
            self._end_other_protocol(exchange, error)
            return
        if isinstance(error, ClientGone):
            self._finish(exchange, exchange.status)
            return
        if exchange.client_left and not exchange.head_begun:
            self.record(exchange, CLIENT_LEFT, 0)
            return
        if isinstance(error, RemoteProtocolError) and not exchange.head_begun:
            self.record(exchange, str(error.status), 0)
            connection = exchange.connection
            connection.push(connection.machine.error_response(error, self.extra.of(exchange, [])))
            return
        log_failure(exchange, error)
        connection = exchange.connection
        if exchange.head_begun:
            with exchange.sending or NOTHING:
                self.abandon(connection)
            self._finish(exchange, exchange.status)
            return
        try:
            self.send_whole(exchange, FAILURE, TEXT, failure_text(exchange))
        except LocalProtocolError:
            self.abandon(connection)

    def _end_other_protocol(self, exchange: ServerExchange, error: BaseException | None) -> None:
        """The application has finished with the connection that it had taken over.

        It may say so with ConnectionError (Flask-Sock, Flask-SocketIO), even when the client has
        gone. A response that it still tries to send is a LocalProtocolError.
        """
        if error is not None and not isinstance(error, (ConnectionError, LocalProtocolError)):
            log_about(
                exchange,
                ERROR,
                "The application failed after it had taken over the connection: %s.",
                exchange.request_line(),
                exc_info=error,
            )
        if exchange.socket_refused:
            exchange.connection.unread = True
            return
        close_after_use(exchange)
        self.sockets.give_back()
        self.record(exchange, SWITCHED, 0)

    def abandon(self, connection: Connection) -> None:
        """Give up a response that cannot be completed, in a way that the client notices."""
        machine = connection.machine
        machine.close_after_response()
        if machine.writing is Writing.UNTIL_CLOSE:
            # Any other framing shows that something is missing, and keeps what has arrived.
            connection.reset_on_close()
        connection.give_up()

    def _close(self, exchange: ServerExchange, close: Callable[[], object]) -> None:
        connection = exchange.connection
        if connection.has_unsent and not self._reads_itself(exchange):
            exchange.sending = exchange.sending or Lock()  # close() may take long
        try:
            close()
        except BaseException as error:
            text = "close() of a response failed: %s."
            log_about(exchange, ERROR, text, exchange.request_line(), exc_info=error)

    # --- streamed responses

    def start(
        self, exchange: ServerExchange, status: str, headers: Headers
    ) -> Callable[[bytes], object]:
        """Returns `write`, which sends the head with its first piece."""

        def write(piece: bytes) -> None:
            piece = checked(piece)
            if not exchange.head_begun:
                with exchange.connection.taking or NOTHING:
                    if exchange.connection.taken:
                        raise ClientGone
                    self.begin(exchange, status, headers)
            self.put(exchange, piece)
            self._wait(exchange)

        return write

    def begin(self, exchange: ServerExchange, status: str, headers: Headers) -> None:
        """Make the head, and keep it until there is a piece of the body to send with it."""
        connection = exchange.connection
        machine = connection.machine
        if self.stopping:
            machine.close_after_response()
        head = machine.start_response(status, headers, self.extra.of(exchange, headers))
        exchange.head_begun = True
        exchange.status = status
        exchange.response_fields = headers
        exchange.unsent_head = head
        exchange.in_pieces = True
        connection.body_sent = 0

    def upgrade(self, exchange: ServerExchange, status: str, headers: Headers) -> None:
        """Send the response 101; what is put from then on is sent as it is."""
        connection = exchange.connection
        data = connection.machine.upgrade(status, headers)
        exchange.head_begun = True
        exchange.status = status
        connection.body_sent = 0
        connection.push(data)

    def put(self, exchange: ServerExchange, piece: bytes) -> None:
        """Send a piece of the body. Raises ClientGone."""
        connection = exchange.connection
        data = connection.machine.send_data(piece)
        if exchange.unsent_head:
            data = exchange.unsent_head + data
            exchange.unsent_head = b""
        connection.body_sent += len(piece)
        if data:
            if exchange.channel is None:
                self._push(exchange, data)
            else:
                connection.push(data)  # with the lock of the channel
        if connection.broken:
            raise ClientGone

    def put_file(self, exchange: ServerExchange, fd: int, offset: int, count: int) -> None:
        """Send a part of a file as a piece of the body. Raises ClientGone."""
        connection = exchange.connection
        machine = connection.machine
        count = machine.account(count)
        before, after = machine.chunk_around(count) if count else (b"", b"")
        if exchange.unsent_head or before:
            connection.push(exchange.unsent_head + before)
            exchange.unsent_head = b""
        if count and not connection.broken:
            connection.body_sent += count
            connection.push_file(FileRest(fd, offset, count), self.sendfile)
            if after:
                connection.push(after)
        if connection.broken:
            raise ClientGone

    def _push(self, exchange: ServerExchange, data: bytes) -> None:
        connection = exchange.connection
        if exchange.sending is not None:
            with exchange.sending:
                connection.push(data)
        elif not connection.push(data) and not self._reads_itself(exchange):
            exchange.sending = Lock()

    def _reads_itself(self, exchange: ServerExchange) -> bool:
        """Whether the application reads from a TLS stream, so that the leader must not send."""
        return self.scheme == "https" and isinstance(exchange.body, BodyStream)

    def _wait(self, exchange: ServerExchange) -> None:
        """Block this thread until the client has taken some of what is kept."""
        connection = exchange.connection
        if connection.unsent_bytes > self.settings.high_water:
            self.before_waiting(exchange)
            with exchange.sending or NOTHING:
                connection.wait_below(
                    self.settings.high_water // 2,
                    self.settings.write_grace,
                    self.settings.write_rate,
                    self.settings.silence_timeout,
                )

    def _begin_pieces(
        self, exchange: ServerExchange, status: str, headers: Headers, body: Any
    ) -> Iterator[bytes] | None:
        """Make the head and give the pieces to send; None for a file, which is sent already."""
        if not exchange.head_begun:
            fd = file_to_send(body)
            if fd is not None:
                self.send_file(exchange, status, headers, fd, body.offset, body.count)
                return None
            if exchange.head.method == "HEAD" or status[:3] in ("204", "205", "304"):
                body = ()  # it would not be sent
            exchange.in_pieces = True
            current.set(ref(exchange))  # for the log, while the pieces are made
            pieces = iter(begun(body))
            self.begin(exchange, status, headers)
            return pieces
        return iter(begun(body))

    def _iterate(self, exchange: ServerExchange, rest: Rest) -> None:
        """Send pieces until there are no more, or this thread is needed for other requests."""
        connection = exchange.connection
        enough = self._enough
        until = time.monotonic() + self._slice
        for piece in rest.pieces:
            if piece:
                self.put(exchange, checked(piece))
                if connection.unsent_bytes > enough or exchange.leave_thread:
                    return
                if until != NEVER and time.monotonic() > until:
                    return
        exchange.rest = None
        self.end_pieces(exchange, rest.status)

    def end_pieces(
        self, exchange: ServerExchange, status: str, trailers: Headers | None = None
    ) -> None:
        """End a response that was sent in pieces."""
        data = exchange.unsent_head + exchange.connection.machine.end_response(trailers)
        exchange.unsent_head = b""
        if data:
            self._push(exchange, data)
        self._finish(exchange, status)

    def send_file(
        self,
        exchange: ServerExchange,
        status: str,
        headers: Headers,
        fd: int,
        offset: int = 0,
        count: int | None = None,
    ) -> None:
        """Send a whole response with `count` bytes of a file, or all from `offset` to its end."""
        connection = exchange.connection
        machine = connection.machine
        left = bytes_left(fd, offset, count)
        self.begin(exchange, status, with_length(headers, left))
        left = machine.account(left)
        # The kernel sends the head together with the beginning of the file.
        connection.push(
            exchange.unsent_head, MORE if left and self.sendfile and connection.own_socket else 0
        )
        exchange.unsent_head = b""
        if left and not connection.broken:
            connection.file = FileRest(fd, offset, left)
            connection.body_sent = left
            connection.flush(self.sendfile)
        if rest := machine.end_response():  # to send nothing is a system call as well
            connection.push(rest)
        self._finish(exchange, status)

    def _finish(self, exchange: ServerExchange, status: str) -> None:
        if self.access is not None:
            connection = exchange.connection
            self.record(exchange, status, connection.body_sent - connection.machine.excess)

    # --- the access log

    def record(self, exchange: ServerExchange, status: str, size: int) -> None:
        """Hand the access log its record."""
        if self.access is not None:
            peer = exchange.peer
            since = exchange.arrived or exchange.queued_at or exchange.began
            seconds = time.monotonic() - since
            code = int(status[:3])
            if not has_content(exchange.head.method, code):
                size = 0
            client = peer[0] if peer else ""
            self.access((time.time(), client, exchange.head, "", code, size, seconds, exchange))

    def record_refusal(self, connection: Connection, error: RemoteProtocolError) -> None:
        """Hand the access log its record of a request that was refused before it was complete."""
        if self.access is not None:
            machine = connection.machine
            peer = connection.peer[0] if connection.peer else ""
            seconds = time.monotonic() - connection.since
            line = machine.request_line
            self.access((time.time(), peer, None, line, error.status, 0, seconds, None))


def _nothing(exchange: ServerExchange) -> None:
    pass
