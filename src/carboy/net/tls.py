"""TLS: contexts for servers, and connections over non-blocking sockets.

`context_of` makes the context of `ssl_context=`, --cert and --key. The engine reads and
writes a `TlsStream` instead of the socket. The handshake happens inside the first receives, so that
the deadline of the request head applies to it, and a slow client does not delay the others.
net/certificates.py makes certificates for development.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from functools import partial
from typing import Any

from carboy.net import tls_counts
from carboy.net.certificate_error import CertificateError
from carboy.net.certificates import generate_adhoc_ssl_context
from carboy.net.stream import WantsWrite
from carboy.net.tls_facts import TlsFacts, client_variables, facts_of, note_certificate
from carboy.net.tls_files import Pair, read, read_password
from carboy.net.tls_plain import PEEKED, advice
from carboy.net.tls_state import PIECE, Phase, TlsState

__all__ = ["is_ssl_error", "load_ssl_context"]


def load_ssl_context(
    cert_file: str, pkey_file: str | None = None, protocol: int | None = None
) -> ssl.SSLContext:
    """A server's context with a certificate chain and its key, from PEM files.

    Without `pkey_file` the key is in `cert_file`. The variable CARBOY_KEY_PASSWORD has the password
    of an encrypted key; without it, OpenSSL asks on the terminal. Raises FileNotFoundError and
    ssl.SSLError.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if protocol is None else protocol)
    context.load_cert_chain(cert_file, pkey_file, read_password(None) or None)
    note_certificate(context, cert_file)
    return context


def context_of(given: Any) -> ssl.SSLContext | None:
    """The context for a value of `ssl_context=`: a context, (certificate, key), "adhoc" or None.

    Raises TypeError for other values.
    """
    if given is None or isinstance(given, ssl.SSLContext):
        return given
    if given == "adhoc":
        return generate_adhoc_ssl_context()
    if isinstance(given, tuple) and 1 <= len(given) <= 3:
        return load_ssl_context(*given)
    if hasattr(given, "wrap_socket"):
        return given  # type: ignore[no-any-return]  # a context of another library
    raise TypeError(
        "ssl_context must be an ssl.SSLContext, a tuple (certificate file, key file) or 'adhoc',"
        f" not {given!r}."
    )


def problem_of(given: Any, error: OSError) -> str:
    """The reason why the files of a certificate could not be loaded, and what to do."""
    try:
        read(Pair(*map(str, given[:2])), read_password(None))
    except CertificateError as problem:
        return str(problem)
    return f"The certificate cannot be loaded: {error}. Use files in PEM format."


def wrapper(context: ssl.SSLContext | None) -> Callable[[socket.socket], TlsStream] | None:
    """The function that makes a stream of an accepted socket; None without TLS."""
    return None if context is None else partial(TlsStream, context=context)


def is_ssl_error(error: Exception | None = None) -> bool:
    """Whether `error` is an ssl.SSLError."""
    return isinstance(error, ssl.SSLError)


NEW, HANDSHAKE, OPEN, ENDED, PLAIN = Phase


