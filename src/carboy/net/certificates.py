"""Certificates for development, made by the package `cryptography`.

There are two kinds. An ad hoc certificate signs itself and is used by one process. A certificate
for names of this machine is signed by the user's own authority, which is made once and trusted
once. Clients accept its certificates for this machine and private networks only (name constraints,
RFC 5280, section 4.2.1.10), so a stolen key cannot be used to impersonate other sites.
"""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import os
import socket
import ssl
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from carboy.net.tls_facts import note_certificate

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import (
        RSAPrivateKeyWithSerialization as RSAPrivateKey,
    )
    from cryptography.x509 import Certificate

fcntl: Any = None
with contextlib.suppress(ImportError):  # not available on Windows
    import fcntl

__all__ = ["generate_adhoc_ssl_context", "generate_adhoc_ssl_pair", "make_ssl_devcert"]

OWN_NAMES = ("localhost", "127.0.0.1", "::1")
ADHOC_ORGANISATION = "Carboy development certificate"
ADHOC_LIFE = datetime.timedelta(days=365)

AUTHORITY_FOLDER = "CARBOY_AUTHORITY"  # environment variable
AUTHORITY_CERTIFICATE, AUTHORITY_KEY = "authority.pem", "authority-key.pem"
SERVER = "server.pem"  # certificate and key of the last names
AUTHORITY_LIFE = datetime.timedelta(days=3650)
SERVER_LIFE = datetime.timedelta(days=200)  # browsers refuse more than 398, soon more than 200
RENEWED_BEFORE_END = datetime.timedelta(days=14)
# Domains that cannot be registered (RFC 6761, 6762, 8375; ICANN's .internal), with everything
# below them; the authority signs for these, for the machine's own name and for the networks.
DOMAINS = ("localhost", "test", "local", "home.arpa", "internal")
NETWORKS = (
    "127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16",
    "100.64.0.0/10", "::1/128", "fc00::/7", "fe80::/10",
)  # fmt: skip


class AuthorityError(Exception):
    """The authority cannot be used. The text says what to do."""


# --- the certificate builder


def _cryptography() -> Any:
    """The modules of `cryptography` that are used here; TypeError, as in Werkzeug, without it.

    They take 60 ms to load.
    """
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec, rsa
    except ImportError:
        raise TypeError(
            "Using ad-hoc certificates requires the cryptography library. Install it with"
            " `pip install cryptography`, or use the files of a certificate and its key."
        ) from None
    return SimpleNamespace(x509=x509, hashes=hashes, serialization=serialization, ec=ec, rsa=rsa)


