"""The protocol of an authority: directory, nonces, signed requests, account (RFC 8555)."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from carboy.acme.jws import Signer
from carboy.acme.problems import Detail, Refused, Unreachable
from carboy.acme.transport import Reply

NEEDED = ("newNonce", "newAccount", "newOrder")
# An authority may refuse nonces at random, to test clients; a good one is in each refusal.
NONCES = 12

Send = Callable[..., Reply]


class Client:
    """One directory, and the account there once `account` is set."""

    def __init__(self, directory: str, signer: Signer, send: Send) -> None:
        self.signer = signer
        self.account = ""  # URL
        self._send = send
        self._nonce: str | None = None
        self._urls = self._read(directory)

    def _read(self, directory: str) -> dict[str, Any]:
        reply = self._send(directory)
        if reply.status >= 400:
            raise _unexpected(reply)
        urls = reply.document()
        if not all(isinstance(urls.get(name), str) for name in NEEDED):
            raise Unreachable(
                f"{directory} is not an ACME directory (RFC 8555). Check --acme-directory."
            )
        return urls

    # --- what the directory says

    def terms(self) -> str:
        """The URL of the terms of service, or ""."""
        return str(self._meta().get("termsOfService") or "")

    def needs_external_account(self) -> bool:
        return self._meta().get("externalAccountRequired") is True

    def renewal_info(self) -> str:
        """The URL of renewal information (RFC 9773), or ""."""
        found = self._urls.get("renewalInfo")
        return found if isinstance(found, str) else ""

    def url(self, name: str) -> str:
        return str(self._urls[name])

    def _meta(self) -> dict[str, Any]:
        found = self._urls.get("meta")
        return found if isinstance(found, dict) else {}

    # --- requests

    def get(self, url: str) -> Reply:
        """An unsigned GET, as for renewal information. Raises Refused."""
        reply = self._send(url)
        if reply.status >= 400:
            raise refusal(reply)
        return reply

    def post(self, url: str, payload: dict[str, Any] | None, accept: str = "") -> Reply:
        """A signed request; `payload` None is a POST-as-GET. Raises Refused.

        A nonce that is refused is replaced by the one in the refusal (RFC 8555, section 6.5).
        """
        body = b"" if payload is None else json.dumps(payload).encode()
        for _ in range(NONCES):
            who = {"kid": self.account} if self.account else {"jwk": self.signer.jwk}
            head = {"nonce": self._take_nonce(), "url": url, **who}
            reply = self._send(url, "POST", self.signer.sign(head, body), accept)
            self._nonce = reply.headers.get("Replay-Nonce")
            if reply.status < 300:
                return reply
            problem = refusal(reply)
            if problem.detail.kind != "badNonce":
                break
        raise problem

    def _take_nonce(self) -> str:
        nonce, self._nonce = self._nonce, None
        if nonce is None:
            reply = self._send(self.url("newNonce"), "HEAD")
            nonce = reply.headers.get("Replay-Nonce")
            if nonce is None:
                raise _unexpected(reply)
        return nonce

    # --- the account

    def register(self, email: str) -> tuple[str, bool]:
        """Make an account for the key, or find the one it has; returns its URL and whether new."""
        self.account = ""
        wanted: dict[str, Any] = {"termsOfServiceAgreed": True}
        if email:
            wanted["contact"] = [f"mailto:{email}"]
        reply = self.post(self.url("newAccount"), wanted)
        self.account = location(reply)
        return self.account, reply.status == 201

    def change_email(self, email: str) -> None:
        """Replace the contact of the account."""
        self.post(self.account, {"contact": [f"mailto:{email}"] if email else []})


def location(reply: Reply) -> str:
    """The URL of what a request has made. Raises Unreachable without one."""
    found = reply.headers.get("Location")
    if not found:
        raise Unreachable(f"{reply.url} does not name what it has made. Check --acme-directory.")
    return found


def refusal(reply: Reply) -> Refused:
    """The error in a reply."""
    try:
        document: Any = json.loads(reply.body)
    except ValueError:
        document = None
    detail = Detail.of(document, f"{reply.url} answers with the status {reply.status}.")
    if reply.status == 429 and detail.kind != "rateLimited":
        detail = Detail("rateLimited", detail.text)
    page = str(document.get("instance") or "") if isinstance(document, dict) else ""
    found = Refused(reply.status, detail, reply.retry_at(time.time()), page)
    found.unreachable = reply.status >= 500 and detail.kind in ("", "serverInternal")
    return found


def _unexpected(reply: Reply) -> Unreachable:
    problem = Unreachable(
        f"{reply.url} answers with the status {reply.status}. Check --acme-directory, or wait if"
        " the authority is in maintenance."
    )
    problem.retry_at = reply.retry_at(time.time())
    return problem
