"""Errors on the way to a certificate, and what a user can do about each (RFC 8555, section 6.7)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

PREFIX = "urn:ietf:params:acme:error:"
HTTP_01, TLS_ALPN_01 = "http-01", "tls-alpn-01"
PORTS = {HTTP_01: 80, TLS_ALPN_01: 443}
ADVICE = {
    "accountDoesNotExist": "The next attempt makes another account.",
    "caa": "A CAA record in DNS does not allow this authority for the name. Change the record, or"
    " choose another authority with --acme-directory.",
    "dns": "The name was not found in DNS. Add an A or AAAA record that leads to this machine.",
    "externalAccountRequired": "This authority requires an account that is made on its own pages,"
    " which Carboy does not support. Choose another one with --acme-directory.",
    "invalidContact": "Correct --acme-email.",
    "rateLimited": "The authority has a limit for orders.",
    "rejectedIdentifier": "This authority does not issue certificates for the name. Use a public"
    " name of your own, or choose another authority with --acme-directory.",
    "serverInternal": "The authority has a problem of its own, which usually passes.",
    "unsupportedContact": "Correct --acme-email.",
    "unsupportedIdentifier": "This authority does not issue certificates for such names.",
    "userActionRequired": "The authority asks for an action of its user. Open the page it names.",
}
_connection = (
    "Check that port {port} of {name} leads to this server: the firewall, the router, and A and"
    " AAAA records in DNS."
)
_other_server = (
    "Another server has answered for {name}. Check that its A and AAAA records lead to this"
    " machine, and that no proxy answers port {port} instead of Carboy."
)
# of a challenge that has failed
CHALLENGE_ADVICE = {
    "connection": _connection,
    "incorrectResponse": _other_server,
    "malformed": _other_server,
    "tls": _other_server,
    "unauthorized": _other_server,
}


class AcmeError(Exception):
    """An attempt has failed. The text says why and what to do."""

    retry_at: float | None = None  # the time that the authority has named
    rate_limited = False
    unreachable = False


class Unreachable(AcmeError):
    """The authority does not answer, or not with ACME."""

    unreachable = True


class Stopped(Exception):
    """The server stops while it waits for the authority."""


@dataclass(frozen=True, slots=True)
class Detail:
    """A problem document (RFC 7807)."""

    kind: str  # without PREFIX
    text: str

    @classmethod
    def of(cls, document: Any, default: str = "The authority gives no reason.") -> Detail:
        """The first specific problem of a document of an authority."""
        if not isinstance(document, dict):
            return cls("", default)
        parts = document.get("subproblems")
        texts = [str(document.get("detail") or default).strip()]
        kind = str(document.get("type") or "").removeprefix(PREFIX)
        for part in parts if isinstance(parts, list) else ():
            if isinstance(part, dict) and part.get("detail"):
                found = part.get("identifier")
                name = found.get("value") if isinstance(found, dict) else None
                texts.append(f"{name}: {part['detail']}" if name else str(part["detail"]))
                if kind in ("compound", "malformed", ""):
                    kind = str(part.get("type") or "").removeprefix(PREFIX)
        return cls(kind, " ".join(map(_sentence, texts)))


class Refused(AcmeError):
    """The authority has answered with an error."""

    def __init__(
        self, status: int, detail: Detail, retry_at: float | None = None, page: str = ""
    ) -> None:
        advice = ADVICE.get(detail.kind, "")
        more = f" {page}" if page and detail.kind == "userActionRequired" else ""
        super().__init__(f"The authority says: {detail.text} {advice}{more}".strip())
        self.status = status
        self.detail = detail
        self.rate_limited = detail.kind == "rateLimited"
        self.retry_at = retry_at


class ChallengeFailed(AcmeError):
    """The authority could not confirm a name."""

    def __init__(self, name: str, kind: str, detail: Detail) -> None:
        port = PORTS.get(kind, 443)
        advice = CHALLENGE_ADVICE.get(detail.kind, "") or ADVICE.get(detail.kind, "")
        advice = advice.format(name=name, port=port)
        super().__init__(f"{kind} for {name} failed: {detail.text} {advice}".strip())
        self.name = name
        self.kind = kind
        self.detail = detail
        self.rate_limited = detail.kind == "rateLimited"


def _sentence(text: str) -> str:
    text = text.strip()
    return text if text.endswith((".", "!", "?")) else f"{text}."
