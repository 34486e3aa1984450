"""Orders and renewals with an authority that refuses, waits and forgets."""

from __future__ import annotations

import datetime
import json
import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from carboy.acme import order as ordering
from carboy.acme.keeper import Keeper
from carboy.acme.prepare import prepare
from carboy.acme.problems import HTTP_01, TLS_ALPN_01, Stopped
from carboy.acme.settings import AcmeSettings
from carboy.acme.store import Store, write
from carboy.acme.temporary import issued
from fake_directory import FakeDirectory, problem
from running import PATIENCE

NAME = "shop.example"
DAY = 24 * 3600.0


@pytest.fixture
def authority(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDirectory]:
    monkeypatch.setattr(ordering, "FIRST_POLL", 0.01)
    found = FakeDirectory()
    yield found
    found.close()


class Kept:
    """A keeper whose clock a test sets, and the files that it leaves."""

    def __init__(self, authority: FakeDirectory, state: Path, *more: str, **values: Any) -> None:
        self.settings = AcmeSettings(
            names=(NAME, *more), directory=authority.directory, state=state, **values
        )
        self.now = time.time()
        self.store: Store = prepare(self.settings)
        self.changes: list[None] = []
        self.keeper = self.another()

    def another(self, *kinds: str) -> Keeper:
        """The keeper of another process."""
        return Keeper(
            self.settings, kinds or (HTTP_01, TLS_ALPN_01), lambda: self.changes.append(None),
            lambda: self.now,
        )  # fmt: skip

    def turn(self, later: float = 0.0) -> None:
        self.now += later
        self.keeper.turn()

    @property
    def status(self) -> Any:
        return self.store.status(NAME)

    @property
    def fingerprint(self) -> str:
        found = issued(self.store.certificate(NAME))
        return "" if found is None else found.fingerprint


@pytest.fixture
def kept(authority: FakeDirectory, tmp_path: Path) -> Iterator[Kept]:
    found = Kept(authority, tmp_path)
    yield found
    found.keeper._lock.release()


