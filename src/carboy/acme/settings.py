"""The settings of certificates that the server orders: names, authority, folder."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from carboy.acme.names import hosts

PRODUCTION = "https://acme-v02.api.letsencrypt.org/directory"
STAGING = "https://acme-staging-v02.api.letsencrypt.org/directory"
LOOPBACK = ("localhost", "127.0.0.1", "::1")
HOW_TO_INSTALL = "pip install 'carboy[tls]'"


@dataclass(frozen=True, slots=True, kw_only=True)
class AcmeSettings:
    """One certificate with all names, from one authority."""

    names: tuple[str, ...]
    directory: str = PRODUCTION
    email: str = ""
    ca: str = ""  # file of authorities that the directory's own certificate is checked with
    state: Path

    @property
    def authority(self) -> str:
        """The host of the directory, for people."""
        return urlsplit(self.directory).netloc

    def renew_command(self) -> str:
        """The command that renews the certificate at once."""
        import shlex

        usual = self.state == state_folder()
        more = "" if usual else f" --state {shlex.quote(str(self.state))}"
        return f"carboy certs{more} renew {self.names[0]}"


def acme_settings(
    domain: str | Iterable[str] = (),
    acme_email: str | None = None,
    acme_directory: str | None = None,
    acme_staging: bool = False,
    acme_ca: str | None = None,
    state: str | Path | None = None,
) -> AcmeSettings | None:
    """The settings, or None without a domain. Raises ValueError for values that cannot work."""
    names = hosts([domain] if isinstance(domain, str) else domain)
    if not names:
        given = {"--acme-email": acme_email, "--acme-directory": acme_directory,
                 "--acme-staging": acme_staging, "--acme-ca": acme_ca}  # fmt: skip
        for option, value in given.items():
            if value:
                raise ValueError(f"{option} requires --domain.")
        return None
    if acme_staging and acme_directory:
        raise ValueError("--acme-staging is a directory of its own. Leave out --acme-directory.")
    if find_spec("cryptography") is None:
        raise ValueError(
            f"--domain requires the package cryptography. Install it with {HOW_TO_INSTALL}."
        )
    if acme_ca:
        _check_readable(acme_ca)
    usual = STAGING if acme_staging else PRODUCTION
    return AcmeSettings(
        names=names,
        directory=_checked_directory(acme_directory or usual),
        email=_checked_email(acme_email or ""),
        ca=str(Path(acme_ca).absolute()) if acme_ca else "",
        state=Path(state).absolute() if state else state_folder(),
    )


def state_folder() -> Path:
    """The folder for the state of the user's programs: systemd's, or that of XDG.

    STATE_DIRECTORY is set by systemd for services with StateDirectory=, and may list several.
    """
    if given := os.environ.get("STATE_DIRECTORY"):
        return Path(given.partition(":")[0])
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "carboy"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home()) / "carboy"
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "carboy"


def _checked_directory(url: str) -> str:
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        host = None
    if host and (parts.scheme == "https" or (parts.scheme == "http" and host in LOOPBACK)):
        return url
    raise ValueError(
        f"--acme-directory {url} is not the URL of a directory. Use one that begins with https://,"
        f" such as {PRODUCTION}."
    )


def _checked_email(email: str) -> str:
    local, _, host = email.rpartition("@")
    if email and (not local or not host or any(c.isspace() or c in ",?" for c in email)):
        raise ValueError(
            f"--acme-email {email} is not an address. Use one such as me@shop.example."
        )
    return email


def _check_readable(file: str) -> None:
    try:
        Path(file).read_bytes()
    except OSError as problem:
        raise ValueError(
            f"--acme-ca {file} cannot be read: {problem.strerror}. Use a file with a certificate"
            " in PEM format."
        ) from None
