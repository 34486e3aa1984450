"""A connection's socket for the application: `werkzeug.socket` of an environ.

WebSocket libraries for WSGI take it over and speak another protocol on it. The engine owns the
socket until the first use that reads, sends or changes its mode. From then on the application owns
it, for as long as the request runs:

    the engine      does not touch it: it never reads from a connection whose request runs
    bytes received  by the engine after the head are the first that `recv` returns
    an upgrade      (the request has an Upgrade field) needs no response from the server: the
                    connection is closed when the application returns or raises. Its thread is not
                    one of the crew's (server/streams.py): at most `websocket_threads` are, and
                    further handshakes get 503
    other requests  are answered as usual afterwards, on a connection that is then closed
"""

from __future__ import annotations

import errno
import logging
from typing import TYPE_CHECKING, Any

from carboy.server.connection import NOTHING

if TYPE_CHECKING:
    from carboy.server.exchange import ServerExchange

log = logging.getLogger("carboy.error")

# Methods that read, send, or change the behaviour of the descriptor.
READING = ("read", "recv", "recv_into", "recvfrom", "recvfrom_into", "recvmsg", "recvmsg_into")
SENDING = ("send", "sendall", "sendfile", "sendmsg", "sendto", "shutdown", "unwrap", "write")
CHANGING = ("detach", "dup", "makefile", "setblocking", "settimeout")
TAKING = frozenset((*READING, *SENDING, *CHANGING))
SWITCHED = "101 Switching Protocols"
UNAVAILABLE = "503 Service Unavailable"
UNAVAILABLE_TEXT = b"503 Service Unavailable: too many WebSockets are open; try again later.\n"
TEXT = [("Content-Type", "text/plain; charset=utf-8")]
TRY_LATER = [*TEXT, ("Retry-After", "5")]
NOT_HERE = "501 Not Implemented"
NOT_HERE_TEXT = b"501 Not Implemented: this WebSocket is not served over HTTP/2; use HTTP/1.1.\n"
NO_SOCKET = (
    "A WebSocket over HTTP/2 has no socket of its own, and the client got 501. Use"
    " --no-http2-websocket, so that browsers open WebSockets over HTTP/1.1."
)


class RawSocket:
    """The socket as the application sees it. The application takes it over by using it.

    It blocks, as that of Werkzeug's server does. The server closes it.
    """

    # One is made for every environ and few are used: a slot costs less than a dict of attributes.
    __slots__ = ("__weakref__", "_closed", "_exchange", "_rest")

    def __init__(self, exchange: ServerExchange) -> None:
        self._exchange = exchange
        self._rest = b""
        self._closed = False

    @property
    def _sock(self) -> Any:
        return _socket_of(self._exchange)

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return type(self._sock)

    def __repr__(self) -> str:
        return repr(self._sock)

    def __enter__(self) -> RawSocket:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __getattr__(self, name: str) -> Any:
        if name in TAKING:
            self._take()
        return getattr(self._sock, name)

    def _take(self) -> None:
        exchange = self._exchange
        if self._closed or exchange.cached_environ is None:
            raise OSError(
                errno.EBADF, "The request has ended. Its connection belongs to the server."
            )
        if exchange.socket_taken:
            return
        with exchange.connection.taking or NOTHING:
            if exchange.connection.taken:
                raise OSError(errno.EBADF, "The request is over its time limit.")
            self._take_from(exchange)

    def _take_from(self, exchange: ServerExchange) -> None:
        if exchange.head.upgrade and not exchange.connection.own_socket:
            log.warning(NO_SOCKET)
            refuse(exchange, NOT_HERE, TEXT, NOT_HERE_TEXT)
            raise ConnectionAbortedError(errno.ECONNABORTED, NO_SOCKET)
        if exchange.head.upgrade and not exchange.responder.sockets.take():
            refuse(exchange, UNAVAILABLE, TRY_LATER, UNAVAILABLE_TEXT)
            raise ConnectionAbortedError(
                errno.ECONNABORTED,
                "All WebSocket threads are in use, and the client got 503. Use --websocket-threads"
                " for more.",
            )
        exchange.socket_taken = True
        machine = exchange.connection.machine
        self._rest = machine.hand_over(for_good=exchange.head.upgrade)
        self._sock.setblocking(True)

    # --- what differs from the socket itself

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Bytes that the server has received already, then those of the socket."""
        self._take()
        if self._rest:
            data, self._rest = self._rest[:size], self._rest[size:]
            return data
        return self._sock.recv(size, flags)  # type: ignore[no-any-return]

    def recv_into(self, buffer: Any, size: int = 0, flags: int = 0) -> int:
        """As `recv`, into a buffer."""
        self._take()
        if not self._rest:
            return self._sock.recv_into(buffer, size, flags)  # type: ignore[no-any-return]
        view = memoryview(buffer).cast("B")
        data = self.recv(min(size or len(view), len(view)))
        view[: len(data)] = data
        return len(data)

    def fileno(self) -> int:
        """The descriptor; -1 once closed."""
        return -1 if self._closed else self._exchange.connection.fd

    def gettimeout(self) -> float | None:
        """None, as it blocks, unless the application has set another."""
        return self._sock.gettimeout() if self._exchange.socket_taken else None

    def getblocking(self) -> bool:
        """True, unless the application has set it otherwise."""
        return bool(self._sock.getblocking()) if self._exchange.socket_taken else True

    @property
    def timeout(self) -> float | None:
        """As `gettimeout`."""
        return self.gettimeout()

    def close(self) -> None:
        """Stop using the socket. The server closes it when the request has ended."""
        self._closed = True


def has_switched_protocol(exchange: Any) -> bool:
    """Whether the application speaks another protocol on the connection: no response is sent."""
    return bool(getattr(exchange, "socket_taken", False) and exchange.head.upgrade)


def refuse(
    exchange: ServerExchange, status: str, headers: list[tuple[str, str]], text: bytes
) -> None:
    """Answer a handshake: the application may not have the socket."""
    exchange.connection.machine.close_after_response()
    if status == UNAVAILABLE:
        exchange.refusal = "websocket_threads"
    exchange.responder.send_whole(exchange, status, headers, text)
    exchange.socket_taken = exchange.socket_refused = True


def close_after_use(exchange: ServerExchange) -> None:
    """Have the engine close the connection: the application has returned."""
    connection = exchange.connection
    leave = getattr(connection.sock, "leave", None)
    if leave is not None:
        leave()
    try:
        _socket_of(exchange).setblocking(False)
    except OSError:
        connection.broken = True
    connection.unread = True


def _socket_of(exchange: ServerExchange) -> Any:
    stream = exchange.connection.sock
    return getattr(stream, "sock", stream)  # an ssl.SSLSocket under TLS