def test_the_first_certificate_has_the_whole_chain(
    authority: FakeDirectory, kept: Kept, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    assert kept.fingerprint == ""
    kept.turn()
    text = kept.store.certificate(NAME).read_text()
    assert text.count("BEGIN CERTIFICATE") == 2
    assert text.startswith("-----BEGIN PRIVATE KEY-----")
    assert kept.status.kind == HTTP_01
    assert kept.changes == [None]
    assert authority.count("newAccount") == 1
    assert "https://terms.example/" in caplog.text
    assert list((kept.store.root / "challenges").iterdir()) == []


def test_a_renewal_is_made_at_two_thirds_of_the_lifetime_with_the_same_account(
    authority: FakeDirectory, kept: Kept
) -> None:
    kept.turn()
    before = kept.fingerprint
    kept.turn(59 * DAY)
    assert kept.fingerprint == before
    kept.turn(4 * DAY)
    assert kept.fingerprint != before
    assert authority.count("newAccount") == 1


def test_the_authority_says_when_to_renew_and_which_certificate_is_replaced(
    authority: FakeDirectory, kept: Kept, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    now = datetime.datetime.now(datetime.UTC)
    start, end = (now + datetime.timedelta(hours=hours) for hours in (10, 11))
    authority.window = {
        "suggestedWindow": {"start": start.isoformat(), "end": end.isoformat()},
        "explanationURL": "https://incident.example/",
    }
    kept.turn()
    before = kept.fingerprint
    kept.turn()
    assert start.timestamp() <= kept.status.renew_at <= end.timestamp()
    assert "https://incident.example/" in caplog.text
    kept.turn(9 * 3600)
    assert kept.fingerprint == before
    kept.turn(2 * 3600)
    assert kept.fingerprint != before
    orders = [payload for resource, payload in authority.seen if resource == "newOrder"]
    assert "replaces" not in orders[0]
    assert orders[1]["replaces"].count(".") == 1


def test_a_directory_that_does_not_know_the_replaced_certificate_still_issues(
    authority: FakeDirectory, kept: Kept
) -> None:
    authority.window = {}
    kept.turn()
    before = kept.fingerprint
    authority.refuse["newOrder"] = [problem("malformed", "Unknown certificate.", 404)]
    kept.turn(63 * DAY)
    assert kept.fingerprint != before


@pytest.mark.parametrize(("retry_after", "seconds"), [("7200", 7200), ("", 3600), ("DATE", 9000)])
def test_a_rate_limit_is_observed_even_after_a_restart(
    authority: FakeDirectory, kept: Kept, retry_after: str, seconds: float,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    if retry_after == "DATE":
        at = datetime.datetime.fromtimestamp(time.time() + seconds, datetime.UTC)
        retry_after = f"{at:%a, %d %b %Y %H:%M:%S GMT}"
    authority.refuse["newOrder"] = [
        problem("rateLimited", "Too many certificates.", 429, retry_after)
    ]
    kept.turn()
    assert "Too many certificates." in caplog.text
    assert kept.status.retry_at >= kept.now + seconds - 2
    prepare(kept.settings)  # another start of the program
    kept.keeper._lock.release()
    kept.keeper = kept.another()
    kept.turn(seconds - 60)
    assert authority.count("newOrder") == 1
    kept.turn(seconds * 0.2 + 60)
    assert kept.status.problem == ""


def test_pauses_double_and_the_old_certificate_stays(
    authority: FakeDirectory, kept: Kept, caplog: pytest.LogCaptureFixture
) -> None:
    kept.turn()
    before = kept.fingerprint
    error = problem("unauthorized", "Something else has answered.", 403)[1]
    authority.failing = {HTTP_01: error, TLS_ALPN_01: error}
    kept.turn(63 * DAY)
    assert "Another server has answered for shop.example" in caplog.text
    assert "The old certificate stays in use and expires at" in caplog.text
    first = kept.status.retry_at - kept.now
    assert 300 <= first <= 330
    kept.turn(first - 1)
    assert kept.status.failures == 1
    kept.turn(2)
    assert kept.status.failures == 2
    assert 600 <= kept.status.retry_at - kept.now <= 660
    assert kept.fingerprint == before
    authority.failing = {}
    kept.turn(700)
    assert kept.fingerprint != before
    assert kept.status.failures == 0


def test_a_start_of_the_program_tries_again_soon(authority: FakeDirectory, kept: Kept) -> None:
    authority.refuse["newOrder"] = [problem("rejectedIdentifier", "Not this name.")]
    kept.turn()
    kept.keeper._lock.release()
    assert kept.status.retry_at > kept.now + 200
    prepare(kept.settings)
    assert kept.status.retry_at <= kept.now + 60


def test_the_other_challenge_is_tried_and_remembered(
    authority: FakeDirectory, kept: Kept, caplog: pytest.LogCaptureFixture
) -> None:
    authority.failing = {HTTP_01: problem("connection", "Connection refused.")[1]}
    kept.turn()
    assert "Check that port 80 of shop.example leads to this server" in caplog.text
    assert kept.status.kind == TLS_ALPN_01
    kept.turn(63 * DAY)
    kinds = [payload for resource, payload in authority.seen if resource == "challenge"]
    assert len(kinds) == 3  # http-01 and tls-alpn-01, then tls-alpn-01 at once


@pytest.mark.parametrize(
    ("kind", "advice"),
    [
        ("caa", "A CAA record in DNS does not allow this authority"),
        ("dns", "Add an A or AAAA record"),
    ],
)
def test_dns_is_corrected_by_the_user_and_not_by_another_challenge(
    authority: FakeDirectory, kept: Kept, kind: str, advice: str
) -> None:
    authority.failing = {HTTP_01: problem(kind, "It says so.")[1]}
    kept.turn()
    assert "It says so." in kept.status.problem
    assert advice in kept.status.problem
    assert authority.count("challenge") == 1


def test_problems_of_single_names_are_shown(authority: FakeDirectory, kept: Kept) -> None:
    part = {"type": "x", "detail": "Blocked.", "identifier": {"type": "dns", "value": "b.example"}}
    authority.refuse["newOrder"] = [
        problem("rejectedIdentifier", "Some names are refused", subproblems=[part])
    ]
    kept.turn()
    assert "Some names are refused. b.example: Blocked." in kept.status.problem


def test_an_order_is_continued_by_the_next_process(authority: FakeDirectory, kept: Kept) -> None:
    authority.held.clear()

    def stop(seconds: float) -> None:
        raise Stopped

    kept.keeper._pause = stop  # type: ignore[method-assign]
    with pytest.raises(Stopped):
        kept.turn()
    assert kept.store.pending(NAME) is not None
    kept.keeper._lock.release()
    authority.held.set()
    kept.keeper = kept.another()
    kept.turn()
    assert kept.fingerprint
    assert authority.count("newOrder") == 1
    assert kept.store.pending(NAME) is None


@pytest.mark.parametrize("what", ["expired", "forgotten", "damaged", "other names"])
def test_an_order_that_cannot_succeed_is_replaced(
    authority: FakeDirectory, kept: Kept, what: str
) -> None:
    authority.held.clear()
    kept.keeper._pause = lambda seconds: kept.keeper._stop.set() or _raise()  # type: ignore
    with pytest.raises(Stopped):
        kept.turn()
    kept.keeper._lock.release()
    authority.held.set()
    file = kept.store.folder(NAME) / "order.json"
    (url,) = authority.orders
    if what == "expired":
        authority.orders[url]["expires"] = "2020-01-01T00:00:00Z"
    elif what == "forgotten":
        authority.orders.clear()
    elif what == "damaged":
        file.write_text(file.read_text()[:40])
    else:
        file.write_text(file.read_text().replace('"shop.example"', '"old.example"'))
    kept.keeper = kept.another()
    kept.turn()
    assert kept.fingerprint
    assert authority.count("newOrder") == 2


def _raise() -> None:
    raise Stopped


def test_an_order_that_expires_while_it_waits_is_reported(
    authority: FakeDirectory, kept: Kept
) -> None:
    authority.polls = 3
    authority.expires = "2020-01-01T00:00:00Z"
    kept.turn()
    assert "The order expired at 2020-01-01 00:00 UTC" in kept.status.problem
    assert kept.store.pending(NAME) is None


def test_an_order_in_processing_is_polled_at_the_pace_of_the_authority(
    authority: FakeDirectory, kept: Kept
) -> None:
    authority.polls = 3
    authority.retry_after = "2"
    pauses: list[float] = []
    kept.keeper._pause = pauses.append  # type: ignore[method-assign]
    kept.turn()
    assert kept.fingerprint
    assert pauses
    assert all(1.5 < each <= 2 for each in pauses)


def test_a_certificate_for_another_key_is_not_used(authority: FakeDirectory, kept: Kept) -> None:
    authority.other_key = True
    kept.turn()
    assert kept.fingerprint == ""
    assert "it is for another key" in kept.status.problem


def test_an_account_that_the_authority_has_forgotten_is_made_again(
    authority: FakeDirectory, kept: Kept
) -> None:
    kept.turn()
    authority.accounts.clear()
    kept.turn(63 * DAY)
    assert kept.status.problem == ""
    assert authority.count("newAccount") == 2


def test_another_directory_has_an_account_of_its_own(
    authority: FakeDirectory, kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.turn()
    kept.keeper._lock.release()
    other = FakeDirectory()
    try:
        kept.settings = replace(kept.settings, directory=other.directory)
        kept.keeper = kept.another()
        kept.store.ask(NAME)
        kept.turn()
        assert kept.status.problem == ""
        assert len(other.accounts) == 1
        assert list(other.accounts.values()) != list(authority.accounts.values())
        assert len(list((kept.store.root / "accounts").iterdir())) == 2
    finally:
        other.close()


def test_the_address_of_an_account_can_change(authority: FakeDirectory, kept: Kept) -> None:
    kept.turn()
    kept.keeper._lock.release()
    kept.settings = replace(kept.settings, email="new@shop.example")
    kept.keeper = kept.another()
    kept.turn(63 * DAY)
    changed = [payload for resource, payload in authority.seen if resource == "account"]
    assert changed == [{"contact": ["mailto:new@shop.example"]}]


def test_an_authority_with_external_accounts_is_refused_clearly(
    authority: FakeDirectory, kept: Kept
) -> None:
    authority.meta = {"externalAccountRequired": True}
    kept.turn()
    assert "requires an account that is made on its own pages" in kept.status.problem
    assert authority.count("newAccount") == 0


def test_a_new_name_is_ordered_at_once(authority: FakeDirectory, kept: Kept) -> None:
    kept.turn()
    kept.keeper._lock.release()
    kept.settings = replace(kept.settings, names=(NAME, "www.shop.example"))
    kept.keeper = kept.another()
    kept.turn()
    found = issued(kept.store.certificate(NAME))
    assert found is not None
    assert found.names == (NAME, "www.shop.example")


def test_one_process_orders_and_another_one_takes_over(
    authority: FakeDirectory, kept: Kept
) -> None:
    kept.turn()
    second = kept.another()
    second.turn()
    assert authority.count("newOrder") == 1
    assert not second._lock.held
    kept.keeper._lock.release()
    kept.now += 63 * DAY
    second.turn()
    assert authority.count("newOrder") == 2
    second._lock.release()


def test_an_authority_that_does_not_answer_is_tried_again_soon(
    authority: FakeDirectory, tmp_path: Path
) -> None:
    kept = Kept(authority, tmp_path)
    kept.settings = replace(kept.settings, directory="http://127.0.0.1:1/directory")
    kept.keeper = kept.another()
    kept.turn()
    kept.keeper._lock.release()
    assert "127.0.0.1:1 cannot be reached: Connection refused" in kept.status.problem
    assert 60 <= kept.status.retry_at - kept.now <= 66


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ((200, b"<html>", {}), "does not answer with an object in JSON"),
        ((200, {"keys": []}, {}), "is not an ACME directory (RFC 8555)"),
        ((503, b"down", {"Retry-After": "600"}), "answers with the status 503"),
    ],
)
def test_a_url_that_is_not_a_directory_is_named(
    authority: FakeDirectory, kept: Kept, answer: Any, told: str
) -> None:
    authority.refuse["directory"] = [answer]
    kept.turn()
    assert told in kept.status.problem
    if answer[2]:
        assert kept.status.retry_at >= kept.now + 590


def test_a_full_disk_leaves_the_old_certificate_and_the_order(
    authority: FakeDirectory, kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.turn()
    before = kept.store.certificate(NAME).read_bytes()

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    saved: list[Path] = []

    def only_small_files(file: Path, data: bytes) -> None:
        if file.name == "certificate.pem":
            monkeypatch.setattr("os.fsync", full)
        saved.append(file)
        write(file, data)

    monkeypatch.setattr("carboy.acme.store.write", only_small_files)
    kept.turn(63 * DAY)
    monkeypatch.undo()
    assert kept.store.certificate(NAME).read_bytes() == before
    assert "No space left on device. Correct that," in kept.keeper._status.problem
    assert not list(kept.store.root.rglob("*.new-*"))
    kept.turn(600)
    assert kept.store.certificate(NAME).read_bytes() != before
    assert authority.count("newOrder") == 2  # not a third one: the second is continued


def test_a_request_of_the_user_is_answered_even_when_the_order_fails(
    authority: FakeDirectory, kept: Kept
) -> None:
    kept.turn()
    authority.refuse["newOrder"] = [problem("rateLimited", "Enough.", 429)]
    request = kept.store.ask(NAME)
    kept.turn()
    assert kept.status.answered == request
    assert kept.store.asked(NAME) == ""
    assert "Enough." in kept.status.problem


def test_a_request_of_the_user_is_handed_on_with_its_order(
    authority: FakeDirectory, kept: Kept
) -> None:
    kept.turn()
    before = kept.fingerprint
    request = kept.store.ask(NAME)
    authority.held.clear()
    kept.keeper._pause = lambda seconds: _raise()  # type: ignore[method-assign]
    with pytest.raises(Stopped):
        kept.turn()
    kept.keeper._lock.release()
    authority.held.set()
    kept.keeper = kept.another()
    kept.turn()
    assert kept.status.answered == request
    assert kept.store.asked(NAME) == ""
    assert kept.fingerprint != before
    assert authority.count("newOrder") == 2  # the second one was continued


def test_a_request_whose_file_cannot_be_removed_is_carried_out_once(
    authority: FakeDirectory, kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.turn()
    monkeypatch.setattr(kept.keeper.store, "forget_request", lambda name: None)
    kept.store.ask(NAME)
    kept.turn()
    kept.turn()
    assert authority.count("newOrder") == 2


def test_a_bug_does_not_end_the_thread(
    authority: FakeDirectory, kept: Kept, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    again = threading.Event()

    def turn() -> None:
        if caplog.text:
            again.set()
        raise ZeroDivisionError

    monkeypatch.setattr("carboy.acme.keeper.AFTER_A_BUG", 0.0)
    monkeypatch.setattr("carboy.acme.keeper.LOOK", 0.01)
    monkeypatch.setattr(kept.keeper, "turn", turn)
    kept.keeper.start()
    assert again.wait(PATIENCE)
    kept.keeper.stop()
    assert f"The certificate of {NAME}: a bug in Carboy." in caplog.text


@pytest.mark.parametrize("token", ["../../token", "/tmp/token", "", "a b"])
@pytest.mark.parametrize("kind", [HTTP_01, TLS_ALPN_01])
def test_a_token_that_could_name_another_file_is_refused(
    authority: FakeDirectory, kept: Kept, token: str, kind: str
) -> None:
    authority.token = token
    kept.keeper = kept.another(kind)
    files = set(kept.store.root.parent.rglob("*"))
    kept.turn()
    assert f"has sent {token!r} as the token of a challenge" in kept.status.problem
    new = {each.name for each in set(kept.store.root.parent.rglob("*")) - files}
    assert "token" not in new
    assert authority.count("challenge") == 0


def test_a_name_that_was_not_ordered_is_refused(authority: FakeDirectory, kept: Kept) -> None:
    authority.name = "../../shop.example"
    kept.keeper = kept.another(TLS_ALPN_01)
    kept.turn()
    assert "confirm '../../shop.example', which was not ordered" in kept.status.problem
    assert not list(kept.store.root.parent.glob("*.pem"))


def test_names_in_another_order_begin_with_the_certificate_that_they_have(
    authority: FakeDirectory, tmp_path: Path
) -> None:
    kept = Kept(authority, tmp_path, "www.shop.example")
    kept.turn()
    kept.keeper._lock.release()
    other = replace(kept.settings, names=("www.shop.example", NAME))
    store = prepare(other)
    assert issued(store.certificate("www.shop.example")) == issued(store.certificate(NAME))
    keeper = Keeper(other, (HTTP_01,))
    keeper.turn()
    keeper._lock.release()
    assert authority.count("newOrder") == 1


def test_the_page_that_the_user_has_to_open_is_shown(authority: FakeDirectory, kept: Kept) -> None:
    page = "https://authority.example/agree"
    authority.refuse["newOrder"] = [
        problem("userActionRequired", "The terms have changed", 403, instance=page)
    ]
    kept.turn()
    assert "The terms have changed. The authority asks for an action" in kept.status.problem
    assert kept.status.problem.endswith(page)


def test_a_damaged_status_is_as_none(kept: Kept) -> None:
    kept.turn()
    file = kept.store.folder(NAME) / "status.json"
    for text in ("", "{", "[]", json.dumps({"failures": "many"}), json.dumps({"names": 3})):
        file.write_text(text)
        assert kept.status.names == ()
