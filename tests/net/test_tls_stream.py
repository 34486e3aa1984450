"""A TLS connection reads and writes as a socket does."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from carboy.net.certificates import generate_adhoc_ssl_context
from carboy.net.tls import TlsStream
from carboy.net.tls_state import PIECE
from certificates import unchecked


@contextmanager
def connected(context: ssl.SSLContext) -> Iterator[tuple[TlsStream, ssl.SSLSocket]]:
    """Both ends of a TLS connection in one thread, after the handshake."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    stream = TlsStream(ours, context)
    client = unchecked().wrap_socket(theirs, do_handshake_on_connect=False)
    done = False
    while not done or stream.facts is None:
        try:
            client.do_handshake()
            done = True
        except ssl.SSLWantReadError:
            pass
        with pytest.raises(BlockingIOError):
            stream.recv(10)
    client.settimeout(30)
    try:
        yield stream, client
    finally:
        stream.close()
        client.close()


@pytest.fixture
def context() -> ssl.SSLContext:
    return generate_adhoc_ssl_context()


def test_bytes_beyond_the_size_are_not_left_in_openssl(context: ssl.SSLContext) -> None:
    with connected(context) as (stream, client):
        client.sendall(b"x" * 5000)
        assert stream.recv(10) == b"x" * 5000


def test_a_record_that_is_not_complete_blocks(context: ssl.SSLContext) -> None:
    with connected(context) as (stream, _), pytest.raises(BlockingIOError):
        stream.recv(10)


@pytest.mark.parametrize("size", [0, 1, PIECE, PIECE + 1])
def test_what_the_kernel_takes_is_counted(context: ssl.SSLContext, size: int) -> None:
    with connected(context) as (stream, client):
        assert stream.send(b"x" * size) == size
        got = b""
        while len(got) < size:
            got += client.recv(65536)
        assert got == b"x" * size


def test_a_full_socket_blocks(context: ssl.SSLContext) -> None:
    with connected(context) as (stream, _), pytest.raises(BlockingIOError):
        while stream.send(b"x" * PIECE):
            pass


@pytest.mark.parametrize("ignored", [True, False])
def test_a_client_that_closes_without_an_alert_has_ended(
    context: ssl.SSLContext, ignored: bool
) -> None:
    if not ignored:
        context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
    with connected(context) as (stream, client):
        socket.socket.shutdown(client, socket.SHUT_WR)
        assert stream.recv(10) == b""
