"""A certificate authority of one's own, for TLS while developing: made once, trusted once.

What it signs lives for months, and the key of the authority never leaves its folder. Clients
take it for names of this machine and of private networks only (name constraints, RFC 5280,
section 4.2.1.10), so that whoever gets hold of the key cannot pretend to be any other site.
Needs the package `cryptography`.
"""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import os
import socket
import ssl
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

fcntl: Any = None
with contextlib.suppress(ImportError):  # Windows has none
    import fcntl

VARIABLE = "CARBOY_AUTHORITY"
CERTIFICATE, KEY = "authority.pem", "authority-key.pem"
SERVER = "server.pem"  # chain and key of the last names
LIFE = datetime.timedelta(days=3650)
SERVER_LIFE = datetime.timedelta(days=200)  # browsers refuse more than 398, soon more than 200
SOON = datetime.timedelta(days=14)
OWN_NAMES = ("localhost", "127.0.0.1", "::1")
# What can be signed: domains that nobody can own (RFC 6761, 6762, 8375; ICANN's .internal), with
# all that is below them, beside the machine's own name; addresses of private networks.
DOMAINS = ("localhost", "test", "local", "home.arpa", "internal")
NETWORKS = (
    "127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16",
    "100.64.0.0/10", "::1/128", "fc00::/7", "fe80::/10",
)  # fmt: skip


class AuthorityError(Exception):
    """There is no authority to be had; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Authority:
    """Where it is, and whether it was made just now."""

    folder: Path
    created: bool

    @property
    def certificate(self) -> Path:
        """What has to be trusted."""
        return self.folder / CERTIFICATE


def folder_of_user() -> Path:
    """Where this user's programs keep their data, or what CARBOY_AUTHORITY says."""
    if given := os.environ.get(VARIABLE):
        return Path(given)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "carboy"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", str(Path.home()))) / "carboy"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "carboy"


def local_context(
    names: Iterable[str] = (), folder: Path | None = None
) -> tuple[ssl.SSLContext, Authority]:
    """A server's context for `names` and this machine's own, signed by the user's authority.

    AuthorityError where there can be none.
    """
    folder = folder or folder_of_user()
    try:
        with _alone(folder):
            authority = _authority(folder)
            file = folder / SERVER
            wanted = _to_sign(_load(folder / CERTIFICATE), names)
            if authority.created or not _is_good(file, folder / CERTIFICATE, wanted):
                _write(file, _signed(folder, wanted))
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(file)
    except (ValueError, ssl.SSLError) as problem:
        raise AuthorityError(
            f"The authority in {folder} is damaged ({problem}): remove that folder, and trust the"
            " new one."
        ) from None
    except OSError as problem:
        raise AuthorityError(
            f"The authority cannot be kept in {problem.filename or folder}: {problem.strerror}."
            f" Name another folder by {VARIABLE}."
        ) from None
    return context, authority


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """No other program makes an authority there meanwhile: the key must fit the certificate."""
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


def _to_sign(authority: Any, names: Iterable[str]) -> list[str]:
    """`names` and the machine's own; AuthorityError if one of `names` cannot be signed."""
    asked = {name.lower() for name in names}
    for name in sorted(asked):
        if not _may_sign(authority, name):
            raise AuthorityError(
                f"The authority is for this machine and private networks only, not for {name}:"
                " give a certificate of your own with --cert and --key."
            )
    # A machine may have got another name since: one that does not fit would spoil all others.
    own = {name for name in (*OWN_NAMES, _machine()) if _may_sign(authority, name)}
    return sorted(asked | own)


def _may_sign(authority: Any, name: str) -> bool:
    permitted = {each.value for each in _constraints(authority).permitted_subtrees}
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        labels = name.split(".")
        return any(".".join(labels[start:]) in permitted for start in range(len(labels)))
    networks = (each for each in permitted if not isinstance(each, str))
    return any(address in network for network in networks)


def _constraints(authority: Any) -> Any:
    """None: it could sign for any name."""
    x509 = _x509()
    try:
        return authority.extensions.get_extension_for_class(x509.NameConstraints).value
    except x509.ExtensionNotFound:
        return None


def _machine() -> str:
    return socket.gethostname().lower()


