"""TLS: contexts for servers, and connections over non-blocking sockets.

`context_of` makes the context of `ssl_context=`, --cert and --key. A `TlsStream` is what the engine
reads and writes instead of the socket. The handshake happens inside the first receives, so that
the deadline of the request head applies to it, and a slow client does not delay the others.
net/certificates.py makes certificates for development.
"""

from __future__ import annotations

import socket
import ssl
from typing import Any

from carboy.net.certificates import generate_adhoc_ssl_context
from carboy.net.stream import WantsWrite

__all__ = ["is_ssl_error", "load_ssl_context"]

# Given to OpenSSL at a time. What it has begun to write must be offered again unchanged, so
# pieces are small enough for the progress of a slow reader to be seen.
PIECE = 64 * 1024


def load_ssl_context(
    cert_file: str, pkey_file: str | None = None, protocol: int | None = None
) -> ssl.SSLContext:
    """A server's context with a certificate chain and its key, from PEM files.

    Without `pkey_file` the key is in `cert_file`. Raises FileNotFoundError and ssl.SSLError.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if protocol is None else protocol)
    context.load_cert_chain(cert_file, pkey_file)
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


def is_ssl_error(error: Exception | None = None) -> bool:
    """Whether `error` is an ssl.SSLError."""
    return isinstance(error, ssl.SSLError)


class TlsStream:
    """One connection under TLS: a `net.stream.Stream` over an accepted socket.

    Errors of the handshake and of records are OSErrors, like those of a socket.
    """

    def __init__(self, sock: socket.socket, context: ssl.SSLContext) -> None:
        self.sock = context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        self._greeted = False  # the handshake is done
        self._certificate: bytes | None = None
        self._ended = False  # our side has said its last: what comes is only counted

    def fileno(self) -> int:
        """The descriptor; -1 once closed."""
        return self.sock.fileno()

    def recv(self, size: int) -> bytes:
        """Decrypted octets, none left behind where a poller would not see them; b"" at the end."""
        if self._ended:
            return socket.socket.recv(_beneath(self.sock), size)
        try:
            if not self._greeted:
                self.sock.do_handshake()
                self._greeted = True
                # Now, on the thread that alone uses the TLS state: others may ask for it later.
                self._certificate = self.sock.getpeercert(binary_form=True)
            data = self.sock.recv(size)
            while left := self.sock.pending():
                data += self.sock.recv(left)
            return data
        except ssl.SSLWantReadError:
            raise BlockingIOError from None
        except ssl.SSLWantWriteError:
            raise WantsWrite from None

    def send(self, data: Any) -> int:
        """Encrypt and send; gives how many octets of `data` the kernel has taken."""
        if not self._greeted:
            raise ConnectionError("There is no answer before the handshake.")
        view = memoryview(data)
        sent = 0
        try:
            while sent < len(view):
                sent += self.sock.send(view[sent : sent + PIECE])
        except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
            if not sent:
                raise BlockingIOError from None
        return sent

    def shutdown(self, how: int) -> None:
        """End our side, with TLS's word for it (close_notify, RFC 8446, section 6.1).

        SHUT_RDWR breaks off without a word: it comes from any thread, and only one may use
        the TLS state.
        """
        if how != socket.SHUT_RDWR:
            self._say_goodbye()
        self._ended = True
        _shutdown(self.sock, how)

    def leave(self) -> None:
        """Use the TLS state no more: a thread of the application may be using it still."""
        self._ended = True

    def _say_goodbye(self) -> None:
        if self._greeted and not self._ended:
            try:
                self.sock.unwrap()
            except (OSError, ValueError):
                pass  # nobody waits for the client's own word, nor for room to say ours

    def setsockopt(self, level: int, option: int, value: bytes) -> None:
        """As of a socket."""
        self.sock.setsockopt(level, option, value)

    def close(self) -> None:
        """Say goodbye and close."""
        self._say_goodbye()
        self.sock.close()

    def certificate(self) -> str | None:
        """The client's certificate in PEM, if the context asked for one and there is one."""
        encoded = self._certificate
        return None if encoded is None else ssl.DER_cert_to_PEM_cert(encoded)


def _shutdown(sock: ssl.SSLSocket, how: int) -> None:
    # Not SSLSocket's own, which forgets the TLS state under the thread that may be using it.
    socket.socket.shutdown(_beneath(sock), how)


def _beneath(sock: ssl.SSLSocket) -> socket.socket:
    return sock
