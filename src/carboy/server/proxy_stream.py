"""Connections that begin with a header of the PROXY protocol (--proxy-protocol).

A trusted proxy sends the header before the bytes of the client, and before TLS. The connection's
socket is a `ProxyStream` until then; the stream puts the socket, or the TLS stream, in its own
place when the header has come. So later requests cost nothing. The time limit of the first request
head includes the header. Only for the leader.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from carboy.net.stream import Stream
from carboy.protocol.proxy_protocol import LONGEST, ProxyError, ProxyHeader, ProxyReader
from carboy.server.forwarding_log import Peer, is_logged, named
from carboy.server.trust import Trust
from carboy.server.trusted_proxies import TrustedProxies

if TYPE_CHECKING:
    from carboy.server.connection import Connection

log = logging.getLogger("carboy.error")

Wrap = Callable[[socket.socket], Stream]


class ProxyProtocol:
    """Which connections begin with a header, and how many headers were wrong."""

    def __init__(self, trust: Trust) -> None:
        self._proxies = TrustedProxies(trust.trusted_proxies)
        self._refused = 0

    def expects_header(self, peer: Peer) -> bool:
        """Whether a connection begins with a header; the others are served without one."""
        return self._proxies.peer(peer)

    def stream(self, sock: socket.socket, wrap: Wrap | None) -> ProxyStream:
        """The socket of a connection that begins with a header. `wrap` begins TLS after it."""
        return ProxyStream(sock, self, wrap)

    def connect(self, sock: Stream, connection: Connection) -> None:
        """Give a socket that waits for a header the connection that it belongs to."""
        if isinstance(sock, ProxyStream):
            sock.connection = connection

    def refused(self, peer: Peer, problem: ProxyError) -> None:
        """Count a header that broke a rule; some are logged (`is_logged`)."""
        self._refused += 1
        if is_logged(self._refused):
            log.warning(
                "A connection of the proxy %s was closed (%d so far). %s Have the proxy send the"
                " PROXY protocol, or leave out --proxy-protocol.",
                named(peer),
                self._refused,
                problem,
            )


class ProxyStream:
    """The socket of a connection until its header is complete."""

    connection: Connection  # set by the leader before it reads

    def __init__(self, sock: socket.socket, rules: ProxyProtocol, wrap: Wrap | None) -> None:
        self._sock = sock
        self._rules = rules
        self._wrap = wrap
        self._reader = ProxyReader()
        self.shutdown = sock.shutdown
        self.setsockopt = sock.setsockopt
        self.close = sock.close

    def fileno(self) -> int:
        """The descriptor; -1 once closed."""
        return self._sock.fileno()

    def send(self, data: Any) -> int:
        """Nothing is sent before the header has come: a response without a request."""
        raise ConnectionAbortedError

    def recv(self, size: int) -> bytes:
        """The first bytes of the client; b"" at the end. Raises OSError for a wrong header."""
        waiting = self._sock.recv(LONGEST, socket.MSG_PEEK)
        if not waiting:
            return waiting
        try:
            used = self._reader.take(waiting)
        except ProxyError as problem:
            self._rules.refused(self.connection.peer, problem)
            raise ConnectionAbortedError from None
        while used > 0:  # what follows stays in the socket, for TLS
            used -= len(self._sock.recv(used))
        if self._reader.header is None:
            raise BlockingIOError
        return self._begin(self._reader.header).recv(size)

    def _begin(self, header: ProxyHeader) -> Stream:
        connection = self.connection
        if header.source is not None and header.destination is not None:
            connection.peer = header.source
            connection.server = header.destination
        if header.tls is not None and header.tls.used:
            connection.scheme = "https"
        connection.proxied = header
        stream = self._sock if self._wrap is None else self._wrap(self._sock)
        connection.sock = stream
        return stream
