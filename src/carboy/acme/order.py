"""One order: names are confirmed, the certificate is made, the chain is fetched (RFC 8555, 7.4).

    pending ──▶ ready ──▶ processing ──▶ valid      each can become invalid

An order is kept in the store from its beginning, with the key of its certificate, so that a process
that is started again continues it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from carboy.acme.challenges import answer, belongs, request
from carboy.acme.client import Client, location
from carboy.acme.jws import key_of, new_key, pem_of
from carboy.acme.problems import AcmeError, ChallengeFailed, Detail, Refused
from carboy.acme.renewal import moment
from carboy.acme.store import Pending, Store, is_token
from carboy.net.x509 import parse_pem

log = logging.getLogger("carboy.error")

CHAIN = "application/pem-certificate-chain"
END = b"-----END CERTIFICATE-----"
FIRST_POLL, MOST_POLL = 0.5, 10.0  # seconds between two questions, without Retry-After
PATIENCE = 15 * 60.0  # seconds for one step of the authority
LONGEST_POLL = 5 * 60.0


@dataclass(frozen=True, slots=True)
class Issued:
    """Key and chain in PEM format, and the challenge that worked; "": none was needed."""

    pem: bytes
    kind: str


class Ordering:
    """Orders one certificate. `pause` waits some seconds, and raises Stopped at a stop."""

    def __init__(
        self,
        client: Client,
        store: Store,
        directory: str,
        names: tuple[str, ...],
        *,
        pause: Callable[[float], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._store = store
        self._directory = directory
        self._names = names
        self._pause = pause
        self._clock = clock
        self._worked = ""

    def obtain(self, kinds: tuple[str, ...], replaces: str = "") -> Issued:
        """Order with the first of the challenges that works. Raises AcmeError and Stopped."""
        problems: list[ChallengeFailed] = []
        for kind in kinds:
            try:
                return self._attempt(kind, replaces)
            except ChallengeFailed as problem:
                problems.append(problem)
                if not _another_may_work(problem):
                    break
                if kind != kinds[-1]:
                    log.warning("%s The other challenge is tried next.", problem)
        raise _combined(problems)

    def _attempt(self, kind: str, replaces: str) -> Issued:
        pending = self._continued() or self._new(replaces)
        try:
            return self._complete(pending, kind)
        except AcmeError as problem:
            # What may still succeed is kept, so that the next attempt continues it.
            if not problem.unreachable and not problem.rate_limited:
                self._store.save_pending(self._names[0], None)
            raise

    def _continued(self) -> Pending | None:
        """The order of a process before this one, if it can still succeed."""
        found = self._store.pending(self._names[0])
        if found is None:
            return None
        try:
            if (found.directory, found.names) == (self._directory, self._names):
                order = self._client.post(found.url, None).document()
                key_of(found.key)
                if order.get("status") != "invalid" and self._clock() < _expiry(order):
                    log.info("An order that was begun before is continued.")
                    return found
        except Refused as problem:
            if problem.rate_limited or problem.unreachable:
                raise
        except ValueError:
            pass
        self._store.save_pending(self._names[0], None)
        return None

    def _new(self, replaces: str) -> Pending:
        key = pem_of(new_key())
        wanted: dict[str, Any] = {
            "identifiers": [{"type": "dns", "value": name} for name in self._names]
        }
        url = self._client.url("newOrder")
        try:
            more = {"replaces": replaces} if replaces else {}
            reply = self._client.post(url, wanted | more)
        except Refused as problem:
            # The certificate may be unknown to the authority, or replaced (RFC 9773, section 5).
            if not replaces or problem.rate_limited or problem.unreachable:
                raise
            reply = self._client.post(url, wanted)
        pending = Pending(self._directory, self._names, location(reply), key)
        self._store.save_pending(self._names[0], pending)
        return pending

    def _complete(self, pending: Pending, kind: str) -> Issued:
        order = self._client.post(pending.url, None).document()
        if order.get("status") == "pending":
            for url in _urls(order, "authorizations"):
                self._confirm(url, kind)
        chain = self._certificate(pending)
        key = key_of(pending.key)
        _check(chain, key, self._names)
        return Issued(pending.key.encode() + chain, self._worked)

    # --- names

    def _confirm(self, url: str, kind: str) -> None:
        """Have the authority confirm one name."""
        document = self._client.post(url, None).document()
        name = _name_of(document)
        if name not in self._names:
            raise AcmeError(
                f"The authority wants to confirm {name!r}, which was not ordered. Check"
                " --acme-directory."
            )
        if document.get("status") == "valid":
            log.info("%s: the authority has confirmed the name before.", name)
            return
        found = _challenge(document, kind)
        if document.get("status") != "pending" or found is None:
            raise ChallengeFailed(name, kind, _why_not(document, found))
        token = str(found.get("token") or "")
        if not is_token(token):  # it names a file
            raise AcmeError(
                f"The authority has sent {token!r} as the token of a challenge, which RFC 8555 does"
                " not allow. Check --acme-directory."
            )
        served = answer(name, kind, token, self._client.signer)
        self._store.publish(served.file, served.data)
        try:
            log.info("%s: the authority checks the name by %s.", name, kind)
            if found.get("status") == "pending":
                self._client.post(str(found["url"]), {})
            document = self._poll(url, lambda each: each.get("status") != "pending")
        finally:
            self._store.withdraw(served.file)
        if document.get("status") != "valid":
            raise ChallengeFailed(name, kind, _why_not(document, _challenge(document, kind)))
        self._worked = kind
        log.info("%s: the authority has confirmed the name.", name)

    # --- the certificate

    def _certificate(self, pending: Pending) -> bytes:
        """The chain of an order whose names are confirmed."""
        order = self._poll(pending.url, lambda each: each.get("status") != "pending")
        if order.get("status") == "ready":
            log.info("The authority makes the certificate.")
            wanted = {"csr": request(key_of(pending.key), self._names)}
            self._client.post(str(order.get("finalize")), wanted)
            order = self._poll(pending.url, lambda each: each.get("status") in ("valid", "invalid"))
        elif order.get("status") == "processing":
            order = self._poll(pending.url, lambda each: each.get("status") in ("valid", "invalid"))
        if order.get("status") != "valid":
            detail = Detail.of(order.get("error"))
            raise Refused(200, Detail(detail.kind, f"The order has failed. {detail.text}"))
        return self._client.post(str(order.get("certificate")), None, accept=CHAIN).body

    def _poll(self, url: str, done: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Ask until `done`, at the intervals that the authority wants."""
        began = self._clock()
        interval = FIRST_POLL
        while True:
            reply = self._client.post(url, None)
            document = reply.document()
            if done(document):
                return document
            now = self._clock()
            if now >= _expiry(document):
                raise AcmeError(
                    f"The order expired at {moment(_expiry(document))}, before the authority had"
                    " finished. The next attempt makes a new one."
                )
            if now >= began + PATIENCE:
                problem = AcmeError(
                    f"The authority has not finished within {PATIENCE / 60:g} minutes. The next"
                    " attempt continues the order."
                )
                problem.unreachable = True
                raise problem
            named = reply.retry_at(now)
            self._pause(interval if named is None else min(max(named - now, 0.1), LONGEST_POLL))
            interval = min(interval * 1.5, MOST_POLL)


