"""When a certificate is ordered: decisions without files, network or clock.

A certificate is renewed at two thirds of its lifetime, and a little later by a share that differs
between certificates, so that an authority does not get the requests of all its users at once. An
authority with ACME Renewal Information (RFC 9773) says when it wants to renew.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from carboy.acme.store import Status
from carboy.net.x509 import Certificate

SHARE = 2 / 3
JITTER = 1 / 30  # of the lifetime: 3 days of 90
MINUTE, HOUR = 60.0, 3600.0
# Five failed validations an hour are the limit of Let's Encrypt, and an attempt may make two.
REFUSED_FIRST, REFUSED_MOST = 5 * MINUTE, 12 * HOUR
UNREACHABLE_FIRST, UNREACHABLE_MOST = MINUTE, HOUR
RATE_LIMITED = HOUR  # without a time from the authority
AGAIN = MINUTE  # between two attempts of programs that are started again and again
ASK_LEAST, ASK_MOST, ASK_USUAL = MINUTE, 24 * HOUR, 6 * HOUR  # RFC 9773, section 4.3.3


@dataclass(frozen=True, slots=True)
class Window:
    """The time in which an authority wants a certificate to be renewed."""

    start: float
    end: float
    explanation: str = ""


def share_of(certificate: Certificate) -> float:
    """A number from 0 to 1, the same each time for one certificate."""
    return int(certificate.fingerprint[:8], 16) / 0xFFFFFFFF


def renewal_time(certificate: Certificate, window: Window | None = None) -> float:
    """The time to renew, in seconds since the epoch."""
    share = share_of(certificate)
    if window is not None:
        return window.start + share * (window.end - window.start)
    begins, ends = certificate.begins.timestamp(), certificate.ends.timestamp()
    return begins + (ends - begins) * (SHARE + JITTER * share)


def next_question(now: float, retry_at: float | None) -> float:
    """When to ask for the window again; `retry_at` is the time that the authority has named."""
    wanted = now + ASK_USUAL if retry_at is None else retry_at
    return min(max(wanted, now + ASK_LEAST), now + ASK_MOST)


def succeeded(status: Status, now: float) -> Status:
    """The status after a certificate has been saved."""
    return replace(status, problem="", failures=0, attempted=now, retry_at=0.0, told=False)


def failed(
    status: Status,
    now: float,
    problem: str,
    *,
    unreachable: bool = False,
    rate_limited: bool = False,
    retry_at: float | None = None,
    share: float | None = None,
) -> Status:
    """The status after an attempt that has failed.

    The pause doubles with each failure, with a tenth of jitter, and is never shorter than what the
    authority says.
    """
    failures = status.failures + 1
    first, most = (
        (UNREACHABLE_FIRST, UNREACHABLE_MOST) if unreachable else (REFUSED_FIRST, REFUSED_MOST)
    )
    pause = min(first * 2 ** min(failures - 1, 20), most)
    if rate_limited and retry_at is None:
        pause = max(pause, RATE_LIMITED)
    pause *= 1 + (random.random() if share is None else share) / 10
    at = now + pause
    told = retry_at is not None and (rate_limited or retry_at > at)
    if retry_at is not None:
        at = max(at, retry_at)
    return replace(
        status, problem=problem, failures=failures, attempted=now, retry_at=at, told=told
    )


def after_start(status: Status, now: float) -> Status:
    """The status when a user starts the program, who may have corrected what was wrong.

    The next attempt is made at once, unless the authority has said when or the last one was made
    just now.
    """
    if not status.failures or status.told:
        return status
    return replace(status, retry_at=min(status.retry_at, status.attempted + AGAIN))


def due(status: Status, certificate: Certificate | None, names: tuple[str, ...]) -> float:
    """When a certificate is ordered, in seconds since the epoch; 0: at once.

    `certificate` is None if there is only a temporary one.
    """
    if certificate is None or not set(names) <= set(certificate.names):
        return status.retry_at
    return max(status.renew_at or renewal_time(certificate), status.retry_at)


def moment(at: float) -> str:
    """A time for people: 2026-11-30 03:05 UTC."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"
