"""A WebSocket over a channel: the handshake, messages, pings, and both ends of it.

Any thread may use a WebSocketTransport. Its state belongs to the lock of the channel:

    leader       begin, changed, stopping, and what is due (websocket_deadlines.py)
    any thread   accept, refuse, take, send, close, fail
    both         read the channel and the machine only with the lock (`_pump`)

The user's callback `changed` is called without the lock. What is called before the channel is open
is kept in `_early` and done by `begin`; the lock of these calls, `_OPENING`, is never taken by a
thread that holds a channel's lock.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from enum import Enum
from threading import Lock
from typing import Any

from carboy.gateway.interface import Channel, ChannelClosed
from carboy.gateway.websocket_deadlines import WebSocketDeadlines
from carboy.protocol.websocket import connection
from carboy.protocol.websocket.connection import Closed, WebSocketMachine
from carboy.protocol.websocket.deflate import negotiate
from carboy.protocol.websocket.handshake import Handshake

log = logging.getLogger("carboy.error")

FORBIDDEN = "403 Forbidden"
TEXT = [("Content-Type", "text/plain; charset=utf-8")]
GOING_AWAY = 1001
ABNORMAL = 1006  # never sent (RFC 6455, section 7.4.1)
INTERNAL_ERROR = 1011
# Messages of this size together are enough for the application to have work.
MOST_QUEUED = 1 << 20

_OPENING = Lock()


class Phase(Enum):
    """How far a WebSocket is."""

    CONNECTING = "the handshake is not answered"
    OPEN = "messages go both ways"
    CLOSING = "the server has sent its close frame, and waits for the client's"
    DONE = "the channel is finished"


CONNECTING, OPEN, CLOSING, DONE = Phase


class WebSocketTransport:
    """One WebSocket on the server's side: a WebSocket and a Receiver of gateway.interface."""

    __slots__ = ("_deadlines", "_deflate", "_early", "_extensions", "_heard", "_machine", "_paused",
                 "_queue", "_queued", "_stopped", "_unsent", "_user_changed", "channel", "closed",
                 "exchange", "handshake", "phase")  # fmt: skip

    def __init__(
        self,
        exchange: Any,
        handshake: Handshake,
        deadlines: WebSocketDeadlines,
        changed: Callable[[], object],
    ) -> None:
        """Raises HandshakeError for malformed extensions."""
        limits = deadlines.limits
        self.exchange = exchange
        self.handshake = handshake
        self.phase = CONNECTING
        self.closed: Closed | None = None  # set when no message can be sent
        self.channel: Channel | None = None
        self._user_changed = changed
        self._deadlines = deadlines
        self._extensions, self._deflate = negotiate(handshake.extensions, limits.compression)
        self._machine: WebSocketMachine | None = None
        # Messages that were not taken yet. There are few, and an empty deque takes 600 bytes.
        self._queue: list[str | bytes] = []
        self._queued = 0  # their size
        self._paused = False  # the client's bytes are not read until some are taken
        self._heard = True  # since the last ping
        self._unsent = 0  # bytes that the client had not taken when it was last looked at
        self._stopped = False  # the server stops
        self._early: list[tuple[Callable[..., object], tuple[Any, ...]]] | None = []

    # --- for the application

    def accept(
        self,
        subprotocol: str | None = None,
        headers: Iterable[tuple[str, str]] = (),
        compression: bool = True,
    ) -> None:
        """Accept the handshake; without `compression`, decline the client's permessage-deflate.

        Raises ValueError for a subprotocol or a header that cannot be.
        """
        if not compression:
            self._extensions, self._deflate = None, None
        fields = self.handshake.acceptance(subprotocol, self._extensions, headers)
        self._do(self._accept, fields)

    def refuse(self, status: str, headers: list[tuple[str, str]], body: bytes) -> None:
        """Answer the handshake with an ordinary response."""
        self._do(self._refuse, status, headers, body)

    def take(self) -> str | bytes | None:
        """The next message; None if there is none. `closed` says whether one can come."""
        if not self._queue:
            return None
        try:
            message = self._queue.pop(0)
        except IndexError:  # another thread has taken it
            return None
        channel = self.channel
        if channel is not None:
            before = self.closed
            with channel.lock:
                self._queued -= len(message)
                if self._paused and self._has_room():
                    self._pump(channel)
            if self.closed is not before:
                self._user_changed()
        return message

    def send(self, message: str | bytes) -> None:
        """Send a message; never waits. Above the high-water mark, `full` is true.

        Raises ChannelClosed when the WebSocket is not open.
        """
        machine = self._machine
        if machine is None:
            if self.phase is CONNECTING:
                raise RuntimeError("The WebSocket is not accepted yet. Accept it first.")
            raise ChannelClosed("The WebSocket is closed.")
        frame = machine.text(message) if isinstance(message, str) else machine.binary(message)
        channel = self.channel
        if self._early is not None or channel is None:
            self._do(self._send, frame)
            return
        with channel.lock:
            if self.phase is not OPEN:
                raise ChannelClosed("The WebSocket is closed.")
            channel.send(frame)

    def send_frame(self, frame: bytes) -> None:
        """Send a frame that is encoded, without compression; otherwise as `send`."""
        if self.phase is not OPEN or self.channel is None:
            raise ChannelClosed("The WebSocket is not open.")
        self.channel.send_chunk(frame, frame)

    def close(self, code: int | None = 1000, reason: str = "") -> None:
        """Close the WebSocket, or answer 403 if it was not accepted. Later calls do nothing.

        Raises ValueError for a code that may not be sent, and for a reason of more than 123 bytes.
        """
        connection.check_close(code, reason)
        self._do(self._close, code, reason)

    def fail(self, error: BaseException) -> None:
        """Log an error of the application; answer 500, or close with 1011. Never raises."""
        self._do(self._fail, error)

    @property
    def subprotocols(self) -> tuple[str, ...]:
        """The subprotocols that the client offers, the best first."""
        return self.handshake.subprotocols

    @property
    def origin(self) -> str | None:
        """The Origin of the handshake."""
        return self.handshake.origin

    @property
    def accepted(self) -> bool:
        """Whether the handshake was accepted."""
        return self._machine is not None

    @property
    def full(self) -> bool:
        """Whether the application should wait for `changed` before it sends more."""
        return self.channel is not None and self.channel.full

    # --- what the server calls

    def begin(self, channel: Channel) -> None:
        """Do what was called before the channel was open."""
        with _OPENING, channel.lock:
            early, self._early = self._early, None
            self.channel = channel
            for function, arguments in early or ():
                function(*arguments)
        self._user_changed()

    def changed(self) -> None:
        """Read what has come."""
        channel = self.channel
        if channel is None:
            return
        with channel.lock:
            if not channel.open:
                self._end(ABNORMAL, "The client has gone.")
            elif self._machine is not None:
                self._pump(channel)
        self._user_changed()

    def stopping(self) -> None:
        """The server stops: say so to the client."""
        channel = self.channel
        if channel is not None:
            with channel.lock:
                self._stopped = True
                if self.phase is OPEN:
                    self._close(GOING_AWAY, "")
            self._user_changed()

    # --- what the deadlines call

    def ping_due(self) -> None:
        """Send a ping."""
        channel, machine = self.channel, self._machine
        if channel is None or machine is None:
            return
        with channel.lock:
            if self.phase is OPEN:
                self._heard = False
                self._deadlines.expect_pong(self)
                self._put(machine.ping(b""))
                self._unsent = channel.unsent

    def pong_due(self) -> None:
        """End the connection if nothing has come from the client since the ping.

        A client that still takes what was sent before may get the ping late. One whose messages are
        not read, because the application takes none, cannot be heard.
        """
        channel = self.channel
        if channel is None:
            return
        with channel.lock:
            if self.phase is not OPEN:
                return
            unsent = channel.unsent
            if self._heard or (self._paused and not channel.full):
                self._deadlines.ping_later(self)
                return
            if unsent < self._unsent:
                self._unsent = unsent
                self._deadlines.expect_pong(self)
                return
            self._end(ABNORMAL, "The client has not answered a ping.")
            channel.cut()
        self._user_changed()

    def close_due(self) -> None:
        """End a connection whose client does not close it."""
        channel = self.channel
        if channel is not None:
            with channel.lock:
                if self.phase is CLOSING:
                    self._end(ABNORMAL, "")
                    channel.cut()
            self._user_changed()

    # --- with the lock of the channel, once it is open

    def _do(self, function: Callable[..., object], *arguments: Any) -> None:
        """Call a function with the lock, now or when the channel is open."""
        if self._early is not None:
            with _OPENING:
                if self._early is not None:
                    if function == self._accept:
                        self._open()
                    self._early.append((function, arguments))
                    return
        channel = self.channel
        assert channel is not None
        with channel.lock:
            function(*arguments)

    def _open(self) -> None:
        self._machine = WebSocketMachine(self._deadlines.limits.max_message, self._deflate)

    def _accept(self, fields: list[tuple[str, str]]) -> None:
        channel = self._opened()
        if self.phase is not CONNECTING:
            raise RuntimeError("The handshake is answered already.")
        channel.upgrade(self.handshake.status, fields)
        if self._machine is None:
            self._open()
        self.phase = OPEN
        self._extensions = None
        self.exchange.head.forget_fields()
        self._deadlines.ping_later(self)
        if self._stopped:
            self._close(GOING_AWAY, "")
        else:
            self._pump(channel)

    def _refuse(self, status: str, headers: list[tuple[str, str]], body: bytes) -> None:
        channel = self._opened()
        if self.phase is not CONNECTING:
            raise RuntimeError("The handshake is answered already.")
        try:
            channel.whole(status, headers, body)  # or the response cannot be sent like this
        except ChannelClosed:
            self._end(ABNORMAL, "")
            raise
        self._end(ABNORMAL, "")

    def _send(self, frame: bytes) -> None:
        if self.phase is not OPEN:
            raise ChannelClosed("The WebSocket is closed.")
        self._opened().send(frame)

    def _close(self, code: int | None, reason: str) -> None:
        machine = self._machine
        if self.phase is CONNECTING:
            self._refuse(FORBIDDEN, TEXT, b"403 Forbidden\n")
        elif self.phase is OPEN and machine is not None:
            frame = machine.close(code, reason)
            self.phase = CLOSING
            self.closed = Closed(1005 if code is None else code, reason, False)
            self._forget_messages()
            self._deadlines.expect_close(self)
            self._put(frame)
            if self.phase is CLOSING:
                self._pump(self._opened())

    def _fail(self, error: BaseException) -> None:
        channel = self._opened()
        if self.phase is CONNECTING:
            self.phase = DONE
            self.closed = Closed(ABNORMAL, "", False)
            channel.fail(error)
        elif self.phase is OPEN:
            log.error(
                "The application failed, and its WebSocket was closed with code %d: %s.",
                INTERNAL_ERROR,
                self.exchange.request_line(),
                exc_info=error,
            )
            self._close(INTERNAL_ERROR, "")
        elif not isinstance(error, ChannelClosed):
            log.warning(
                "The application failed after its WebSocket was closed: %s: %s: %s",
                self.exchange.request_line(),
                type(error).__name__,
                error,
            )

    def _pump(self, channel: Channel) -> None:
        """Read what the client has sent, as far as there is room for its messages."""
        machine = self._machine
        if machine is None:
            return
        limits = self._deadlines.limits
        try:
            more = True
            while more and (self.phase is OPEN or self.phase is CLOSING):
                room = limits.max_queue - len(self._queue)
                if self.phase is OPEN and (
                    room <= 0 or channel.full or self._queued >= MOST_QUEUED
                ):
                    self._paused = True
                    return
                self._paused = False
                data = b""
                if not machine.held:
                    data, more = channel.read()
                    if not data:
                        if not more:
                            self._end(ABNORMAL, "The client has gone.")
                            channel.finish()
                        return
                    self._heard = True
                events = machine.receive(data, room)
                # After bytes of the channel, `changed` announces the next ones.
                more = machine.held or not data
                self._take_events(events)
                responses = machine.to_send()
                if responses and not (channel.full and self.phase is CLOSING):
                    channel.send(responses)
                if machine.state is connection.CLOSED:
                    self.phase = DONE
                    self._deadlines.forget(self)
                    channel.finish()
        except ChannelClosed:
            self._end(ABNORMAL, "The client has gone.")

    def _take_events(self, events: list[connection.Event]) -> None:
        for event in events:
            if isinstance(event, str | bytes):
                if self.phase is OPEN:
                    self._queue.append(event)
                    self._queued += len(event)
            elif isinstance(event, Closed):
                if self.closed is None:
                    self.closed = event
                else:
                    self.closed.clean = event.clean

    def _has_room(self) -> bool:
        """Whether enough messages were taken for the next ones to be read."""
        half = self._deadlines.limits.max_queue // 2 or 1
        return len(self._queue) < half and self._queued < MOST_QUEUED

    def _end(self, code: int, reason: str) -> None:
        """The connection is over, without its closing handshake."""
        if self.phase is not DONE:
            self.phase = DONE
            self._deadlines.forget(self)
            if self.closed is None:
                self.closed = Closed(code, reason, False)

    def _put(self, frame: bytes) -> None:
        """Send a control frame."""
        try:
            self._opened().send(frame)
        except ChannelClosed:
            self._end(ABNORMAL, "The client has gone.")

    def _forget_messages(self) -> None:
        self._queue.clear()
        self._queued = 0

    def _opened(self) -> Channel:
        channel = self.channel
        if channel is None:
            raise RuntimeError("The channel of the WebSocket is not open.")
        return channel