def _check(chain: bytes, key: Any, names: tuple[str, ...]) -> None:
    """Raise AcmeError for a chain that the server could not use."""
    try:
        first = parse_pem((chain.partition(END)[0] + END).decode("ascii"))
        problem = "" if belongs(chain, key) else "it is for another key"
        if not set(names) <= set(first.names):
            problem = "it does not have all names"
    except ValueError:
        problem = "it is damaged"
    if problem:
        raise AcmeError(f"The certificate of the authority cannot be used: {problem}.")


def _urls(order: dict[str, Any], member: str) -> list[str]:
    found = order.get(member)
    return [str(each) for each in found] if isinstance(found, list) else []


def _name_of(document: dict[str, Any]) -> str:
    found = document.get("identifier")
    return str(found.get("value")) if isinstance(found, dict) else "?"


def _challenge(document: dict[str, Any], kind: str) -> dict[str, Any] | None:
    found = document.get("challenges")
    for each in found if isinstance(found, list) else ():
        if isinstance(each, dict) and each.get("type") == kind and each.get("url"):
            return each
    return None


def _why_not(document: dict[str, Any], challenge: dict[str, Any] | None) -> Detail:
    """The reason why a name is not confirmed."""
    if challenge is None:
        return Detail("", "The authority does not offer this challenge.")
    state = document.get("status")
    return Detail.of(challenge.get("error"), f"The authority calls the authorization {state}.")


def _expiry(document: dict[str, Any]) -> float:
    try:
        return datetime.fromisoformat(str(document["expires"])).timestamp()
    except (KeyError, ValueError):
        return float("inf")


def _another_may_work(problem: ChallengeFailed) -> bool:
    """Whether another challenge could succeed: not if DNS or the authority's rules are against."""
    return problem.detail.kind not in ("caa", "dns", "rateLimited", "rejectedIdentifier")


def _combined(problems: list[ChallengeFailed]) -> AcmeError:
    if not problems:
        return AcmeError(
            "No challenge can be answered: the server has neither a plain port nor a port with TLS."
            " Use --bind HOST:443 or --redirect-http 80."
        )
    if len(problems) == 1:
        return problems[0]
    combined = AcmeError(" ".join(map(str, problems)))
    combined.rate_limited = any(each.rate_limited for each in problems)
    return combined
