"""The interfaces between a server and an application: of the application and of a request.

Types only: the framework column imports this room for type checking and for nothing else.

    engine ──Exchange──▶ Gateway.prepare   cheap: the dispatch key, the limit of the body
                         Gateway.handle    runs the application
           ◀──Answer───
           ◀──LATER────  the application answers through a channel:
           ──Channel──▶ Receiver.begin    any thread may use the channel from then on
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from contextlib import AbstractContextManager
from typing import Any, BinaryIO, Protocol, TypeGuard, runtime_checkable

from carboy.protocol.events import RequestHead

# A response to a server is a plain tuple, so that the framework needs no import to make one:
#   status   "200 OK"
#   headers  names and values as text; the wire refuses control characters in them
#   body     bytes: complete, its length is known; FileBody: sent by sendfile;
#            other iterable: one write a chunk, framed by Content-Length if `headers` has one
#   close    called exactly once, when the response is finished or given up
Answer = tuple[
    str,
    list[tuple[str, str]],
    "bytes | FileBody | Iterable[bytes]",
    Callable[[], object] | None,
]

# Instead of an answer: the application will answer through a channel. Compared by identity.
LATER: Answer = ("", [], (), None)
# Instead of an answer: `Exchange.answer` has sent it. Compared by identity.
ANSWERED: Answer = ("", [], (), None)


class ChannelClosed(ConnectionError):
    """The client has gone, or the response is complete: the channel has no further use."""


class Channel(Protocol):
    """The request's body and the response, for an application that answers later.

    No method blocks, and any thread may call them. All raise ChannelClosed once `open` is False.
    """

    open: bool  # False: the client has gone, or the response is complete
    gone: bool  # the client has gone, or broke a rule
    full: bool  # the application should wait for `Receiver.changed` before it sends more

    @property
    def lock(self) -> AbstractContextManager[Any]:
        """Taken by every method. A receiver may hold it around calls that belong together."""
        ...

    @property
    def unsent(self) -> int:
        """Number of bytes that the client has not taken yet."""
        ...

    def read(self) -> tuple[bytes, bool]:
        """The bytes of the body that have come, and whether more follow; b"" when none have."""
        ...

    def whole(self, status: str, headers: list[tuple[str, str]], body: bytes) -> None:
        """Send a complete response."""
        ...

    def file(self, status: str, headers: list[tuple[str, str]], file: BinaryIO) -> None:
        """Send a complete response with the bytes of a regular file, from its start.

        The file may be closed after this.
        """
        ...

    def interim(self, status: str, headers: list[tuple[str, str]]) -> None:
        """Send an interim response, such as 103."""
        ...

    def head(self, status: str, headers: list[tuple[str, str]]) -> None:
        """Begin a response; its head leaves with the first piece."""
        ...

    def send(self, piece: bytes) -> None:
        """Send a piece of the body."""
        ...

    def send_chunk(self, piece: bytes, chunk: bytes) -> None:
        """Send a piece of the body; `chunk` is the same piece as a chunk (RFC 9112, section 7.1).

        For a piece that many channels get, so that it is framed once for all of them.
        """
        ...

    def send_file(self, fd: int, offset: int, count: int) -> None:
        """Send `count` bytes of a regular file from `offset` as a piece of the body.

        The file may be closed after this.
        """
        ...

    def finish(self, trailers: list[tuple[str, str]] | None = None) -> None:
        """End the response, with fields after a chunked body if the client accepts them."""
        ...

    def upgrade(self, status: str, headers: list[tuple[str, str]]) -> None:
        """Send the response 101 and switch the connection to another protocol (RFC 9110, 7.8).

        Over HTTP/2, the response is 200, and the stream of the request carries the other protocol.

        From then on, `read` returns the bytes that the client sends (no more follow once the
        client has ended its side) and `send` sends bytes as they are. `finish` sends what is kept
        and closes the connection. Time limits no longer apply, except for that of a stop.
        """
        ...

    def cut(self) -> None:
        """Close the connection at once; bytes that are kept are lost. Never raises."""
        ...

    def resume(self, continuation: Callable[[Any], Answer]) -> None:
        """Have the server call `continuation` with the exchange, as it called `handle`.

        Only if the receiver's attribute `resumes` is true. The channel of such a receiver stays
        open when the client has gone, because the application has to end the request.
        """
        ...

    def fail(self, error: BaseException) -> None:
        """Log `error`; answer 500, or cut a response that has begun. Never raises."""
        ...


class Closing(Protocol):
    """How a WebSocket has ended (RFC 6455, section 7.1)."""

    code: int  # of the client's close frame, or of the server's; 1006: there was none
    reason: str
    clean: bool  # the client has sent a close frame


class WebSocket(Protocol):
    """A WebSocket, and the Receiver of the channel on which it runs.

    No method blocks, and any thread may call them, also before the channel is open. `changed`, the
    callback with which it was made, is called when the channel is open, when messages have come,
    when `full` or `closed` changes. The caller holds no lock, and `changed` returns at once.
    """

    @property
    def channel(self) -> Channel | None:
        """None: not open yet."""
        ...

    @property
    def closed(self) -> Closing | None:
        """How the WebSocket has ended: nothing can be sent. None: it has not."""
        ...

    @property
    def subprotocols(self) -> tuple[str, ...]:
        """The subprotocols that the client offers, the best first."""
        ...

    @property
    def origin(self) -> str | None:
        """The Origin of the handshake: the site whose page opens the WebSocket."""
        ...

    @property
    def accepted(self) -> bool:
        """Whether the handshake was accepted."""
        ...

    @property
    def full(self) -> bool:
        """Whether the application should wait for `changed` before it sends more."""
        ...

    def accept(
        self,
        subprotocol: str | None = None,
        headers: Iterable[tuple[str, str]] = (),
        compression: bool = True,
    ) -> None:
        """Accept the handshake; without `compression`, decline the client's permessage-deflate.

        Raises ValueError for a subprotocol that the client has not offered, and for headers that
        the handshake sets itself.
        """
        ...

    def refuse(self, status: str, headers: list[tuple[str, str]], body: bytes) -> None:
        """Answer the handshake with an ordinary response."""
        ...

    def take(self) -> str | bytes | None:
        """The next message; None: no message is there. After `closed` is set, the last ones."""
        ...

    def send_frame(self, frame: bytes) -> None:
        """Send a frame that is encoded already. Raises ChannelClosed if it is not open."""
        ...

    def send(self, message: str | bytes) -> None:
        """Send a message. Raises ChannelClosed if the WebSocket is not open."""
        ...

    def close(self, code: int | None = 1000, reason: str = "") -> None:
        """Close the WebSocket, or refuse it with 403 if it was not accepted.

        Messages that were not taken are lost. Without effect if it is closed. Raises ValueError
        for a code that may not be sent, and for a reason of more than 123 bytes.
        """
        ...

    def fail(self, error: BaseException) -> None:
        """Log an error of the application; answer 500, or close with 1011. Never raises."""
        ...

    # --- a Receiver

    def begin(self, channel: Channel) -> None: ...

    def changed(self) -> None: ...

    def stopping(self) -> None: ...


class Receiver(Protocol):
    """The object that uses a channel. Called by the server, so each method returns at once."""

    def begin(self, channel: Channel) -> None:
        """The channel is open."""
        ...

    def changed(self) -> None:
        """Bytes of the body have come, or kept bytes have left, or the client has gone.

        Called by the leader, which holds no lock then.
        """
        ...

    def stopping(self) -> None:
        """The server stops: end a response or a connection that has no end of its own.

        Called once at most, by the leader, when a graceful stop begins, or after `begin` if it has
        begun before. A receiver may lack this method.
        """
        ...


class FileBody(Protocol):
    """A body the kernel can send: `count` bytes of `file`, or all to its end, from `offset`.

    Iterating it gives the same bytes, for transports without sendfile.
    """

    file: BinaryIO
    offset: int
    count: int | None

    def __iter__(self) -> Any: ...


def is_file_body(body: Any) -> TypeGuard[FileBody]:
    """Whether a body has the attributes of a FileBody.

    isinstance() would find the same, and takes as long as all the rest of a response.
    """
    return hasattr(body, "file") and hasattr(body, "offset") and hasattr(body, "count")


@runtime_checkable
class LaterBody(Protocol):
    """The body of a response that is sent through a channel, by an application of any interface.

    A server that cannot do this iterates it.
    """

    def answer_later(self, exchange: Any, status: str, headers: list[tuple[str, str]]) -> Answer:
        """Call `exchange.later` and return LATER. Called instead of `__iter__` and `close`."""
        ...

    def __iter__(self) -> Any: ...


class Exchange(Protocol):
    """One request on its way through an application.

    An exchange with a method `websocket` may also have `websocket_limits` (threads for the code of
    handlers, and threads that may wait for their client), and the methods `websocket_began` and
    `websocket_ended`, between which a stop waits for a handler.

    An exchange may also have a method `when_sent`: it calls a function, which must not block, when
    the response has been sent, or its connection has ended.

    An exchange may also have a method `has_left`: whether the client has gone. Only the thread
    that runs the request calls it. `tls` gives the TlsFacts of the connection, None without TLS.
    `later` takes a Receiver and returns LATER, for `handle` to return. `websocket` takes a
    callback and returns a WebSocket, for `later`; or None if the request asks for no WebSocket; or
    the answer to a handshake that breaks a rule.
    """

    head: RequestHead  # its path is the one below `root_path`, for WSGI and for a Carboy app
    root_path: str  # the prefix that the application is mounted at, decoded; "" without one
    body: BinaryIO | None  # the whole content at its start, or the unread stream; None: empty
    body_size: int | None  # bytes in `body`; None: an unread chunked stream
    match: Any  # what Gateway.prepare found, for Gateway.handle
    in_pieces: bool  # set by the gateway: the application has returned, its response is iterated
    may_answer_later: bool  # whether there is a method `later`, and it may be used

    @property
    def scheme(self) -> str:
        """ "http" or "https"."""
        ...

    @property
    def peer(self) -> tuple[str, int] | None:
        """Address and port of the client; None on a unix socket."""
        ...

    @property
    def server(self) -> tuple[str, int | None]:
        """Own name and port; (path, None) on a unix socket."""
        ...

    def environ(self) -> dict[str, Any]:
        """The request as a PEP 3333 environ; made by the first call, the same one after that."""
        ...

    def start(self, status: str, headers: list[tuple[str, str]]) -> Callable[[bytes], object]:
        """Send a head and return `write`, as PEP 3333 asks for.

        `write` returns when the connection has taken the chunk; it blocks above the high-water
        mark. After that, `handle` returns a body with the remaining chunks.
        """
        ...


class Gateway(Protocol):
    """An application behind one calling convention.

    A gateway may also have a method `turn`, called before the requests of a turn of the leader.
    It checks for changes in the application that need not be checked at every request, and may
    choose another `handle`.

    A gateway may have a method `answers_later`: whether it answers this request later, and reads
    the content through the channel. It may have methods `start`, called before the first request,
    and `stop`, called with a number of seconds after the last one; `start` may raise StartFailed.
    `websocket_support` says whether WebSockets need a socket of their own (websocket_support.py).
    If its attribute `path_has_prefix` is true, the heads of a mounted application have whole paths.
    """

    def prepare(self, exchange: Exchange) -> Hashable:
        """The dispatch key whose handler time is learned. Quick; never runs application code."""
        ...

    def body_limit(self, exchange: Exchange) -> int | None:
        """The largest content of this request, in bytes; None: the server's own limit."""
        ...

    def wants_stream(self, exchange: Exchange) -> bool:
        """Whether the application reads the content itself, unreceived."""
        ...

    def handle(self, exchange: Exchange) -> Answer:
        """Run the application. The engine logs any exception and answers 500."""
        ...


class StartFailed(Exception):
    """The application cannot be served; the text is complete and for the user."""


@runtime_checkable
class DirectApplication(Protocol):
    """An application that takes an exchange as it is, without an environ (a Carboy app).

    `direct_ready` is False while something wraps the WSGI entry point, because the wrapper needs
    an environ: the app is then served through the WSGI gateway. It is called before the requests
    of each turn.
    """

    def direct_ready(self) -> bool: ...

    def direct_prepare(self, exchange: Exchange) -> Hashable: ...

    def direct_body_limit(self, exchange: Exchange) -> int | None: ...

    def direct_wants_stream(self, exchange: Exchange) -> bool: ...

    def direct_handle(self, exchange: Exchange) -> Answer: ...
