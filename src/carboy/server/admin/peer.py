"""One connection to the admin server: a request at a time, read and answered without blocking.

    READING ─ request complete ─▶ ANSWERING ─ reply ─▶ SENDING ─▶ READING, or closed

Each phase has a time limit; only ANSWERING has none, because each question to workers has one.
"""

from __future__ import annotations

import socket
from enum import Enum
from typing import Final

from carboy.net.poller import READ, WRITE
from carboy.protocol.errors import RemoteProtocolError
from carboy.protocol.events import Data, RequestHead, Signal
from carboy.protocol.limits import Limits
from carboy.protocol.machine import Machine
from carboy.server.admin.call import Reply, Steps

READ_SIZE = 64 * 1024
REQUEST_TIME = 10.0  # seconds for a complete request, from its first byte
IDLE_TIME = 60.0  # seconds between two requests
SEND_TIME = 30.0  # seconds in which the peer has to take something of a response
LIMITS = Limits(fields_size=16 * 1024, fields_count=50, body=64 * 1024)
NEVER = float("inf")
# What the kernel reports beside READ and WRITE: the peer has gone, or its socket is broken.
GONE: Final = ~(READ | WRITE)

REASONS = {
    200: "OK", 202: "Accepted", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden",
    404: "Not Found", 405: "Method Not Allowed", 409: "Conflict", 421: "Misdirected Request",
    500: "Internal Server Error", 501: "Not Implemented", 503: "Service Unavailable",
}  # fmt: skip


class Phase(Enum):
    """See the module's docstring."""

    READING = "waits for a request, or the rest of it"
    ANSWERING = "a handler waits for workers"
    SENDING = "the peer has not taken all of a response"
    CLOSED = "closed"


class Peer:
    """A connection. `local`: a unix socket, whose file only the user can open."""

    def __init__(self, sock: socket.socket, local: bool, loopback: bool, now: float) -> None:
        self.sock = sock
        self.local = local
        self.loopback = loopback
        self.machine = Machine(LIMITS)
        self.phase = Phase.READING
        self.due = now + REQUEST_TIME
        self.head: RequestHead | None = None
        self.body = bytearray()
        self.steps: Steps | None = None  # of the handler, while it waits
        self.question = 0  # that it waits for
        self._unsent = memoryview(b"")
        self._ended = False  # the peer sends no more

    @property
    def interest(self) -> int:
        """The flags to watch for."""
        if self.phase is Phase.SENDING:
            return WRITE
        return READ if self.phase is Phase.READING and not self._ended else 0

    def receive(self, now: float) -> bool:
        """Read what has come; returns whether a request is complete. Closes a broken connection."""
        try:
            data = self.sock.recv(READ_SIZE)
        except BlockingIOError:
            return False
        except OSError:
            self.close()
            return False
        if not data:
            self._ended = True
        elif self.machine.reading is self.machine.reading.IDLE:
            self.due = now + REQUEST_TIME
        try:
            return self._advance(self.machine.receive(data), now)
        except RemoteProtocolError as problem:
            self._push(self.machine.error_response(problem, b""), now)
            return False

    def next(self, now: float) -> bool:
        """Go on with bytes that were received before; returns whether a request is complete."""
        if self.phase is not Phase.READING:
            return False
        try:
            return self._advance(self.machine.next_event(), now)
        except RemoteProtocolError as problem:
            self._push(self.machine.error_response(problem, b""), now)
            return False

    def _advance(self, event: object, now: float) -> bool:
        while True:
            if isinstance(event, RequestHead):
                self.head, self.body = event, bytearray()
                if not event.has_body:
                    return True
                if self.machine.continue_needed:
                    self._push(self.machine.send_continue(), now)
            elif isinstance(event, Data):
                self.body += event.data
            elif event is Signal.END_OF_MESSAGE:
                return True
            elif event is Signal.CLOSED:
                self.close()
                return False
            else:
                return False
            event = self.machine.next_event()

    def answer(self, reply: Reply, now: float) -> None:
        """Send the response to the request."""
        self.steps = None
        headers = [("Content-Type", reply.media_type), ("Cache-Control", "no-store")]
        if reply.status == 401:
            headers.append(("WWW-Authenticate", 'Bearer realm="carboy"'))
        status = f"{reply.status} {REASONS[reply.status]}"
        if self._ended:
            self.machine.close_after_response()
        self._push(self.machine.whole_response(status, headers, reply.body(), b""), now)

    def _push(self, data: bytes, now: float) -> None:
        self._unsent = memoryview(bytes(self._unsent) + data)
        self.phase, self.due = Phase.SENDING, now + SEND_TIME
        self.flush(now)

    def flush(self, now: float) -> None:
        """Send as much as the socket takes."""
        try:
            while self._unsent:
                sent = self.sock.send(self._unsent)
                self._unsent = self._unsent[sent:]
                self.due = now + SEND_TIME
        except BlockingIOError:
            return
        except OSError:
            self.close()
            return
        self._unsent = memoryview(b"")
        if self.machine.must_close and self.machine.writing is self.machine.writing.DONE:
            self._finish()
            return
        between = self.machine.writing is self.machine.writing.DONE
        self.phase, self.due = Phase.READING, now + (IDLE_TIME if between else REQUEST_TIME)

    def _finish(self) -> None:
        """Close after a response. Unread input would reset the connection and lose the response."""
        try:
            self.sock.shutdown(socket.SHUT_WR)
            while self.sock.recv(READ_SIZE):
                pass
        except OSError:
            pass
        self.close()

    def close(self) -> None:
        """Close the connection, and end the handler."""
        if self.phase is not Phase.CLOSED:
            self.phase = Phase.CLOSED
            if self.steps is not None:
                self.steps.close()
                self.steps = None
            self.sock.close()
