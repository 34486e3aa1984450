"""The request's body and the response of an exchange that is answered later.

`Gateway.handle` has returned LATER, so no thread runs the request. The application uses the
channel from a thread of its own, such as that of an event loop, while the leader polls the
connection. Phase of the connection: LATER.

Which thread may touch what, while `open` is True:

    thread          with the lock                               without it
    the leader      all of the connection, its machine and      `receiver`; `begun`, `taken`, the
                    the channel                                 rates; what the poller watches
    any other       what reads kept bytes of the body, and      `open`, `gone` and `full`, to read
                    what sends the response
    any thread                                                  Connection.cut

Everything under the lock is a call of the machine or a system call that does not block, so the
leader may wait for the lock. Only the leader receives. Only the leader uses a TLS object: other
threads see a stream that takes nothing (`LeadersStream`), so their bytes are kept.

While several channels have work (`Channels.together`), other threads only append to the bytes that
the connection keeps, and the leader sends them in its next turn.

After `upgrade`, the machine passes bytes on as they are, so what another protocol sends and
receives is a body in both directions. No rule of the table changes.

Why each hand-over is safe:

    leader to application   The leader opens the channel in full and calls `Receiver.begin` last.
    application to leader   `finish`, `fail` and `cut` set `open` under the lock and append the
                            channel to `due`. From then on no method touches the connection,
                            because each looks at `open` under the lock first. So the leader has
                            it alone.
    to a continuation       `resume` does the same, and leaves the continuation with the exchange
                            before it sets `open`. The leader finds it and runs the exchange like
                            a request (server/dispatching.py).
    to another protocol     `upgrade` changes the machine and what is wanted of the connection under
                            the lock, and appends the channel to `due`. The leader, which alone
                            sets what the poller watches, then begins to receive.
    leader closes first     The same in the other direction: the leader sets `open` under the lock.
    is the leader woken?    `ask` appends to `due`, then wakes it; the leader clears its waker
                            first and looks at `due` after it. A channel that is in `due` already
                            (`asked`) is not appended again: the leader resets `asked` before it
                            takes the lock, so it sees what was done under the lock before.
                            `finish` need not wake a leader that has nothing to do but to wait for
                            the next request: it watches the connection for READ, finds under the
                            lock that the channel is closed, and looks at `due` then. While bytes
                            are gathered, `finish` wakes it. The poller's flags of the connection
                            change only under the lock, so `finish` sees the right ones.
"""

from __future__ import annotations

from _thread import RLock
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, BinaryIO

from carboy.gateway.interface import Answer, ChannelClosed, Receiver
from carboy.net.poller import READ
from carboy.net.stream import regular_file
from carboy.protocol.states import Reading, Writing
from carboy.server.connection import ClientGone
from carboy.server.exchange import Headers, ServerExchange
from carboy.server.failures import log_late
from carboy.server.responder import CLIENT_LEFT

if TYPE_CHECKING:
    from carboy.server.channels import Channels
    from carboy.server.minimum_rate import MinimumRate

NEXT_REQUEST = Reading.IDLE
CHUNKED = Writing.CHUNKED
# Bytes of a piece. The system call for a larger one takes longer than waking a thread.
MOST_GATHERED = 4096