def _build(
    key: Any,
    subject: dict[str, str],
    life: datetime.timedelta,
    *extensions: tuple[Any, bool],
    issuer: tuple[Any, Any] | None = None,
) -> Certificate:
    """A certificate for `key`, signed by an issuer's certificate and key or else by itself.

    `subject` maps names of NameOID to their values; an extension has a flag: critical.
    """
    c = _cryptography()
    oid, attribute = c.x509.NameOID, c.x509.NameAttribute
    name = c.x509.Name([attribute(getattr(oid, kind), text) for kind, text in subject.items()])
    signer, signing_key = issuer or (None, key)
    builder = (
        c.x509.CertificateBuilder(name if signer is None else signer.subject, name)
        .public_key(key.public_key())
        .serial_number(c.x509.random_serial_number())
        .not_valid_before(_now() - datetime.timedelta(hours=1))  # clocks of phones differ
        .not_valid_after(_now() + life)
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    certificate: Certificate = builder.sign(signing_key, c.hashes.SHA256())
    return certificate


def _server_extensions(names: Iterable[str]) -> list[tuple[Any, bool]]:
    c = _cryptography()
    found = []
    for name in names:
        try:
            found.append(c.x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            found.append(c.x509.DNSName(name))
    purpose = c.x509.ExtendedKeyUsage([c.x509.ExtendedKeyUsageOID.SERVER_AUTH])
    return [(purpose, False), (c.x509.SubjectAlternativeName(found), False)]


def _pem(certificate: Any, key: Any) -> tuple[bytes, bytes]:
    form = _cryptography().serialization
    kind, unprotected = form.PrivateFormat.TraditionalOpenSSL, form.NoEncryption()
    return (
        certificate.public_bytes(form.Encoding.PEM),
        key.private_bytes(form.Encoding.PEM, kind, unprotected),
    )


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


# --- ad hoc certificates


def generate_adhoc_ssl_pair(cn: str | None = None) -> tuple[Certificate, RSAPrivateKey]:
    """A certificate that signs itself, and its RSA key; `cn` is the common name.

    Raises TypeError when `cryptography` is missing.
    """
    key = _cryptography().rsa.generate_private_key(public_exponent=65537, key_size=2048)
    subject = {"ORGANIZATION_NAME": ADHOC_ORGANISATION, "COMMON_NAME": cn or "*"}
    return _build(key, subject, ADHOC_LIFE, *_server_extensions(_adhoc_names(cn))), key


def _adhoc_names(cn: str | None) -> Iterator[str]:
    """The names that a browser compares: `cn` and its subdomains; this machine's own names."""
    names = ["*", *OWN_NAMES] if cn is None else [cn]
    for name in OWN_NAMES if cn in OWN_NAMES else names:
        yield name
        try:
            ipaddress.ip_address(name)
        except ValueError:
            yield f"*.{name}"


def make_ssl_devcert(
    base_path: str, host: str | None = None, cn: str | None = None
) -> tuple[str, str]:
    """Write a certificate for `host` and its key to BASE_PATH.crt and .key; returns both names.

    Only the owner can read the key.
    """
    certificate, key = _pem(*generate_adhoc_ssl_pair(host if host is not None else cn))
    cert_file, key_file = f"{base_path}.crt", f"{base_path}.key"
    Path(cert_file).write_bytes(certificate)
    _write(Path(key_file), key)
    return cert_file, key_file


def validity_problem(file: str) -> str:
    """A sentence about a certificate that browsers refuse today because of its dates, or ""."""
    with contextlib.suppress(TypeError, ValueError):  # without `cryptography`, nothing is checked
        found = _cryptography().x509.load_pem_x509_certificate(Path(file).read_bytes())
        now = datetime.datetime.now(datetime.UTC)
        begin, end = found.not_valid_before_utc, found.not_valid_after_utc
        if now > end:
            return f"The certificate in {file} expired on {end:%Y-%m-%d}. Browsers refuse it."
        if now < begin:
            return f"The certificate in {file} is valid from {begin:%Y-%m-%d}. Browsers refuse it."
    return ""


def generate_adhoc_ssl_context() -> ssl.SSLContext:
    """A server's context with a new certificate, whose files are removed at once.

    OpenSSL reads keys from files only.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory(prefix="carboy-tls-", ignore_cleanup_errors=True) as folder:
        certificate, key = make_ssl_devcert(str(Path(folder, "adhoc")))
        context.load_cert_chain(certificate, key)
        note_certificate(context, certificate)
    return context


# --- the user's own authority


@dataclass(frozen=True, slots=True)
class Authority:
    """The folder of the user's authority, and whether this process has made it."""

    folder: Path
    created: bool

    @property
    def certificate(self) -> Path:
        """The certificate to trust."""
        return self.folder / AUTHORITY_CERTIFICATE


def folder_of_user() -> Path:
    """The folder for the user's data, or the value of CARBOY_AUTHORITY."""
    if given := os.environ.get(AUTHORITY_FOLDER):
        return Path(given)
    return data_folder()


def data_folder() -> Path:
    """The folder of the user's data for Carboy."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "carboy"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", str(Path.home()))) / "carboy"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "carboy"


def local_context(
    names: Iterable[str] = (), folder: Path | None = None
) -> tuple[ssl.SSLContext, Authority]:
    """A server's context for `names` and the machine's own, signed by the user's authority.

    Makes the authority when there is none. Raises AuthorityError when that is impossible.
    """
    folder = folder or folder_of_user()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        _cryptography()
    except TypeError:
        raise AuthorityError(
            "A certificate authority requires the cryptography library. Install it with"
            " `pip install cryptography`, or use --cert and --key with a certificate of your own."
        ) from None
    try:
        with _locked(folder):
            authority = _open_authority(folder)
            names = _names_to_sign(_load(authority.certificate), names)
            if authority.created or not _is_current(folder, names):
                _write(folder / SERVER, _signed(folder, names))
            context.load_cert_chain(folder / SERVER)
    except (ValueError, ssl.SSLError) as problem:
        raise AuthorityError(
            f"The certificate authority in {folder} is damaged ({problem}). Remove the folder, and"
            " trust the new authority."
        ) from None
    except OSError as problem:
        raise AuthorityError(
            f"The certificate authority cannot be written to {problem.filename or folder}:"
            f" {problem.strerror}. Set {AUTHORITY_FOLDER} to another folder."
        ) from None
    return context, authority


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Make the folder, and keep other programs from making an authority there meanwhile."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if fcntl is None:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _open_authority(folder: Path) -> Authority:
    certificate, key = folder / AUTHORITY_CERTIFICATE, folder / AUTHORITY_KEY
    if certificate.exists() and key.exists():
        found = _load(certificate)
        # One without constraints could sign for any name.
        if _constraints(found) is not None and _is_fresh(found):
            return Authority(folder, created=False)
    certificate_pem, key_pem = _new_authority()
    _write(key, key_pem)  # first: a program that finds the certificate finds both
    _write(certificate, certificate_pem)
    return Authority(folder, created=True)


def _new_authority() -> tuple[bytes, bytes]:
    c = _cryptography()
    key = c.ec.generate_private_key(c.ec.SECP256R1())
    owner = f"Carboy development of {os.environ.get('USER') or 'a user'} at {socket.gethostname()}"
    usage = c.x509.KeyUsage(
        digital_signature=False, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, key_cert_sign=True, crl_sign=True,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip
    permitted = [c.x509.DNSName(name) for name in dict.fromkeys((*DOMAINS, _machine()))]
    permitted += [c.x509.IPAddress(ipaddress.ip_network(each)) for each in NETWORKS]
    certificate = _build(
        key,
        {"COMMON_NAME": owner[:64]},
        AUTHORITY_LIFE,
        (c.x509.BasicConstraints(ca=True, path_length=0), True),
        (usage, True),
        (c.x509.NameConstraints(permitted, None), True),
        (c.x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
    )
    return _pem(certificate, key)


def _signed(folder: Path, names: Iterable[str]) -> bytes:
    """A certificate for `names`, signed by the authority, and its key."""
    c = _cryptography()
    authority = _load(folder / AUTHORITY_CERTIFICATE)
    authority_key = c.serialization.load_pem_private_key(
        (folder / AUTHORITY_KEY).read_bytes(), password=None
    )
    key = c.ec.generate_private_key(c.ec.SECP256R1())
    issuer_key = c.x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    certificate = _build(
        key,
        {"COMMON_NAME": "Carboy development server"},
        SERVER_LIFE,
        (c.x509.BasicConstraints(ca=False, path_length=None), True),
        *_server_extensions(names),
        (issuer_key, False),
        issuer=(authority, authority_key),
    )
    return b"".join(_pem(certificate, key))


def _names_to_sign(authority: Any, names: Iterable[str]) -> list[str]:
    """`names` and the machine's own; AuthorityError if one of `names` cannot be signed."""
    asked = {name.lower() for name in names}
    for name in sorted(asked):
        if not _may_sign(authority, name):
            raise AuthorityError(
                f"The certificate authority is for this machine and private networks only, not for"
                f" {name}. Use --cert and --key with a certificate of your own."
            )
    # The machine may have another name now. Signing that one would make the certificate invalid.
    own = {name for name in (*OWN_NAMES, _machine()) if _may_sign(authority, name)}
    return sorted(asked | own)


def _may_sign(authority: Any, name: str) -> bool:
    permitted = {each.value for each in _constraints(authority).permitted_subtrees}
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        labels = name.split(".")
        return any(".".join(labels[start:]) in permitted for start in range(len(labels)))
    return any(address in network for network in permitted if not isinstance(network, str))


def _constraints(certificate: Any) -> Any:
    x509 = _cryptography().x509
    try:
        return certificate.extensions.get_extension_for_class(x509.NameConstraints).value
    except x509.ExtensionNotFound:
        return None


def _is_current(folder: Path, names: list[str]) -> bool:
    """Whether the server's certificate is fresh, has all names, and is signed by the authority."""
    if not (folder / SERVER).exists():
        return False
    x509 = _cryptography().x509
    certificate = _load(folder / SERVER)
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    try:
        certificate.verify_directly_issued_by(_load(folder / AUTHORITY_CERTIFICATE))
    except Exception:  # of several types, when another authority has signed it
        return False
    return {str(each.value) for each in found}.issuperset(names) and _is_fresh(certificate)


def _is_fresh(certificate: Any) -> bool:
    return bool(certificate.not_valid_after_utc > _now() + RENEWED_BEFORE_END)


def _machine() -> str:
    return socket.gethostname().lower()


def _load(file: Path) -> Any:
    return _cryptography().x509.load_pem_x509_certificate(file.read_bytes())


def _write(file: Path, data: bytes) -> None:
    """Replace a file at once by one that only its owner can read.

    Another program may be starting, and a file that exists may be readable by others.
    """
    fresh = file.with_name(f"{file.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(data)
    fresh.replace(file)


def how_to_trust(certificate: Path, platform: str = sys.platform) -> list[str]:
    """Lines for the user: commands to run once, so that browsers trust the authority."""
    if platform == "darwin":
        return [
            "security add-trusted-cert -r trustRoot"
            f' -k ~/Library/Keychains/login.keychain-db "{certificate}"'
        ]
    if platform == "win32":
        return [f'certutil -user -addstore Root "{certificate}"']
    return [
        f'sudo cp "{certificate}" /usr/local/share/ca-certificates/carboy.crt'
        " && sudo update-ca-certificates   # Debian; Fedora: trust anchor FILE",
        f'certutil -d sql:$HOME/.pki/nssdb -A -t C,, -n carboy -i "{certificate}"   # Chromium',
        "Firefox: Settings, Certificates, Authorities, Import",
    ]
