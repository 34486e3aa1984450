"""When a certificate is ordered, decided without files, network or clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from carboy.acme.renewal import (
    Window,
    after_start,
    due,
    failed,
    next_question,
    renewal_time,
    share_of,
    succeeded,
)
from carboy.acme.store import Status
from carboy.net.x509 import Certificate

DAY, HOUR, MINUTE = 86400.0, 3600.0, 60.0
NOW = datetime(2026, 11, 30, tzinfo=UTC)


def certificate(days: float = 90, fingerprint: str = "80000000ff") -> Certificate:
    ends = NOW + timedelta(days=days)
    return Certificate(("a.example",), (), (), 1, NOW, ends, fingerprint)


@pytest.mark.parametrize(("days", "first", "last"), [(90, 60, 63), (6, 4, 4.2)])
def test_renewal_is_after_two_thirds_and_up_to_a_thirtieth(
    days: float, first: float, last: float
) -> None:
    begins = NOW.timestamp()
    assert renewal_time(certificate(days, "00000000")) == pytest.approx(begins + first * DAY)
    assert renewal_time(certificate(days, "ffffffff")) == pytest.approx(begins + last * DAY)
    assert renewal_time(certificate()) == renewal_time(certificate())


def test_the_window_of_the_authority_has_precedence() -> None:
    assert renewal_time(certificate(fingerprint="00000000"), Window(5.0, 9.0)) == 5.0
    assert renewal_time(certificate(fingerprint="ffffffff"), Window(5.0, 9.0)) == 9.0
    assert 0 < share_of(certificate()) < 1


@pytest.mark.parametrize(
    ("unreachable", "pauses"),
    [
        (False, [5, 10, 20, 40, 80, 160, 320, 640, 720, 720]),
        (True, [1, 2, 4, 8, 16, 32, 60, 60]),
    ],
)
def test_pauses_double_up_to_their_limit(unreachable: bool, pauses: list[float]) -> None:
    status = Status()
    for pause in pauses:
        status = failed(status, 1000.0, "x", unreachable=unreachable, share=0.0)
        assert status.retry_at == 1000.0 + pause * MINUTE
    assert succeeded(status, 2000.0).failures == 0
    assert failed(Status(failures=10**6), 0.0, "x", share=1.0).retry_at < 14 * HOUR


def test_the_authority_can_only_make_a_pause_longer() -> None:
    assert failed(Status(), 0.0, "x", retry_at=10.0, share=0.0).retry_at == 5 * MINUTE
    later = failed(Status(), 0.0, "x", retry_at=9000.0, share=0.0)
    assert (later.retry_at, later.told) == (9000.0, True)
    assert after_start(later, 100.0) == later
    limited = failed(Status(), 0.0, "x", rate_limited=True, share=0.0)
    assert limited.retry_at == HOUR


def test_a_start_makes_the_next_attempt_soon_but_not_at_once_again() -> None:
    status = failed(Status(failures=5), 1000.0, "x", share=0.0)
    assert after_start(status, 5000.0).retry_at == 1000.0 + MINUTE
    assert after_start(Status(), 5000.0) == Status()


def test_a_missing_certificate_or_name_is_ordered_at_once() -> None:
    assert due(Status(), None, ("a.example",)) == 0
    assert due(Status(), certificate(), ("a.example", "b.example")) == 0
    assert due(Status(retry_at=7.0), None, ("a.example",)) == 7.0
    assert due(Status(renew_at=5.0), certificate(), ("a.example",)) == 5.0


@pytest.mark.parametrize(
    ("named", "after"), [(None, 6 * HOUR), (1.0, MINUTE), (2 * HOUR, 2 * HOUR), (1e9, 24 * HOUR)]
)
def test_the_authority_is_asked_between_a_minute_and_a_day(
    named: float | None, after: float
) -> None:
    assert next_question(0.0, named) == after
