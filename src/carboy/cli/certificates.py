"""The state of certificates that the server orders, for the terminal."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from carboy.acme import renewal
from carboy.acme.settings import AcmeSettings
from carboy.acme.store import Status, Store
from carboy.acme.temporary import issued
from carboy.net.x509 import Certificate


@dataclass(frozen=True, slots=True)
class Known:
    """One certificate of the state folder."""

    names: tuple[str, ...]
    file: Path
    status: Status
    certificate: Certificate | None  # None: a temporary one

    @property
    def next_attempt(self) -> float:
        """Seconds since the epoch; 0: at once."""
        return renewal.due(self.status, self.certificate, self.names)

    def days_left(self, now: float) -> int | None:
        """Whole days until the certificate expires; None without one."""
        if self.certificate is None:
            return None
        return int((self.certificate.ends.timestamp() - now) // (24 * 3600))

    def document(self, now: float) -> dict[str, Any]:
        """The facts for --json."""
        found = self.certificate
        at = self.next_attempt
        return {
            "names": list(self.names),
            "issuer": issuer(found),
            "begins": None if found is None else found.begins.isoformat(),
            "ends": None if found is None else found.ends.isoformat(),
            "days_left": self.days_left(now),
            "file": str(self.file),
            "directory": self.status.directory,
            "challenge": self.status.kind or None,
            "next_attempt": None if at <= now else iso(at),
            "last_attempt": iso(self.status.attempted) if self.status.attempted else None,
            "failures": self.status.failures,
            "last_error": self.status.problem or None,
        }


def known(store: Store, name: str, names: tuple[str, ...] = ()) -> Known:
    """The certificate whose first name is `name`."""
    status = store.status(name)
    found = issued(store.certificate(name))
    have = () if found is None else found.names
    return Known(names or status.names or have or (name,), store.certificate(name), status, found)


def iso(at: float) -> str:
    """A time in the form of ISO 8601, without fractions of a second."""
    return datetime.fromtimestamp(int(at), UTC).isoformat()


def issuer(certificate: Certificate | None) -> str | None:
    """The name of the authority: its common name, or its whole name."""
    if certificate is None:
        return None
    values = {kind: value for part in certificate.issuer for kind, value in part}
    organisation, common = values.get("organizationName"), values.get("commonName")
    return ", ".join(filter(None, (organisation, common))) or "unknown"


def lines(settings: AcmeSettings) -> list[str]:
    """The lines of the start message."""
    store = Store(settings.state)
    name = settings.names[0]
    found = known(store, name, settings.names)
    now = time.time()
    shown = ", ".join(found.names[:3])
    if len(found.names) > 3:
        shown += f" and {len(found.names) - 3} more"
    if found.certificate is None:
        line = f"Certificate: {shown}, temporary until {settings.authority} has issued one"
    else:
        days = found.days_left(now)
        at = found.next_attempt
        when = "now" if at <= now else f"from {renewal.moment(at)} on"
        line = f"Certificate: {shown} ({days} days left), renewed {when}"
    return [line, f"State: {store.root}"]
