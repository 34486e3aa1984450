"""Which protocol the context of a server chooses."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from carboy.net.tls_alpn import chooses, offer
from certificates import Authority

AUTHORITY = Authority()
OFFERED = ("h2", "http/1.1")


@pytest.fixture
def context(tmp_path: Path) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(*AUTHORITY.sign("localhost").write(tmp_path))
    return made


def chosen(context: ssl.SSLContext, *protocols: str) -> str | None:
    """The protocol that a client with these gets."""
    client_context = AUTHORITY.client()
    client_context.set_alpn_protocols(list(protocols))
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(to_client, to_server, server_hostname="localhost")
    server = context.wrap_bio(to_server, to_client, server_side=True)
    for side in (client, server, client):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            pass
    return client.selected_alpn_protocol()


def test_a_context_without_protocols_gets_those_that_are_offered(context: ssl.SSLContext) -> None:
    offer(context, OFFERED)
    assert chosen(context, "http/1.1", "h2") == "h2"
    assert chosen(context, "http/1.1") == "http/1.1"
    assert chosen(context, "other") is None


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_context_keeps_the_protocols_of_its_maker(
    context: ssl.SSLContext, version: ssl.TLSVersion
) -> None:
    context.minimum_version = context.maximum_version = version
    assert not chooses(context)
    context.set_alpn_protocols(["http/1.1"])
    assert chooses(context)
    offer(context, OFFERED)
    assert chosen(context, "h2", "http/1.1") == "http/1.1"


def test_a_context_that_asks_for_certificates_can_be_looked_at(context: ssl.SSLContext) -> None:
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=AUTHORITY.pem)
    assert not chooses(context)
    context.set_alpn_protocols(["h2"])
    assert chooses(context)


def test_a_context_without_a_certificate_can_be_looked_at() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    offer(context, OFFERED)
    assert isinstance(chooses(context), bool)


def test_a_context_of_another_library_stays_as_it_is() -> None:
    class Other:
        def wrap_socket(self, sock: object) -> object:
            raise NotImplementedError

    other: ssl.SSLContext = Other()  # type: ignore[assignment]
    offer(other, OFFERED)
    assert vars(other) == {}