class PlainHttp(OSError):
    """A client sends plain HTTP to a port with TLS. `message` is for it."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class TlsStream(TlsState):
    """One connection under TLS: a `net.stream.Stream` over an accepted socket.

    Errors of the handshake and of records are OSErrors, like those of a socket.
    """

    def __init__(self, sock: socket.socket, context: ssl.SSLContext) -> None:
        self.sock = context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        self._phase = NEW
        # once the handshake is done
        self.facts: TlsFacts | None = None
        self.protocol: str | None = None  # chosen by ALPN (RFC 7301)

    def fileno(self) -> int:
        """The descriptor; -1 once closed."""
        return self.sock.fileno()

    def recv(self, size: int) -> bytes:
        """Decrypted bytes; b"" at the end.

        No bytes are left in OpenSSL, where a poller cannot see them. Raises PlainHttp.
        """
        if self._phase is not OPEN:
            if self._phase is ENDED or self._phase is PLAIN:
                return socket.socket.recv(_plain_socket(self.sock), size)
            self._shake_hands()
        try:
            data = self._read(size)
            while left := self._pending():
                data += self._read(left)
            return data
        except OSError as error:
            return self.not_read(error)

    def not_read(self, error: OSError) -> bytes:
        """The result of `recv`, returned or raised, if OpenSSL could not read."""
        if isinstance(error, ssl.SSLEOFError):
            return b""  # the client has closed without close_notify, as many do
        if isinstance(error, ssl.SSLWantReadError):
            raise BlockingIOError from None
        if isinstance(error, ssl.SSLWantWriteError):
            raise WantsWrite from None
        raise error

    def _shake_hands(self) -> None:
        if self._phase is NEW:
            self._look_at_first_bytes()
        try:
            self.sock.do_handshake()
        except ssl.SSLWantReadError:
            raise BlockingIOError from None
        except ssl.SSLWantWriteError:
            raise WantsWrite from None
        except OSError:
            tls_counts.failed()
            raise
        tls_counts.succeeded(self.sock.session_reused)
        # Read by the only thread that uses the TLS state. Others may ask for it later.
        self.facts = facts_of(self.sock)
        self.protocol = self.sock.selected_alpn_protocol()
        self._read, self._write, self._pending = _methods(self.sock)
        self._phase = OPEN

    def _look_at_first_bytes(self) -> None:
        """Raise PlainHttp if they are not TLS, which begins with a byte below 32."""
        plain = _plain_socket(self.sock)
        first = socket.socket.recv(plain, 1, socket.MSG_PEEK)
        if not first.isalpha():
            self._phase = HANDSHAKE
            return
        self._phase = PLAIN
        seen = socket.socket.recv(plain, PEEKED, socket.MSG_PEEK)
        raise PlainHttp(advice(seen, self.sock.getsockname()))

    def send(self, data: Any) -> int:
        """Encrypt and send; returns how many bytes of `data` the kernel has taken."""
        if self._phase is PLAIN:
            return socket.socket.send(_plain_socket(self.sock), data)
        if self._phase is NEW or self._phase is HANDSHAKE:
            raise ConnectionError("A response cannot be sent before the handshake.")
        sent = 0
        try:
            if 0 < len(data) <= PIECE:  # nearly every response
                return self._write(data)
            view = memoryview(data)
            while sent < len(view):
                sent += self._write(view[sent : sent + PIECE])
        except OSError as error:
            self.not_written(error, sent)
        return sent

    def not_written(self, error: OSError, sent: int = 0) -> None:
        """Raise the error of `send` if OpenSSL could not write after `sent` bytes."""
        if not isinstance(error, (ssl.SSLWantWriteError, ssl.SSLWantReadError)):
            raise error
        if not sent:
            raise BlockingIOError from None

    def shutdown(self, how: int) -> None:
        """End our side with a close_notify alert (RFC 8446, section 6.1).

        SHUT_RDWR ends it without one: any thread may call this, and only one thread may use the
        TLS state.
        """
        if how != socket.SHUT_RDWR:
            self._send_close_notify()
        self.leave()
        _shutdown(self.sock, how)

    def leave(self) -> None:
        """Stop using the TLS state: a thread of the application may still be using it."""
        if self._phase is not PLAIN:
            self._phase = ENDED

    def _send_close_notify(self) -> None:
        if self._phase is OPEN:
            try:
                self.sock.unwrap()
            except (OSError, ValueError):
                pass  # we wait neither for the client's alert nor for room to send ours

    def setsockopt(self, level: int, option: int, value: bytes) -> None:
        """As `socket.setsockopt`."""
        self.sock.setsockopt(level, option, value)

    def close(self) -> None:
        """Send close_notify and close."""
        self._send_close_notify()
        self.sock.close()

    def client_variables(self) -> dict[str, str]:
        """The client's certificate, for an environ."""
        return {} if self.facts is None else client_variables(self.facts)


def _shutdown(sock: ssl.SSLSocket, how: int) -> None:
    # Not SSLSocket's own method: it drops the TLS state that another thread may be using.
    socket.socket.shutdown(_plain_socket(sock), how)


def _methods(sock: Any) -> tuple[Callable[[int], bytes], Callable[[Any], int], Callable[[], int]]:
    """The methods that read, write and count what OpenSSL still has.

    Those of SSLSocket call the ones of `_sslobj`, after checks that cost as much as the record
    itself, and that this class makes (2 to 3 µs a request).
    """
    state = getattr(sock, "_sslobj", None)
    if state is None:  # a socket of another library
        return sock.recv, sock.send, sock.pending
    return state.read, state.write, state.pending


def _plain_socket(sock: ssl.SSLSocket) -> socket.socket:
    return sock
