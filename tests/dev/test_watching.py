"""Changes of files, as the system tells of them and as looking finds them."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from carboy.dev.reload import watching
from carboy.dev.reload.watching import Watching, differences, snapshot
from running import PATIENCE

BOTH = pytest.mark.parametrize("native", [True, False], ids=["native", "polling"])


class Heard:
    """What was told so far."""

    def __init__(self) -> None:
        self.paths: set[str] = set()
        self._changed = threading.Condition()

    def __call__(self, paths: frozenset[str]) -> None:
        with self._changed:
            self.paths |= paths
            self._changed.notify_all()

    def wait_for(self, path: Path) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: str(path) in self.paths, PATIENCE), self.paths


@contextmanager
def watched(folder: Path, native: bool, **options: Callable[[str], bool]) -> Iterator[Heard]:
    heard = Heard()
    thread = Watching([str(folder)], heard, native=native, interval=0.05, **options)
    thread.start()
    try:
        assert (thread.name_of_way == "polling") is not native
        yield heard
    finally:
        thread.stop()
        thread.join(PATIENCE)
        assert not thread.is_alive()


@BOTH
def test_files_that_are_made_changed_replaced_and_removed_are_told(
    tmp_path: Path, native: bool
) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    changed, replaced, removed = (tmp_path / "deep" / name for name in ("c", "r", "g"))
    for path in (changed, replaced, removed):
        path.write_text("old")
    with watched(tmp_path, native) as heard:
        (tmp_path / "deep" / "er" / "made").write_text("new")
        changed.write_text("longer than before")
        (tmp_path / "fresh").write_text("by rename")
        (tmp_path / "fresh").replace(replaced)
        removed.unlink()
        for path in (tmp_path / "deep" / "er" / "made", changed, replaced, removed):
            heard.wait_for(path)


def test_without_watchfiles_it_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "find_spec", lambda name: None)
    assert watching.native_name() is None
    thread = Watching([str(tmp_path)], lambda paths: None)
    assert thread.name_of_way == "polling"


def test_looking_keeps_out_of_folders_that_do_not_matter(tmp_path: Path) -> None:
    for name in ("in", "out"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("x")
    found = snapshot([str(tmp_path)], lambda folder: not folder.endswith("out"))
    assert set(found) == {str(tmp_path / "in" / "file")}


def test_a_file_may_be_a_root_and_one_that_is_gone_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    roots = [str(tmp_path / "file"), str(tmp_path / "gone")]
    assert set(snapshot(roots)) == {str(tmp_path / "file")}


def test_what_differs_between_two_looks() -> None:
    before = {"same": (1, 1, 1), "changed": (1, 1, 1), "gone": (1, 1, 1)}
    after = {"same": (1, 1, 1), "changed": (2, 1, 1), "made": (1, 1, 1)}
    assert differences(before, after) == {"changed", "gone", "made"}


def test_a_broken_link_does_not_stop_the_looking(tmp_path: Path) -> None:
    os.symlink(tmp_path / "nowhere", tmp_path / "link")
    assert snapshot([str(tmp_path)]) == {}
