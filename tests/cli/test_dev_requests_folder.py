"""The folder with the requests of `carboy dev`, also of a program that was killed."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from carboy.cli.dev import requests_folder
from running import Running

APP = "import carboy\napp = carboy.Flask(__name__)\napp.get('/')(lambda: 'hello')\n"

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="without locks of folders")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_folder_in_use_stays_and_is_removed_at_the_end(place: Path) -> None:
    first, remove_first = requests_folder.make()
    second, remove_second = requests_folder.make()
    assert first.is_dir()
    assert second.is_dir()
    remove_first()
    remove_second()
    assert not list(place.iterdir())


def test_a_folder_that_was_taken_before_its_lock_is_not_used(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked, taken = requests_folder._locked, []

    def take_the_first(path: Path) -> int | None:
        if not taken:
            taken.append(path)
            path.rmdir()  # by another program that starts
        return locked(path)

    monkeypatch.setattr(requests_folder, "_locked", take_the_first)
    folder, remove = requests_folder.make()
    assert taken != [folder]
    assert folder.is_dir()
    remove()


def test_a_link_is_not_followed(place: Path) -> None:
    (place / "kept").mkdir()
    (place / f"{requests_folder.PREFIX}link").symlink_to(place / "kept")
    _, remove = requests_folder.make()
    remove()
    assert (place / "kept").is_dir()


@pytest.mark.parametrize("how", [(), ("--no-warm",)], ids=["warm", "no-warm"])
def test_the_folder_of_a_killed_program_is_removed_by_the_next_one(
    place: Path, how: tuple[str, ...]
) -> None:
    (place / "app.py").write_text(APP)
    env = {"TMPDIR": str(place)}
    with Running("dev", "app", "-p", "0", *how, cwd=place, env=env) as server:
        assert server.get("/")[0] == 200
        (left,) = place.glob(f"{requests_folder.PREFIX}*")
    # All processes of the program were killed. When they have ended, the lock is free.
    lock = os.open(left, os.O_RDONLY)
    requests_folder.fcntl.flock(lock, requests_folder.fcntl.LOCK_EX)
    os.close(lock)
    _, remove = requests_folder.make()
    assert not left.exists()
    remove()
