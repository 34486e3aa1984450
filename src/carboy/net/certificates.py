"""TLS contexts for servers, from files or from a certificate made on the spot.

Making certificates needs the package `cryptography`; reading them does not.
"""

from __future__ import annotations

import atexit
import contextlib
import datetime
import ipaddress
import os
import ssl
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import (
        RSAPrivateKeyWithSerialization as RSAPrivateKey,
    )
    from cryptography.x509 import Certificate, GeneralName

__all__ = [
    "generate_adhoc_ssl_context",
    "generate_adhoc_ssl_pair",
    "is_ssl_error",
    "load_ssl_context",
    "make_ssl_devcert",
]

ORGANISATION = "Carboy development certificate"
LIFE = datetime.timedelta(days=365)
# What an ad hoc certificate is good for besides the name it was asked for.
OWN_NAMES = ("localhost", "127.0.0.1", "::1")


def load_ssl_context(
    cert_file: str, pkey_file: str | None = None, protocol: int | None = None
) -> ssl.SSLContext:
    """A server's context with a certificate chain and key in PEM, as files.

    Without `pkey_file` the key stands in the certificate's file. FileNotFoundError and
    ssl.SSLError come from reading them.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if protocol is None else protocol)
    context.load_cert_chain(cert_file, pkey_file)
    return context


def context_of(given: Any) -> ssl.SSLContext | None:
    """What `ssl_context=` may be: a context, (certificate, key), "adhoc", or None.

    Raises TypeError for anything else.
    """
    if given is None or isinstance(given, ssl.SSLContext):
        return given
    if given == "adhoc":
        return generate_adhoc_ssl_context()
    if isinstance(given, tuple) and 1 <= len(given) <= 3:
        return load_ssl_context(*given)
    if hasattr(given, "wrap_socket"):
        return given  # type: ignore[no-any-return]  # somebody's own kind of context
    raise TypeError(
        f"ssl_context takes an ssl.SSLContext, a tuple (certificate file, key file) or the word"
        f" 'adhoc', not {given!r}."
    )


def generate_adhoc_ssl_pair(cn: str | None = None) -> tuple[Certificate, RSAPrivateKey]:
    """A certificate signed by nobody but itself, and its RSA key; `cn` is its common name.

    Raises TypeError when `cryptography` is missing.
    """
    x509, rsa, hashes = _cryptography()
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    oid = x509.oid
    subject = x509.Name(
        [
            x509.NameAttribute(oid.NameOID.ORGANIZATION_NAME, ORGANISATION),
            x509.NameAttribute(oid.NameOID.COMMON_NAME, cn or "*"),
        ]
    )
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder(subject_name=subject, issuer_name=subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + LIFE)
        .add_extension(x509.ExtendedKeyUsage([oid.ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(_names(x509, cn)), critical=False)
    )
    return builder.sign(key, hashes.SHA256()), key


def _cryptography() -> tuple[Any, Any, Any]:
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import rsa
    except ImportError:
        raise TypeError(
            "Using ad-hoc certificates requires the cryptography library. Install it with"
            " pip install cryptography, or give the files of a certificate and its key."
        ) from None
    return x509, rsa, hashes


def _names(x509: Any, cn: str | None) -> list[GeneralName]:
    """The names a browser compares: `cn`, what is below it, and this machine's own."""
    names = ["*", *OWN_NAMES] if cn is None else [cn]
    if cn in OWN_NAMES:
        names = list(OWN_NAMES)
    found: list[GeneralName] = []
    for name in names:
        try:
            found.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            found += [x509.DNSName(name), x509.DNSName(f"*.{name}")]
    return found


def _written(certificate: Certificate, key: RSAPrivateKey) -> tuple[bytes, bytes]:
    from cryptography.hazmat.primitives import serialization as form

    unprotected = form.NoEncryption()
    return (
        certificate.public_bytes(form.Encoding.PEM),
        key.private_bytes(form.Encoding.PEM, form.PrivateFormat.TraditionalOpenSSL, unprotected),
    )


def make_ssl_devcert(
    base_path: str, host: str | None = None, cn: str | None = None
) -> tuple[str, str]:
    """Write a certificate for `host` and its key to BASE_PATH.crt and .key; gives both names.

    The key is readable by its owner only.
    """
    certificate, key = _written(*generate_adhoc_ssl_pair(host if host is not None else cn))
    cert_file, key_file = f"{base_path}.crt", f"{base_path}.key"
    Path(cert_file).write_bytes(certificate)
    with os.fdopen(os.open(key_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(key)
    return cert_file, key_file


def generate_adhoc_ssl_context() -> ssl.SSLContext:
    """A server's context with a new certificate that lives as long as this process.

    OpenSSL reads keys from files only; they are removed at once where that is possible.
    """
    directory = tempfile.mkdtemp(prefix="carboy-tls-")
    atexit.register(_remove, directory)
    try:
        return load_ssl_context(*make_ssl_devcert(str(Path(directory, "adhoc"))))
    finally:
        _remove(directory)


def _remove(directory: str) -> None:
    with contextlib.suppress(OSError):
        for file in Path(directory).iterdir():
            file.unlink()
        Path(directory).rmdir()


def is_ssl_error(error: Exception | None = None) -> bool:
    """Whether `error` is TLS's own."""
    return isinstance(error, ssl.SSLError)
