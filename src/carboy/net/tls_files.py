"""The files of a server's certificates: PEM, encrypted keys and PKCS#12, read and checked.

Each problem is one sentence about what is wrong and one about what to do. A file is read once, so
what was checked is what OpenSSL loads, even if the file is replaced meanwhile.
"""

from __future__ import annotations

import contextlib
import os
import re
import ssl
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from carboy.net.certificate_error import CertificateError
from carboy.net.x509 import Certificate, parse_pem

CERTIFICATE = "-----BEGIN CERTIFICATE-----"
KEY = "PRIVATE KEY-----"
PASSWORD = "CARBOY_KEY_PASSWORD"  # environment variable
SEQUENCE = 0x30  # the first byte of DER, and so of PKCS#12
_certificates = re.compile(
    "-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n?", re.DOTALL
).findall


@dataclass(frozen=True, slots=True)
class Pair:
    """The file of a certificate chain and the file of its key; None: in the same file."""

    certificate: str
    key: str | None = None

    def files(self) -> list[str]:
        """Both files."""
        return [self.certificate] if self.key is None else [self.certificate, self.key]


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate chain with its key, as it was read from a Pair."""

    pair: Pair
    pem: bytes
    password: bytes
    certificate: Certificate  # the server's own

    def load_into(self, context: ssl.SSLContext) -> None:
        """Load chain and key. Raises ssl.SSLError."""
        with _as_file(self.pem) as name:
            # Without a password, OpenSSL would ask for it on the terminal.
            context.load_cert_chain(name, password=self.password)

    def first(self) -> str:
        """The server's own certificate in PEM format."""
        return str(_certificates(self.pem.decode("latin-1"))[0])


def read(pair: Pair, password: bytes = b"") -> Identity:
    """Read and check a pair. Raises CertificateError."""
    chain = _bytes_of(pair.certificate)
    if _is_pkcs12(chain):
        chain = _of_pkcs12(pair.certificate, chain, password)
        password = b""
        pair = Pair(pair.certificate)
    _check_contains(pair.certificate, chain, CERTIFICATE, "certificate")
    key = b"" if pair.key is None else _bytes_of(pair.key)
    key_file = pair.key or pair.certificate
    _check_contains(key_file, key or chain, KEY, "private key")
    if b"ENCRYPTED" in (key or chain) and not password:
        raise CertificateError(
            f"The key in {key_file} is encrypted. Use --key-password-file or {PASSWORD}, or a key"
            " without a passphrase."
        )
    first = _certificates(chain.decode("latin-1"))
    try:
        found = parse_pem(first[0])
    except (ValueError, IndexError):
        raise CertificateError(
            f"The certificate in {pair.certificate} is damaged. Use another file."
        ) from None
    # OpenSSL takes the first key of a file, and the certificate may have another one with it.
    identity = Identity(pair, key + b"\n" + chain, password, found)
    _try(identity, key_file)
    return identity


def has_key(file: str) -> bool:
    """Whether a certificate's file has the key as well: a bundle, or PKCS#12."""
    try:
        data = Path(file).read_bytes()
    except OSError:
        return False
    return KEY.encode() in data or _is_pkcs12(data)


def read_password(file: str | None) -> bytes:
    """The password of keys: the first line of `file`, or else the variable; b"" without either.

    Raises CertificateError if the file cannot be read.
    """
    if file is None:
        return os.environ.get(PASSWORD, "").encode()
    return (_bytes_of(file).splitlines() or [b""])[0]


def _bytes_of(file: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError as problem:
        raise CertificateError(
            f"{file} cannot be read: {problem.strerror}. Check its name and permissions."
        ) from None


def _check_contains(file: str, data: bytes, part: str, name: str) -> None:
    if part.encode() in data:
        return
    if data[:1] == bytes([SEQUENCE]):
        raise CertificateError(
            f"{file} is in DER format. Convert it to PEM: openssl x509 -inform der -in {file}."
        )
    raise CertificateError(f"{file} does not contain a {name} in PEM format. Use another file.")


def _try(identity: Identity, key_file: str) -> None:
    """Load the pair into a context that is not used."""
    certificate = identity.pair.certificate
    try:
        identity.load_into(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            text = (
                f"The key in {key_file} does not belong to the certificate in {certificate}."
                " Use the files that were issued together."
            )
        elif identity.password and b"ENCRYPTED" in identity.pem:
            text = f"The password does not fit the key in {key_file}. Check the password."
        elif error.reason in ("EE_KEY_TOO_SMALL", "CA_MD_TOO_WEAK", "CA_KEY_TOO_SMALL"):
            text = f"{certificate} is too weak for TLS ({error.reason}). Have a new one issued."
        else:
            text = f"{certificate} and {key_file} cannot be loaded: {error}. Use PEM files."
        raise CertificateError(text) from None
    except OSError as error:
        raise CertificateError(
            f"{certificate} and {key_file} cannot be loaded: {error}. Use PEM files."
        ) from None


# --- PKCS#12


def _is_pkcs12(data: bytes) -> bool:
    """Whether it is PFX (RFC 7292, section 4): a sequence whose first part is the version 3."""
    if data[:1] != bytes([SEQUENCE]) or len(data) < 8:
        return False
    begin = 2 + (data[1] & 0x7F if data[1] & 0x80 else 0)
    return data[begin : begin + 3] == b"\x02\x01\x03"


def _of_pkcs12(file: str, data: bytes, password: bytes) -> bytes:
    """Chain and key in PEM format."""
    try:
        from cryptography.hazmat.primitives import serialization as form
        from cryptography.hazmat.primitives.serialization import pkcs12
    except ImportError:
        raise CertificateError(
            f"{file} is in PKCS#12 format, which requires the cryptography library. Install it"
            " with pip install 'carboy[tls]', or convert the file: openssl pkcs12 -in"
            f" {file} -nodes."
        ) from None
    try:
        key, certificate, others = pkcs12.load_key_and_certificates(data, password or None)
    except ValueError:
        what = "The password does not fit" if password else "A password is needed for"
        raise CertificateError(f"{what} {file}. Use --key-password-file or {PASSWORD}.") from None
    if key is None or certificate is None:
        raise CertificateError(
            f"{file} does not contain a certificate with its key. Use another file."
        )
    pem = form.Encoding.PEM
    parts = [each.public_bytes(pem) for each in (certificate, *others)]
    parts.append(key.private_bytes(pem, form.PrivateFormat.PKCS8, form.NoEncryption()))
    return b"".join(parts)


# --- OpenSSL reads files only


@contextlib.contextmanager
def _as_file(data: bytes) -> Iterator[str]:
    """The name of a file with `data`: in memory where the system can, else only for this user."""
    if hasattr(os, "memfd_create") and Path("/proc/self/fd").is_dir():
        fd = os.memfd_create("carboy")
        try:
            with open(fd, "wb", closefd=False) as file:
                file.write(data)
            yield f"/proc/self/fd/{fd}"
        finally:
            os.close(fd)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "pair.pem")
        path.touch(mode=0o600)
        path.write_bytes(data)
        yield str(path)
