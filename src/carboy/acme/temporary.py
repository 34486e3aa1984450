"""The certificate that a server uses until the first one has been issued.

It signs itself, so that clients do not trust it, and is in the file of the certificate, which all
processes load again when it changes.
"""

from __future__ import annotations

from pathlib import Path

from carboy.net.x509 import Certificate, parse_pem

COMMON_NAME = "Carboy temporary certificate"
BEGIN, END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"


def first(file: Path) -> Certificate | None:
    """The first certificate of a file, or None."""
    try:
        _, begin, rest = file.read_text("ascii").partition(BEGIN)
        return parse_pem(begin + rest.partition(END)[0] + END)
    except (OSError, ValueError):
        return None


def issued(file: Path) -> Certificate | None:
    """The certificate that an authority has issued; None if there is only a temporary one."""
    found = first(file)
    return None if found is None or is_temporary(found) else found


def is_temporary(certificate: Certificate) -> bool:
    """Whether a certificate is one that signs itself until another one has been issued."""
    return certificate.subject == ((("commonName", COMMON_NAME),),)
