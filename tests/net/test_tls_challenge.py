"""The ClientHello of a challenge: parsed, awaited and answered."""

from __future__ import annotations

import os
import select
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carboy.acme.challenges import answer
from carboy.acme.jws import Signer, new_key
from carboy.acme.problems import TLS_ALPN_01
from carboy.net.tls_challenge import (
    PROTOCOL,
    ChallengeAnswered,
    ChallengeStream,
    Hello,
    read_hello,
    size_of,
)
from certificates import Authority, unchecked
from running import PATIENCE

AUTHORITY = Authority()


class Peer:
    """A client in memory: `hello` are its first bytes."""

    def __init__(self, name: str, *protocols: str) -> None:
        context = unchecked()
        if protocols:
            context.set_alpn_protocols(list(protocols))
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname=name)
        with pytest.raises(ssl.SSLWantReadError):
            self.tls.do_handshake()
        self.hello = self.outgoing.read()

    def finish(self, sock: socket.socket, stream: ChallengeStream) -> None:
        """Complete the handshake, in which `stream` is the server."""
        sock.sendall(self.hello)
        while True:
            assert readable(stream, PATIENCE)
            try:
                stream.recv(100)
            except BlockingIOError:
                pass
            self.incoming.write(sock.recv(65536))
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                continue
            sock.sendall(self.outgoing.read())
            return


HELLO = Peer("shop.example", PROTOCOL).hello


def test_the_hello_of_a_real_client_is_read() -> None:
    hello = Peer("Shop.Example", PROTOCOL).hello
    assert read_hello(hello) == Hello("shop.example", (PROTOCOL,))
    assert size_of(hello) == len(hello)
    assert read_hello(Peer("a.example", "h2", "http/1.1").hello) == Hello(
        "a.example", ("h2", "http/1.1")
    )
    assert read_hello(Peer("a.example").hello) == Hello("a.example", ())


@given(st.integers(0, 2000))
def test_a_part_of_a_hello_is_not_a_hello(size: int) -> None:
    hello = HELLO
    part = hello[: min(size, len(hello) - 1)]
    assert read_hello(part) is None
    assert size_of(part) > len(part)


@given(st.binary(max_size=200), st.booleans())
def test_other_bytes_raise_nothing(data: bytes, alike: bool) -> None:
    read_hello(b"\x16\x03\x01\x00\xff\x01" + data if alike else data)
    assert 0 <= size_of(data) <= 5 + 16 * 1024


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    file = tmp_path / "challenge.pem"
    file.write_bytes(answer("shop.example", TLS_ALPN_01, "token", Signer(new_key())).data)
    return file


@pytest.fixture
def pair(tmp_path: Path) -> tuple[socket.socket, socket.socket, ssl.SSLContext]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*AUTHORITY.sign("shop.example").write(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname(), PATIENCE)
        server, _ = listener.accept()
    server.setblocking(False)
    return client, server, context


@pytest.fixture
def begun(
    pair: tuple[socket.socket, socket.socket, ssl.SSLContext], certificate: Path
) -> Iterator[tuple[socket.socket, ChallengeStream]]:
    """A client, and the stream of a server that has a challenge for shop.example."""
    client, server, context = pair
    stream = ChallengeStream(server, context, {"shop.example": certificate}.get)
    yield client, stream
    stream.close()
    client.close()


def readable(sock: ChallengeStream, timeout: float) -> bool:
    return bool(select.select([sock], [], [], timeout)[0])


def test_a_challenge_gets_its_certificate_and_nothing_else(
    begun: tuple[socket.socket, ChallengeStream], certificate: Path
) -> None:
    client, stream = begun
    peer = Peer("shop.example", PROTOCOL)
    peer.finish(client, stream)
    assert peer.tls.selected_alpn_protocol() == PROTOCOL
    assert not os.get_blocking(stream.fileno())  # it would stop the thread that reads requests
    der = peer.tls.getpeercert(binary_form=True)
    assert der == ssl.PEM_cert_to_DER_cert(
        "-----BEGIN CERT" + certificate.read_text().partition("-----BEGIN CERT")[2]
    )
    assert readable(stream, PATIENCE)
    with pytest.raises(ChallengeAnswered):
        stream.recv(100)


@pytest.mark.parametrize("protocols", [(), ("http/1.1",), (PROTOCOL, "http/1.1")])
def test_other_clients_of_the_name_get_the_usual_certificate(
    pair: tuple[socket.socket, socket.socket, ssl.SSLContext],
    certificate: Path,
    protocols: tuple[str, ...],
) -> None:
    client, server, context = pair
    stream = ChallengeStream(server, context, lambda name: certificate)
    peer = Peer("shop.example", *protocols)
    peer.finish(client, stream)
    der = peer.tls.getpeercert(binary_form=True)
    assert der is not None
    assert AUTHORITY.x509.subject.rfc4514_string().encode()[3:] in der
    stream.close()
    client.close()


def test_a_hello_in_pieces_is_awaited_without_using_the_processor(
    begun: tuple[socket.socket, ChallengeStream],
) -> None:
    client, stream = begun
    peer = Peer("shop.example", PROTOCOL)
    for piece in (peer.hello[:3], peer.hello[3:100]):
        client.sendall(piece)
        assert readable(stream, PATIENCE)
        with pytest.raises(BlockingIOError):
            stream.recv(100)
        assert not readable(stream, 0)
    peer.hello = peer.hello[100:]
    peer.finish(client, stream)
    assert peer.tls.selected_alpn_protocol() == PROTOCOL


def test_a_client_that_leaves_within_its_hello_is_noticed(
    begun: tuple[socket.socket, ChallengeStream],
) -> None:
    client, stream = begun
    client.sendall(Peer("shop.example", PROTOCOL).hello[:100])
    assert readable(stream, PATIENCE)
    with pytest.raises(BlockingIOError):
        stream.recv(100)
    client.close()
    assert readable(stream, PATIENCE)
    with pytest.raises(OSError) as raised:
        stream.recv(100)
    assert not isinstance(raised.value, BlockingIOError)
