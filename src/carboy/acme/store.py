"""The files of the state folder: accounts, certificates, challenges, attempts.

    acme/accounts/HOST-HASH.json            key and URL of the account at an authority
    acme/certificates/NAME/certificate.pem  key and chain, in one file, so that both change at once
    acme/certificates/NAME/status.json      last attempt and next one
    acme/certificates/NAME/order.json       an order that is not complete, with the key for it
    acme/certificates/NAME/lock             held by the process that orders
    acme/certificates/NAME/renew            a request for a new certificate (`carboy certs renew`)
    acme/challenges/TOKEN                   a response to http-01
    acme/challenges/NAME.pem                a certificate for tls-alpn-01

Only the owner can use the folder and its files. A file is written beside the old one, synced and
renamed, so a full disk or a crash leaves the old file.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from carboy.acme.lock import FileLock

is_token = re.compile(r"[A-Za-z0-9_-]{1,200}").fullmatch  # base64url (RFC 8555, section 8.3)
_name = re.compile(r"[a-z0-9][a-z0-9.-]{0,252}").fullmatch
OLD = 24 * 3600.0  # seconds after which a challenge or half a file is left over from a crash


class StateError(Exception):
    """A file of the state folder cannot be read or written. The text says what to do."""


@dataclass(frozen=True, slots=True)
class Account:
    """The account at one directory."""

    directory: str
    url: str
    key: str  # PEM
    email: str = ""


@dataclass(frozen=True, slots=True)
class Status:
    """The state of one certificate; times are seconds since the epoch, 0 without one."""

    names: tuple[str, ...] = ()
    directory: str = ""
    kind: str = ""  # the challenge that worked
    problem: str = ""  # of the last attempt
    failures: int = 0  # since the last success
    attempted: float = 0.0
    retry_at: float = 0.0
    told: bool = False  # the authority has set retry_at
    renew_at: float = 0.0
    ask_at: float = 0.0  # when the authority is asked again when to renew (RFC 9773)
    answered: str = ""  # the last request of `carboy certs renew` that was carried out


@dataclass(frozen=True, slots=True)
class Pending:
    """An order that has been made, and the key of its certificate."""

    directory: str
    names: tuple[str, ...]
    url: str
    key: str  # PEM


class Store:
    """The files below a state folder. Methods that write raise StateError."""

    def __init__(self, state: Path) -> None:
        self.root = state / "acme"
        self._certificates = self.root / "certificates"
        self._challenges = self.root / "challenges"

    def prepare(self, name: str) -> None:
        """Make the folders for a certificate; no other user may enter them."""
        for folder in (self.root, self.root / "accounts", self._certificates, self._challenges,
                       self.folder(name)):  # fmt: skip
            with _explained(folder):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                if folder == self.root and os.name == "posix":
                    folder.chmod(0o700)
        self._remove_old()

    # --- certificates

    def folder(self, name: str) -> Path:
        return self._certificates / name

    def certificate(self, name: str) -> Path:
        """The file of the certificate with its key."""
        return self.folder(name) / "certificate.pem"

    def lock(self, name: str) -> FileLock:
        return FileLock(self.folder(name) / "lock")

    def save_certificate(self, name: str, pem: bytes) -> None:
        write(self.certificate(name), pem)

    def names(self) -> list[str]:
        """The first name of every certificate."""
        with contextlib.suppress(OSError):
            return sorted(each.name for each in self._certificates.iterdir() if each.is_dir())
        return []

    def status(self, name: str) -> Status:
        """The status; an empty one if there is none, or if the file is damaged."""
        return _read(self.folder(name) / "status.json", Status) or Status()

    def save_status(self, name: str, status: Status) -> None:
        _write(self.folder(name) / "status.json", status)

    # --- orders

    def pending(self, name: str) -> Pending | None:
        """The order that a process before this one has not completed."""
        found: Pending | None = _read(self.folder(name) / "order.json", Pending)
        return found

    def save_pending(self, name: str, pending: Pending | None) -> None:
        """Keep an order, or forget it."""
        file = self.folder(name) / "order.json"
        if pending is None:
            _remove(file)
        else:
            _write(file, pending)

    # --- requests of `carboy certs renew`

    def ask(self, name: str) -> str:
        """Ask the process that holds the lock for a new certificate; returns the request."""
        request = secrets.token_hex(8)
        write(self.folder(name) / "renew", request.encode())
        return request

    def asked(self, name: str) -> str:
        """The request that is open, or ""."""
        try:
            return (self.folder(name) / "renew").read_text("ascii")
        except (OSError, UnicodeDecodeError):
            return ""

    def forget_request(self, name: str) -> None:
        _remove(self.folder(name) / "renew")

    # --- accounts

    def account(self, directory: str) -> Account | None:
        """The account at a directory, if there is one."""
        found = _read(self._account(directory), Account)
        return found if found is not None and found.directory == directory else None

    def save_account(self, account: Account) -> None:
        _write(self._account(account.directory), account)

    def _account(self, directory: str) -> Path:
        host = re.sub("[^a-z0-9.-]", "-", urlsplit(directory).netloc.lower())
        digest = hashlib.sha256(directory.encode()).hexdigest()[:8]
        return self.root / "accounts" / f"{host}-{digest}.json"

    # --- challenges

    def publish(self, file: str, data: bytes) -> None:
        """Have every process with this state folder answer a challenge."""
        write(self._challenges / file, data)

    def withdraw(self, file: str) -> None:
        """End an answer."""
        _remove(self._challenges / file)

    def response(self, token: str) -> bytes | None:
        """The response to http-01 for a token that a client names; None without one."""
        if not is_token(token):
            return None
        try:
            return (self._challenges / token).read_bytes()
        except OSError:
            return None

    def challenge_certificate(self, name: str) -> Path | None:
        """The file of the certificate for tls-alpn-01 of a name that a client names."""
        if not _name(name):
            return None
        file = self._challenges / f"{name}.pem"
        return file if file.exists() else None

    def _remove_old(self) -> None:
        """Remove what processes that were killed have left."""
        with contextlib.suppress(OSError):
            for file in [*self._challenges.iterdir(), *self.root.rglob("*.new-*")]:
                if file.stat().st_mtime < time.time() - OLD:
                    _remove(file)


def write(file: Path, data: bytes) -> None:
    """Replace a file at once by one that only its owner can read. Raises StateError."""
    fresh = file.with_name(f"{file.name}.new-{secrets.token_hex(4)}")
    with _explained(file):
        try:
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as opened:
                opened.write(data)
                opened.flush()
                os.fsync(opened.fileno())
            fresh.replace(file)
        except BaseException:
            _remove(fresh)
            raise
        _sync_folder(file.parent)


def _sync_folder(folder: Path) -> None:
    """Have the new name survive a crash, where folders can be opened."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _remove(file: Path) -> None:
    with contextlib.suppress(OSError):
        file.unlink()


@contextlib.contextmanager
def _explained(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as problem:
        raise StateError(
            f"{file} cannot be written: {problem.strerror}. Correct that, or use another folder"
            " with --state."
        ) from None


def _write(file: Path, value: Any) -> None:
    write(file, json.dumps(asdict(value), indent=1).encode())


def _read(file: Path, kind: type[Any]) -> Any:
    """The dataclass in a file; None if there is none, or if it is damaged."""
    try:
        found = json.loads(file.read_bytes())
        known = {each.name: found[each.name] for each in fields(kind) if each.name in found}
        value = kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in known.items()})
        return value if _has_types(value) else None
    except (OSError, ValueError, TypeError):
        return None


def _has_types(value: Any) -> bool:
    kinds = {"str": str, "float": int | float, "int": int, "bool": bool, "tuple[str, ...]": tuple}
    return all(
        isinstance(getattr(value, each.name), kinds[str(each.type)]) for each in fields(value)
    )
