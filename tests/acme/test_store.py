"""The files of the state folder."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carboy.acme.lock import FileLock
from carboy.acme.store import Account, StateError, Store, write


def test_only_the_owner_can_use_folders_and_files(tmp_path: Path) -> None:
    root = tmp_path / "acme"
    root.mkdir(mode=0o755)
    store = Store(tmp_path)
    store.prepare("a.example")
    store.save_certificate("a.example", b"x")
    store.save_account(Account("https://a.example/", "https://a.example/1", "key"))
    for path in [root, *root.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)
    assert store.account("https://a.example/") == Account(
        "https://a.example/", "https://a.example/1", "key"
    )
    assert store.account("https://a.example/other") is None


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Store:
    store = Store(tmp_path_factory.mktemp("state"))
    store.prepare("a.example")
    store.publish("known.pem", b"secret")
    return store


@given(st.one_of(st.text(max_size=40), st.sampled_from(["..", "../accounts/x", "known.pem"])))
def test_a_client_reads_only_responses_to_challenges(shared: Store, token: str) -> None:
    assert shared.response(token) is None
    assert shared.challenge_certificate(token + "/known") is None


def test_a_challenge_is_published_and_withdrawn(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.prepare("a.example")
    store.publish("token", b"answer")
    store.publish("a.example.pem", b"certificate")
    assert store.response("token") == b"answer"
    assert store.challenge_certificate("a.example") is not None
    for file in ("token", "a.example.pem", "token"):
        store.withdraw(file)
    assert store.response("token") is None
    assert store.challenge_certificate("a.example") is None


def test_a_write_that_fails_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    write(file, b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StateError, match="No space left on device"):
        write(file, b"new")
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_lock_is_held_once_in_a_process_and_can_be_taken_again(tmp_path: Path) -> None:
    first, second = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    assert first.take() and first.take()
    assert not second.take()
    first.release()
    first.release()
    assert second.take()
    second.release()