class Channel:
    """A Channel of gateway.interface, over a connection. Made by the leader."""

    __slots__ = (
        "_channels",
        "_high_water",
        "_responder",
        "asked",
        "begun",
        "body_ended",
        "complete_at",
        "connection",
        "exchange",
        "full",
        "gone",
        "half_closed",
        "input_waits",
        "kept",
        "lock",
        "news",
        "open",
        "paused_at",
        "reading_rate",
        "received",
        "receiver",
        "resumes",
        "taken",
        "upgraded",
    )

    def __init__(self, exchange: ServerExchange, receiver: Receiver, channels: Channels) -> None:
        self.exchange = exchange
        self.connection = exchange.connection
        self.receiver = receiver
        self._channels = channels
        self._responder = channels.responder
        self._high_water = channels.high_water
        self.lock = RLock()  # the Responder takes it again, as `exchange.sending`
        self.open = True
        self.gone = False
        self.full = False
        self.asked = False  # the leader has been asked to look at the channel, and has not begun to
        self.news = False  # something has changed that the receiver was not told of
        # The application answers by a continuation, which runs even if the client has gone.
        self.resumes = getattr(receiver, "resumes", False)
        # the body
        self.kept = bytearray()  # received, and not read by the application yet
        self.body_ended = True
        self.received = 0  # bytes of the body
        self.complete_at = 0.0  # monotonic seconds: when all of it had come, if it came here
        self.upgraded = False  # the connection speaks another protocol; bytes of it are the body
        # only for the leader
        self.begun = False  # the receiver has the channel
        self.taken = False  # the channel is closed, and its connection has another phase
        self.input_waits = False  # the client has sent more than this request
        self.half_closed = False  # the client sends no more
        self.reading_rate: MinimumRate | None = None
        self.paused_at = 0.0  # monotonic seconds: since when nothing is received; 0.0: it is

    # --- for the application

    @property
    def unsent(self) -> int:
        """Number of bytes that the client has not taken yet."""
        return self.connection.unsent_bytes

    def read(self) -> tuple[bytes, bool]:
        """The bytes of the body that have come, and whether more follow."""
        with self.lock:
            self._check()
            data = bytes(self.kept)
            if data:
                self.kept.clear()
                if not self.body_ended and len(data) >= self._high_water:
                    self._channels.ask(self)  # it may receive again
            elif not (self.body_ended or self.upgraded):
                machine = self.connection.machine
                if machine.continue_needed:
                    self.connection.push(machine.send_continue())
                    self._after_sending()
            return data, not self.body_ended

    def whole(self, status: str, headers: Headers, body: bytes) -> None:
        """Send a complete response."""
        with self.lock:
            if not self.open:
                self._check()
            if self._channels.together:
                self._gather()
            self._responder.send_whole(self.exchange, status, headers, body)
            self._close()

    def file(self, status: str, headers: Headers, file: BinaryIO) -> None:
        """Send a complete response with the bytes of a regular file, from its start."""
        fd = regular_file(file)
        if fd is None:
            raise OSError(f"{file.name} is not a regular file.")
        with self.lock:
            self._check()
            self._responder.send_file(self.exchange, status, headers, fd)
            self._close()

    def head(self, status: str, headers: Headers) -> None:
        """Begin a response; its head leaves with the first piece."""
        with self.lock:
            self._check()
            self._responder.begin(self.exchange, status, headers)

    def send(self, piece: bytes) -> None:
        """Send a piece of the body."""
        with self.lock:
            if not self.open:
                self._check()
            if self._channels.together and len(piece) < MOST_GATHERED:
                self._gather()
            if self.upgraded:  # what `put` does then
                connection = self.connection
                connection.body_sent += len(piece)
                if not connection.push_other(piece):
                    self._after_sending()
                    self._check()
                return
            try:
                self._responder.put(self.exchange, piece)
            except ClientGone:
                self._noticed_gone()
                raise ChannelClosed("The client has gone.") from None
            self._after_sending()

    def send_chunk(self, piece: bytes, chunk: bytes) -> None:
        """Send a piece of the body that is framed already, as many other clients get it.

        A shorter way of `send`: the leader would have to look at each of thousands of channels, so
        it is not asked to send the bytes.
        """
        with self.lock:
            connection, exchange = self.connection, self.exchange
            framed = connection.machine.writing is CHUNKED and not exchange.unsent_head
            if self.open and (self.upgraded or (framed and exchange.encoder is None)):
                connection.body_sent += len(piece)
                push = connection.push_other if self.upgraded else connection.push
                if not push(chunk):
                    self._after_sending()
                    self._check()
            else:
                self.send(piece)

    def send_file(self, fd: int, offset: int, count: int) -> None:
        """Send `count` bytes of a regular file from `offset` as a piece of the body."""
        with self.lock:
            self._check()
            try:
                self._responder.put_file(self.exchange, fd, offset, count)
            except ClientGone:
                self.lose()
                self._channels.ask(self)
                raise ChannelClosed("The client has gone.") from None
            self._after_sending()

    def finish(self, trailers: Headers | None = None) -> None:
        """End the response, with fields after a chunked body if the client accepts them."""
        with self.lock:
            self._check()
            if self._channels.together:
                self._gather()
            self._responder.end_pieces(self.exchange, self.exchange.status, trailers)
            self._close()

    def interim(self, status: str, headers: Headers) -> None:
        """Send an interim response, such as 103."""
        with self.lock:
            self._check()
            self.connection.push(self.connection.machine.informational(status, headers))
            self._after_sending()

    def upgrade(self, status: str, headers: Headers) -> None:
        """Send the response 101 and switch the connection to another protocol."""
        with self.lock:
            self._check()
            self._responder.upgrade(self.exchange, status, headers)
            self.upgraded = True
            self._channels.release(self)
            self.body_ended = False
            self.input_waits = False  # what the client has sent after its request is received now
            self._after_sending()
            if self.open:
                self._channels.ask(self)

    def cut(self) -> None:
        """Close the connection at once; bytes that are kept are lost. Never raises."""
        with self.lock:
            if self.open:
                self._responder.abandon(self.connection)
                if not self.resumes:
                    self.lose()
                self._channels.ask(self)

    def resume(self, continuation: Callable[[Any], Answer]) -> None:
        """Have the engine call `continuation` with the exchange, and send its answer."""
        with self.lock:
            self._check()
            self.open = False
            guarded = self._channels.guarded
            self.exchange.continuation = continuation if guarded is None else guarded(continuation)
            self._channels.ask(self)

    def fail(self, error: BaseException) -> None:
        """Log `error`; answer 500, or cut a response that has begun. Never raises."""
        with self.lock:
            if self.open:
                self._responder.fail(self.exchange, error)
                self._close()
                return
        log_late(self.exchange, error, self.gone)

    # --- with the lock

    def give_up(self, status: str, headers: Headers, body: bytes) -> None:
        """Send a complete response instead of that of the application, which gets no other one."""
        self.connection.taken = True
        self._responder.send_whole(self.exchange, status, headers, body)
        self.gone = self.news = True
        if self.resumes:
            self.exchange.client_left = True
            self._channels.ask(self)
        else:
            self._close()
            self._channels.wake()

    def _check(self) -> None:
        if not self.open:
            raise ChannelClosed(
                "The client has gone." if self.gone else "The response is complete already."
            )

    def _gather(self) -> None:
        """Have the next bytes kept, and sent by the leader with those of other channels.

        Each system call lets another thread run. When several channels send at once, two threads
        with system calls would wake each other for each response.
        """
        connection = self.connection
        if connection.unsent is None and not connection.broken:
            connection.unsent = deque()

    def _after_sending(self) -> None:
        connection = self.connection
        if connection.unsent is not None:
            self.full = connection.unsent_bytes > self._high_water
            self._channels.ask(self)
        elif connection.broken:
            self._noticed_gone()

    def _noticed_gone(self) -> None:
        if self.resumes:
            self.gone = self.exchange.client_left = True
        else:
            self.lose()
        self._channels.ask(self)

    def lose(self) -> None:
        """The client has gone: close the channel."""
        self.open = False
        self.gone = True
        self.connection.give_up()
        if not self.connection.taken:  # otherwise there is a record
            self.record()
        self.news = True  # the leader, which has to look at the channel now, tells the receiver

    def tell(self) -> None:
        """Tell the receiver what has changed. For the leader, without the lock."""
        if self.news and self.begun and not self.taken:
            self.news = False
            self.receiver.changed()

    def record(self) -> None:
        """The response ends incomplete: hand the access log its record."""
        connection, exchange = self.connection, self.exchange
        size = connection.body_sent - connection.machine.excess if exchange.head_begun else 0
        self._responder.record(exchange, exchange.status or CLIENT_LEFT, size)

    def _close(self) -> None:
        """The response is complete: the connection is the leader's."""
        connection = self.connection
        self.open = False
        connection.unread = not self.body_ended
        self._channels.due.append(self)
        if (
            connection.interest != READ
            or connection.unsent is not None
            or connection.file is not None
            or connection.broken
            or connection.machine.reading is not NEXT_REQUEST
        ):
            self._channels.wake()


class LeadersStream:
    """The stream of a connection as threads other than the leader see it: it takes nothing."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def send(self, data: Any) -> int:
        raise BlockingIOError
