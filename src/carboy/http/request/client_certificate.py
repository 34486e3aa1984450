"""The certificate with which a client has identified itself over TLS."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple


class ClientCertificate(NamedTuple):
    """A certificate that the server has verified. What another server does not tell is empty."""

    pem: str
    subject: str = ""  # RFC 4514: "CN=me,O=Carboy"
    common_name: str = ""
    issuer: str = ""
    serial: str = ""  # hexadecimal digits
    fingerprint: str = ""  # SHA-256, hexadecimal digits
    begins: datetime | None = None
    ends: datetime | None = None


def client_certificate(request: Any) -> ClientCertificate | None:
    """The certificate of the client; None if it was not asked for one, or has none."""
    environ = request.environ
    pem = environ.get("SSL_CLIENT_CERT")
    # Apache sets the certificate of a client that it could not verify, too.
    if not pem or environ.get("SSL_CLIENT_VERIFY", "SUCCESS") != "SUCCESS":
        return None
    return ClientCertificate(
        pem=pem,
        subject=_text(environ, "S_DN"),
        common_name=_text(environ, "S_DN_CN"),
        issuer=_text(environ, "I_DN"),
        serial=_text(environ, "M_SERIAL"),
        fingerprint=_text(environ, "FINGERPRINT"),
        begins=_time(_text(environ, "V_START")),
        ends=_time(_text(environ, "V_END")),
    )


def _text(environ: Mapping[str, Any], name: str) -> str:
    return str(environ.get(f"SSL_CLIENT_{name}", ""))


def _time(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%b %d %H:%M:%S %Y GMT").replace(tzinfo=UTC)
    except ValueError:
        return None
