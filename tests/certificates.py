"""Certificates for tests: authorities, and what they sign for servers and clients."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import NameOID

PEM = serialization.Encoding.PEM
PKCS8 = serialization.PrivateFormat.PKCS8
PLAIN = serialization.NoEncryption()
NOW = datetime.datetime.now(datetime.UTC)


def unchecked() -> ssl.SSLContext:
    """The context of a client that accepts any certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Signed:
    """A certificate, its key and its chain, as bytes in PEM format."""

    def __init__(self, certificate: x509.Certificate, key: Any, authority: Any) -> None:
        self.x509 = certificate
        self.private = key
        self.authority = authority
        self.certificate = certificate.public_bytes(PEM)
        self.key = key.private_bytes(PEM, PKCS8, PLAIN)

    def locked_key(self, password: bytes) -> bytes:
        how = serialization.BestAvailableEncryption(password)
        return bytes(self.private.private_bytes(PEM, PKCS8, how))

    def pkcs12(self, password: bytes | None) -> bytes:
        how = PLAIN if password is None else serialization.BestAvailableEncryption(password)
        chain = [self.authority]
        return pkcs12.serialize_key_and_certificates(b"x", self.private, self.x509, chain, how)

    def write(self, folder: Path, name: str = "server") -> tuple[str, str]:
        """The names of the files of the certificate and of the key."""
        certificate, key = folder / f"{name}.pem", folder / f"{name}-key.pem"
        certificate.write_bytes(self.certificate)
        key.write_bytes(self.key)
        return str(certificate), str(key)


class Authority:
    """Signs certificates with keys of elliptic curves, which are quick to make."""

    def __init__(self, name: str = "Carboy test authority") -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.x509 = (
            x509.CertificateBuilder(self.name, self.name)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - datetime.timedelta(days=100))
            .not_valid_after(NOW + datetime.timedelta(days=1000))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self.key, hashes.SHA256())
        )
        self.pem = self.x509.public_bytes(PEM).decode()

    def sign(
        self,
        *names: str,
        days: float = 30,
        begins: float = -1,
        subject: dict[str, str] | None = None,
        key: Any = None,
    ) -> Signed:
        """A certificate for names and addresses that expires in `days`."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        known = {"COMMON_NAME": names[0] if names else "unnamed", **(subject or {})}
        attributes = [x509.NameAttribute(getattr(NameOID, k), v) for k, v in known.items()]
        builder = (
            x509.CertificateBuilder(self.name, x509.Name(attributes))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW + datetime.timedelta(days=begins))
            .not_valid_after(NOW + datetime.timedelta(days=days))
        )
        if names:
            alternative = x509.SubjectAlternativeName(list(map(_general, names)))
            builder = builder.add_extension(alternative, critical=False)
        return Signed(builder.sign(self.key, hashes.SHA256()), key, self.x509)

    def client(self, signed: Signed | None = None, folder: Path | None = None) -> ssl.SSLContext:
        """The context of a client that trusts this authority, with its own certificate if any."""
        context = ssl.create_default_context(cadata=self.pem)
        if signed is not None:
            assert folder is not None
            context.load_cert_chain(*signed.write(folder, "client"))
        return context


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
