"""The facts about a TLS connection: names in their notation, and certificates of clients."""

from __future__ import annotations

import datetime
import socket
import ssl
import threading
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from carboy.net.certificates import make_ssl_devcert
from carboy.net.tls import load_ssl_context
from carboy.net.tls_facts import distinguished_name, facts_of

NAMES = {
    "CN=Steve Kille,O=Isode Limited,C=GB": [
        ("countryName", "GB"), ("organizationName", "Isode Limited"), ("commonName", "Steve Kille"),
    ],
    r"CN=L. Eagle,O=Sue\, Grabbit and Runn,C=GB": [
        ("countryName", "GB"), ("organizationName", "Sue, Grabbit and Runn"),
        ("commonName", "L. Eagle"),
    ],
    r"CN=\#a\"\+\\\<\>\;\00b\ ": [("commonName", '#a"+\\<>;\0b ')],
    "": [],
}  # fmt: skip


@pytest.mark.parametrize("text", NAMES)
def test_a_subject_is_written_from_its_last_part_with_escapes(text: str) -> None:
    assert distinguished_name(tuple(((each),) for each in NAMES[text])) == text


def test_a_name_reads_as_the_library_for_certificates_writes_it() -> None:
    kinds = {
        "commonName": NameOID.COMMON_NAME,
        "organizationName": NameOID.ORGANIZATION_NAME,
        "userId": NameOID.USER_ID,
        "domainComponent": NameOID.DOMAIN_COMPONENT,
    }
    subject = [("domainComponent", "test"), ("organizationName", "A, B+C"),
               ("userId", "7"), ("commonName", " me ")]  # fmt: skip
    name = x509.Name([x509.NameAttribute(kinds[kind], value) for kind, value in subject])
    assert distinguished_name(tuple((each,) for each in subject)) == name.rfc4514_string()


def authority(directory: Path) -> str:
    """A certificate that is its own authority, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Carboy"),
            x509.NameAttribute(NameOID.COMMON_NAME, "me"),
        ]
    )
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(subject_name=name, issuer_name=name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = directory / "me.pem"
    file.write_bytes(private + certificate.public_bytes(pem))
    return str(file)


def handshake(server: ssl.SSLContext, client: ssl.SSLContext) -> Any:
    """The facts that the server has after a handshake."""
    ours, theirs = socket.socketpair()
    found: list[Any] = []

    def serve() -> None:
        with server.wrap_socket(ours, server_side=True) as sock:
            found.append(facts_of(sock))
            sock.send(b"x")

    thread = threading.Thread(target=serve)
    thread.start()
    with client.wrap_socket(theirs, server_hostname="localhost") as sock:
        sock.recv(1)
    thread.join(60)
    return found[0]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_client_with_a_certificate_is_named(tmp_path: Path, version: ssl.TLSVersion) -> None:
    certificate, key = make_ssl_devcert(str(tmp_path / "own"), host="localhost")
    own = authority(tmp_path)
    server = load_ssl_context(certificate, key)
    server.maximum_version = version
    server.verify_mode = ssl.CERT_OPTIONAL
    server.load_verify_locations(own)
    client = ssl.create_default_context(cafile=certificate)
    without = handshake(server, client)
    assert (without.client_certificates, without.client_name) == ((), None)
    client.load_cert_chain(own)
    facts = handshake(server, client)
    (pem,) = facts.client_certificates
    assert pem in Path(own).read_text()
    assert facts.client_name == "CN=me,O=Carboy"
    assert facts.server_certificate == Path(certificate).read_text()
    assert (
        facts.version == {ssl.TLSVersion.TLSv1_2: 0x0303, ssl.TLSVersion.TLSv1_3: 0x0304}[version]
    )
    assert facts.cipher_suite is not None