def _authority(folder: Path) -> Authority:
    there = (folder / CERTIFICATE).exists() and (folder / KEY).exists()
    if there:
        found = _load(folder / CERTIFICATE)
        if _constraints(found) is not None and found.not_valid_after_utc > _now() + SOON:
            return Authority(folder, created=False)
    certificate, key = _self_signed()
    # The key first: who finds the certificate finds both.
    _write(folder / KEY, key)
    _write(folder / CERTIFICATE, certificate)
    return Authority(folder, created=True)


def _is_good(file: Path, authority: Path, names: list[str]) -> bool:
    """Whether the server's certificate is for all names, lives on, and is the authority's."""
    if not file.exists():
        return False
    x509 = _x509()
    certificate, signer = _load(file), _load(authority)
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    there = {str(each.value) for each in found}
    try:
        certificate.verify_directly_issued_by(signer)
    except Exception:  # of another authority, in one of several ways
        return False
    return there.issuperset(names) and certificate.not_valid_after_utc > _now() + SOON


def _self_signed() -> tuple[bytes, bytes]:
    x509 = _x509()
    key = _new_key()
    who = f"Carboy development of {os.environ.get('USER') or 'somebody'} at {socket.gethostname()}"
    name = _name(x509, who[:64])
    usage = x509.KeyUsage(
        digital_signature=False, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, key_cert_sign=True, crl_sign=True,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip
    builder = (
        _builder(x509, name, name, key, LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.NameConstraints(_permitted(x509), None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return _pem(builder.sign(key, _sha256()), key)


def _permitted(x509: Any) -> list[Any]:
    domains = [x509.DNSName(name) for name in dict.fromkeys((*DOMAINS, _machine()))]
    return domains + [x509.IPAddress(ipaddress.ip_network(each)) for each in NETWORKS]


def _signed(folder: Path, names: list[str]) -> bytes:
    """A certificate for `names`, and its key."""
    x509 = _x509()
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    signer = _load(folder / CERTIFICATE)
    signing: Any = load_pem_private_key((folder / KEY).read_bytes(), None)
    key = _new_key()
    purpose = x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.SERVER_AUTH])
    issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key())
    builder = (
        _builder(x509, _name(x509, "Carboy development server"), signer.subject, key, SERVER_LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(_alternatives(x509, names)), critical=False)
        .add_extension(purpose, critical=False)
        .add_extension(issuer_key, critical=False)
    )
    return b"".join(_pem(builder.sign(signing, _sha256()), key))


def _alternatives(x509: Any, names: list[str]) -> list[Any]:
    found: list[Any] = []
    for name in names:
        try:
            found.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            found.append(x509.DNSName(name))
    return found


def _builder(x509: Any, subject: Any, issuer: Any, key: Any, life: datetime.timedelta) -> Any:
    return (
        x509.CertificateBuilder(subject_name=subject, issuer_name=issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_now() - datetime.timedelta(hours=1))  # clocks of telephones differ
        .not_valid_after(_now() + life)
    )


def _name(x509: Any, text: str) -> Any:
    return x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, text)])


def _new_key() -> Any:
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.generate_private_key(ec.SECP256R1())


def _sha256() -> Any:
    from cryptography.hazmat.primitives import hashes

    return hashes.SHA256()


def _pem(certificate: Any, key: Any) -> tuple[bytes, bytes]:
    from cryptography.hazmat.primitives import serialization as form

    kind = form.PrivateFormat.PKCS8
    return (
        certificate.public_bytes(form.Encoding.PEM),
        key.private_bytes(form.Encoding.PEM, kind, form.NoEncryption()),
    )


def _load(file: Path) -> Any:
    return _x509().load_pem_x509_certificate(file.read_bytes())


def _x509() -> Any:
    try:
        from cryptography import x509
    except ImportError:
        raise AuthorityError(
            "Making certificates needs the package cryptography: pip install cryptography."
        ) from None
    return x509


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _write(file: Path, octets: bytes) -> None:
    """All or nothing, and for its owner only: another program may be starting as well."""
    fresh = file.with_name(f"{file.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(octets)
    fresh.replace(file)


def how_to_trust(certificate: Path, platform: str = sys.platform) -> list[str]:
    """Lines for the user: what to run once, so that browsers here trust what it signs."""
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
