"""The facts about a TLS connection that an application may ask for: version, cipher, certificates.

They are collected when the handshake is done, by the thread that alone uses the TLS object. Any
thread may read them later.
"""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from carboy.net.x509 import parse_pem

VERSIONS = {"TLSv1": 0x0301, "TLSv1.1": 0x0302, "TLSv1.2": 0x0303, "TLSv1.3": 0x0304}
# Short names of attribute types (RFC 4514, section 3).
SHORT = {
    "commonName": "CN",
    "countryName": "C",
    "domainComponent": "DC",
    "localityName": "L",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "stateOrProvinceName": "ST",
    "streetAddress": "STREET",
    "userId": "UID",
}
_first_certificate = re.compile(
    "-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n?", re.DOTALL
).search
_special = re.compile(r'[,+"\\<>;\0]|^[ #]| $')
_certificates: WeakKeyDictionary[ssl.SSLContext, str] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class TlsFacts:
    """One connection; what is not known is None."""

    version: int | None  # 0x0304: TLS 1.3
    cipher_suite: int | None  # the number in the registry of IANA
    server_certificate: str | None  # PEM
    client_certificates: tuple[str, ...] = ()  # PEM, the client's own first
    client_name: str | None = None  # its subject (RFC 4514)
    client_asked: bool = False  # for a certificate


def note_certificate(context: ssl.SSLContext, file: str) -> None:
    """Note the certificate file of a context, which does not tell its certificate itself."""
    found = _first_certificate(Path(file).read_text("latin-1"))
    if found is not None:
        note_pem(context, found[0])


def note_pem(context: ssl.SSLContext, certificate: str) -> None:
    """Note the certificate of a context, in PEM format."""
    _certificates[context] = certificate


def facts_of(sock: Any) -> TlsFacts:
    """The facts about a socket whose handshake is done."""
    name, _, _ = sock.cipher() or ("", "", 0)
    certificate = sock.getpeercert(binary_form=True)
    shared = _without_client(sock.context, sock.version(), name)
    if certificate is None:
        return shared
    chain = getattr(sock, "get_unverified_chain", lambda: [certificate])()  # Python 3.13
    return TlsFacts(
        shared.version,
        shared.cipher_suite,
        shared.server_certificate,
        tuple(map(ssl.DER_cert_to_PEM_cert, chain)),
        distinguished_name((sock.getpeercert() or {}).get("subject", ())),
        True,
    )


@lru_cache(64)
def _without_client(context: Any, version: str | None, cipher: str) -> TlsFacts:
    """Facts that connections share."""
    numbers = {each["name"]: each["id"] & 0xFFFF for each in context.get_ciphers()}
    known = _certificates.get(context) if isinstance(context, ssl.SSLContext) else None
    asked = getattr(context, "verify_mode", ssl.CERT_NONE) != ssl.CERT_NONE
    return TlsFacts(VERSIONS.get(version or ""), numbers.get(cipher), known, client_asked=asked)


def client_variables(facts: TlsFacts) -> dict[str, str]:
    """The certificate of the client for an environ, under the names of Apache's mod_ssl.

    Nothing if the client was not asked for one.
    """
    if not facts.client_certificates:
        return {"SSL_CLIENT_VERIFY": "NONE"} if facts.client_asked else {}
    pem = facts.client_certificates[0]
    found = parse_pem(pem)
    common = [value for part in found.subject for kind, value in part if kind == "commonName"]
    return {
        "SSL_CLIENT_VERIFY": "SUCCESS",
        "SSL_CLIENT_CERT": pem,
        "SSL_CLIENT_S_DN": distinguished_name(found.subject),
        "SSL_CLIENT_S_DN_CN": common[-1] if common else "",
        "SSL_CLIENT_I_DN": distinguished_name(found.issuer),
        "SSL_CLIENT_M_SERIAL": f"{found.serial:X}",
        "SSL_CLIENT_V_START": f"{found.begins:%b %d %H:%M:%S %Y} GMT",
        "SSL_CLIENT_V_END": f"{found.ends:%b %d %H:%M:%S %Y} GMT",
        "SSL_CLIENT_FINGERPRINT": found.fingerprint,
    }


def distinguished_name(subject: Any) -> str:
    """A subject as `SSLSocket.getpeercert` gives it, as a string (RFC 4514, section 2)."""
    names = []
    for attributes in reversed(subject):
        names.append("+".join(f"{SHORT.get(kind, kind)}={_escaped(value)}"
                              for kind, value in attributes))  # fmt: skip
    return ",".join(names)


def _escaped(value: str) -> str:
    return _special.sub(lambda match: "\\00" if match[0] == "\0" else "\\" + match[0], value)
