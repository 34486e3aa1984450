"""TLS streams that answer the challenge tls-alpn-01 of certificate authorities (RFC 8737).

A client that offers only the protocol acme-tls/1 gets the certificate of the challenge for the name
that it asks for. The module `ssl` shows a server the protocols of a client only after it has chosen
the certificate. So the ClientHello is looked at before OpenSSL reads it. If it is not complete,
SO_RCVLOWAT keeps the poller from reporting the socket until it is.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from carboy.net.tls import NEW, TlsStream

PROTOCOL = "acme-tls/1"
HANDSHAKE, CLIENT_HELLO = 22, 1  # RFC 8446, sections 5.1 and 4
HEADER = 5  # bytes before a record
LARGEST = HEADER + 16 * 1024
SERVER_NAME, ALPN = 0, 16  # types of extensions

FindChallenge = Callable[[str], Path | None]  # the certificate's file for a name


class ChallengeAnswered(ConnectionError):
    """The handshake with the authority is done, and nothing else follows on this connection."""


@dataclass(frozen=True, slots=True)
class Hello:
    """The name and the protocols that a client asks for."""

    name: str
    protocols: tuple[str, ...]


class ChallengeStream(TlsStream):
    """A TlsStream that may answer a challenge instead."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext, find: FindChallenge) -> None:
        super().__init__(sock, context)
        self._find = find
        self._awaited = 0  # bytes of the ClientHello for which the poller waits
        self._challenged = False

    def _look_at_first_bytes(self) -> None:
        super()._look_at_first_bytes()
        seen = socket.socket.recv(self.sock, LARGEST, socket.MSG_PEEK)
        missing = size_of(seen)
        if len(seen) < missing and self._awaited < missing and self._wait_for(missing):
            self._phase = NEW
            raise BlockingIOError
        if self._awaited:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
        found = read_hello(seen)
        if found is not None and found.protocols == (PROTOCOL,):
            self._answer(found.name)

    def _wait_for(self, size: int) -> bool:
        """Whether the poller waits until `size` bytes have arrived, or the client has ended."""
        try:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, size)
        except OSError:  # not on this system
            return False
        self._awaited = size
        return True

    def _answer(self, name: str) -> None:
        file = self._find(name)
        if file is None:
            return
        try:
            context = challenge_context(file)
        except OSError:  # withdrawn just now
            return
        # A new object: the old one may ask clients for a certificate (--client-ca).
        plain = socket.socket(fileno=self.sock.detach())
        plain.setblocking(False)
        self.sock = context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
        self._challenged = True

    def _shake_hands(self) -> None:
        super()._shake_hands()
        if self._challenged:
            raise ChallengeAnswered("A challenge has been answered.")


def challenge_context(file: Path) -> ssl.SSLContext:
    """The context for a challenge. Raises OSError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    context.set_alpn_protocols([PROTOCOL])
    return context


def size_of(seen: bytes) -> int:
    """Bytes of the first record, or those that are needed to know; 0 if it cannot be a hello."""
    if len(seen) < HEADER:
        return HEADER
    size = HEADER + int.from_bytes(seen[3:5])
    return size if seen[0] == HANDSHAKE and size <= LARGEST else 0


def read_hello(data: bytes) -> Hello | None:
    """The name and the protocols of a complete ClientHello in one record; None for other bytes."""
    try:
        if data[0] != HANDSHAKE or data[HEADER] != CLIENT_HELLO:
            return None
        body = _vector(data, HEADER + 1, 3)
        at = 2 + 32  # version and random
        for width in (1, 2, 1):  # session, ciphers, compressions
            at += width + len(_vector(body, at, width))
        extensions = _vector(body, at, 2)
        return _of_extensions(extensions)
    except (IndexError, UnicodeDecodeError):
        return None


def _of_extensions(data: bytes) -> Hello:
    name, protocols = "", []
    at = 0
    while at < len(data):
        kind = int.from_bytes(data[at : at + 2])
        value = _vector(data, at + 2, 2)
        at += 4 + len(value)
        if kind == SERVER_NAME and not name:
            entries = _vector(value, 0, 2)
            name = _vector(entries, 1, 2).decode("ascii").lower()
        elif kind == ALPN:
            entries = _vector(value, 0, 2)
            while entries:
                protocols.append(_vector(entries, 0, 1).decode("ascii", "replace"))
                entries = entries[1 + len(protocols[-1]) :]
    return Hello(name, tuple(protocols))


def _vector(data: bytes, at: int, width: int) -> bytes:
    """Bytes after their number, which has `width` bytes (RFC 8446, section 3.4)."""
    if at + width > len(data):
        raise IndexError
    size = int.from_bytes(data[at : at + width])
    found = data[at + width : at + width + size]
    if len(found) < size:
        raise IndexError
    return found
