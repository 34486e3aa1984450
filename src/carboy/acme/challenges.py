"""The answers with which a server shows that a name is its own: http-01 and tls-alpn-01."""

from __future__ import annotations

import datetime
import hashlib
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from carboy.acme.jws import Signer, b64, new_key, pem_of
from carboy.acme.problems import HTTP_01, TLS_ALPN_01

ACME_IDENTIFIER = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.31")  # RFC 8737, section 3
LIFE = datetime.timedelta(days=7)
HOUR = datetime.timedelta(hours=1)  # clocks differ


@dataclass(frozen=True, slots=True)
class Answer:
    """The file of the store that every process serves while a challenge is open."""

    file: str
    data: bytes


def answer(name: str, kind: str, token: str, signer: Signer) -> Answer:
    """The answer to a challenge."""
    key_authorization = f"{token}.{signer.thumbprint()}".encode("ascii")
    if kind == HTTP_01:
        return Answer(token, key_authorization)
    assert kind == TLS_ALPN_01
    digest = hashlib.sha256(key_authorization).digest()
    encoded = b"\x04\x20" + digest  # a byte string in DER (X.690, section 8.7)
    proof = x509.UnrecognizedExtension(ACME_IDENTIFIER, encoded)
    return Answer(f"{name}.pem", self_signed([name], "", (proof, True)))


def self_signed(names: list[str], common_name: str, *more: tuple[Any, bool]) -> bytes:
    """A key and a certificate that signs itself, in PEM format."""
    key = new_key()
    attribute = x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name or names[0][:64])
    subject = x509.Name([attribute])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder(subject, subject, key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - HOUR)
        .not_valid_after(now + LIFE)
        .add_extension(x509.SubjectAlternativeName(list(map(x509.DNSName, names))), False)
    )
    for extension, critical in more:
        builder = builder.add_extension(extension, critical)
    made = builder.sign(key, hashes.SHA256())
    return pem_of(key).encode() + made.public_bytes(serialization.Encoding.PEM)


def request(key: Any, names: tuple[str, ...]) -> str:
    """A certificate signing request for the names, in base64url (RFC 8555, section 7.4)."""
    made = (
        x509.CertificateSigningRequestBuilder(x509.Name([]))
        .add_extension(x509.SubjectAlternativeName(list(map(x509.DNSName, names))), False)
        .sign(key, hashes.SHA256())
    )
    return b64(made.public_bytes(serialization.Encoding.DER))


def belongs(chain: bytes, key: Any) -> bool:
    """Whether the first certificate of a chain is for a key."""
    form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    found = x509.load_pem_x509_certificate(chain)
    return bool(found.public_key().public_bytes(*form) == key.public_key().public_bytes(*form))


def renewal_id(chain: bytes) -> str:
    """The name of a certificate in renewal information (RFC 9773, section 4.1); "" without one."""
    found = x509.load_pem_x509_certificate(chain)
    try:
        extension = found.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    except x509.ExtensionNotFound:
        return ""
    if extension.key_identifier is None:
        return ""
    serial = found.serial_number
    number = serial.to_bytes(serial.bit_length() // 8 + 1, "big")
    return f"{b64(extension.key_identifier)}.{b64(number)}"
