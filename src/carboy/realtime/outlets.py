"""The connections of holds: a stream or a WebSocket on Carboy's own server, or a queue."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from queue import SimpleQueue
from typing import TYPE_CHECKING

from carboy.realtime.encoded import Encoded
from carboy.realtime.event import KEEP_ALIVE, Event, encode
from carboy.realtime.held import Hold

if TYPE_CHECKING:
    from carboy.gateway.interface import Channel, WebSocket

# At a stop, this many clients a second are told to connect again, from FIRST_RETRY seconds on.
RETRIES = 1000
FIRST_RETRY = 0.2
QUEUED = 64  # messages in the queue of a server that iterates the response


def retry_at_stop(count: int) -> int:
    """Milliseconds after which a client connects again when its server stops.

    Random, so that `count` clients do not connect at one moment.
    """
    return int(1000 * (FIRST_RETRY + random.random() * count / RETRIES))


class StreamOutlet:
    """A text/event-stream without a thread: an Outlet and a Receiver of gateway.interface."""

    __slots__ = ("_channel", "_first", "_headers", "_hold", "_status")

    def __init__(
        self, hold: Hold, status: str, headers: list[tuple[str, str]], first: bytes
    ) -> None:
        self._hold = hold
        self._status = status
        self._headers = headers
        self._first = first
        self._channel: Channel
        hold.outlet = self

    # --- for the server

    def begin(self, channel: Channel) -> None:
        """Attach the channels."""
        self._channel = channel
        channel.head(self._status, self._headers)
        del self._status, self._headers
        self._hold.hub.note(self._hold)

    def changed(self) -> None:
        """The client has read, or has gone."""
        self._hold.hub.note(self._hold)

    def stopping(self) -> None:
        """The server stops: tell the client when to connect again, and end the stream."""
        retry = retry_at_stop(self._hold.hub.count)
        self._send(self._first + encode(Event(retry=retry), str))
        self.finish()

    # --- for the hub

    @property
    def open(self) -> bool:
        return self._channel.open

    @property
    def full(self) -> bool:
        return self._channel.full

    def start(self) -> None:
        first, self._first = self._first, b""
        if first:
            self._send(first)

    def send(self, encoded: Encoded) -> bool:
        channel = self._channel
        if channel.full:
            return False
        try:
            channel.send_chunk(encoded.event, encoded.chunk)
        except ConnectionError:
            self.changed()
        return True

    def keep_alive(self) -> None:
        if not self._channel.full:
            self._send(self._first or KEEP_ALIVE)
            self._first = b""

    def _send(self, piece: bytes) -> None:
        try:
            self._channel.send(piece)
        except ConnectionError:
            self.changed()

    def finish(self) -> None:
        try:
            self._channel.finish()
        except ConnectionError:
            pass
        self.changed()

    def cut(self) -> None:
        self._channel.cut()

    def take(self) -> str | bytes | None:
        return None


class WebSocketOutlet:
    """A WebSocket without a thread. Nothing is compressed, so all clients get the same frames."""

    __slots__ = ("_first", "_hold", "_socket")

    def __init__(self, hold: Hold, first: Sequence[bytes]) -> None:
        self._hold = hold
        self._first = first
        self._socket: WebSocket
        hold.outlet = self

    def accept(self, socket: WebSocket, headers: list[tuple[str, str]]) -> None:
        """Accept the handshake, with the header fields of the view's response."""
        self._socket = socket
        socket.accept(None, headers, compression=False)

    def changed(self) -> None:
        """The connection is ready, has a message, takes more, or has ended."""
        self._hold.hub.note(self._hold)

    @property
    def open(self) -> bool:
        return self._socket.closed is None

    @property
    def full(self) -> bool:
        return self._socket.full

    def start(self) -> None:
        first, self._first = self._first, ()
        for frame in first:
            self._send(frame)

    def send(self, encoded: Encoded) -> bool:
        if self._socket.full:
            return False
        self._send(encoded.frame)
        return True

    def _send(self, frame: bytes) -> None:
        try:
            self._socket.send_frame(frame)
        except ConnectionError:
            self.changed()

    def keep_alive(self) -> None:
        """The server sends pings."""

    def finish(self) -> None:
        self._socket.close()

    def cut(self) -> None:
        channel = self._socket.channel
        if channel is not None:
            channel.cut()

    def take(self) -> str | bytes | None:
        return self._socket.take()


class QueueOutlet:
    """The pieces of a stream for a server that iterates the response, which keeps a thread."""

    def __init__(self, hold: Hold, first: bytes) -> None:
        self._hold = hold
        self._queue: SimpleQueue[bytes | None] = SimpleQueue()
        self.open = True
        self._first = first
        hold.outlet = self
        hold.hub.note(hold)

    @property
    def full(self) -> bool:
        return self._queue.qsize() >= QUEUED

    def __iter__(self) -> Iterator[bytes]:
        try:
            while self.open or not self._queue.empty():
                # The housekeeper puts a keep-alive here, or None at the end, so this returns.
                piece = self._queue.get()
                if piece is None:
                    return
                yield piece
                if self._hold.kept is not None:
                    self._hold.hub.note(self._hold)
        finally:
            self.finish()

    def start(self) -> None:
        self._queue.put(self._first)

    def send(self, encoded: Encoded) -> bool:
        if self.full:
            return False
        self._queue.put(encoded.event)
        return True

    def keep_alive(self) -> None:
        if self._queue.empty():
            self._queue.put(KEEP_ALIVE)

    def finish(self) -> None:
        if self.open:
            self.open = False
            self._queue.put(None)
            self._hold.hub.note(self._hold)

    def cut(self) -> None:
        self.finish()

    def take(self) -> str | bytes | None:
        return None
