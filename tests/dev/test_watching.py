"""Changes of files, as the system notifies of them and as polling finds them."""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from carboy.dev.reload import watching
from carboy.dev.reload.watching import Watching
from running import PATIENCE

BOTH = pytest.mark.parametrize("native", [True, False], ids=["native", "polling"])


class Heard:
    """The paths that have been reported."""

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
def test_files_that_are_created_changed_replaced_and_removed_are_reported(
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


def test_without_watchfiles_it_polls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "find_spec", lambda name: None)
    assert watching.native_name() is None
    thread = Watching([str(tmp_path)], lambda paths: None)
    assert thread.name_of_way == "polling"


@BOTH
def test_the_files_of_a_folder_that_is_created_renamed_or_moved_are_reported(
    tmp_path: Path, native: bool
) -> None:
    old, new, away = tmp_path / "in" / "old", tmp_path / "in" / "new", tmp_path / "away"
    (old / "deep").mkdir(parents=True)
    (old / "deep" / "file").write_text("x")
    with watched(tmp_path / "in", native) as heard:
        old.rename(new)
        heard.wait_for(old / "deep" / "file")
        heard.wait_for(new / "deep" / "file")
        (new / "deep" / "second").write_text("x")  # what was renamed is watched by its new name
        heard.wait_for(new / "deep" / "second")
        new.rename(away)
        away.rename(old)
        heard.wait_for(old / "deep" / "second")
        shutil.rmtree(old)
        (old / "again").mkdir(parents=True)
        (old / "again" / "third").write_text("x")
        heard.wait_for(old / "again" / "third")


@BOTH
def test_a_file_that_is_replaced_by_a_folder_and_back_is_reported(
    tmp_path: Path, native: bool
) -> None:
    file = tmp_path / "app.py"
    file.write_text("x")
    for _ in range(2):
        with watched(tmp_path, native) as heard:
            file.unlink()
            file.mkdir()
            heard.wait_for(file)
            heard.paths.clear()
            file.rmdir()
            file.write_text("xy")
            heard.wait_for(file)


@BOTH
def test_changes_behind_a_link_are_reported(tmp_path: Path, native: bool) -> None:
    """Files of a linked folder by their real names, a linked file by the name of the link."""
    inside, beside = tmp_path / "in", tmp_path / "beside"
    inside.mkdir()
    beside.mkdir()
    (beside / "settings").write_text("x")
    (inside / "folder").symlink_to(beside)
    (inside / "upwards").symlink_to(tmp_path)
    (inside / "nowhere").symlink_to(tmp_path / "gone")
    alone = tmp_path / "alone"
    alone.mkdir()
    (alone / "real").write_text("x")
    (inside / ".env").symlink_to(alone / "real")
    with watched(inside, native) as heard:
        (beside / "settings").write_text("longer")
        heard.wait_for(beside / "settings")
        for text in ("another", "yet another"):
            heard.paths.clear()
            (alone / "fresh").write_text(text)
            (alone / "fresh").replace(alone / "real")
            heard.wait_for(inside / ".env")
        assert alone / "fresh" not in heard.paths


@BOTH
def test_a_file_that_is_watched_alone_may_be_replaced_again_and_again(
    tmp_path: Path, native: bool
) -> None:
    file, fresh = tmp_path / "file", tmp_path / "fresh"
    file.write_text("x")
    with watched(file, native) as heard:
        for text in ("longer", "longer still"):
            heard.paths.clear()
            fresh.write_text(text)
            fresh.replace(file)
            heard.wait_for(file)
        assert str(fresh) not in heard.paths


linux = pytest.mark.skipif(sys.platform != "linux", reason="inotify")


@linux
def test_folders_that_do_not_matter_take_no_watches(tmp_path: Path) -> None:
    for number in range(50):
        (tmp_path / "node_modules" / str(number)).mkdir(parents=True)
    (tmp_path / "src").mkdir()
    before = watches()
    with watched(tmp_path, native=True, enters=lambda folder: "node_modules" not in folder):
        assert watches() - before == 2


def watches() -> int:
    """How many folders this process has the system watch."""
    descriptors = Path("/proc/self/fdinfo").iterdir()
    return sum(each.read_text().count("inotify wd") for each in descriptors if each.exists())


FEW = """
import sys
from pathlib import Path
from queue import SimpleQueue
from carboy.dev.reload.watching import Watching
Path("/proc/sys/user/max_inotify_{what}").write_text("{most}")
found = SimpleQueue()
watching = Watching(["."], found.put, interval=0.05)
watching.start()
for number in range(20):  # of which the system could watch some
    Path(str(number), "file").write_text("x")
    while not any(path.endswith(f"{{number}}/file") for path in found.get(timeout=60)):
        pass
print(watching.name_of_way)
"""


@linux
@pytest.mark.parametrize(("what", "most"), [("watches", 10), ("instances", 0)])
def test_without_free_watches_it_polls(tmp_path: Path, what: str, most: int) -> None:
    for number in range(20):
        (tmp_path / str(number)).mkdir()
    script = FEW.format(what=what, most=most)
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", sys.executable, "-c", script],
        cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    if "unshare" in done.stderr or "Permission denied" in done.stderr:
        pytest.skip("namespaces of users are not available here")
    assert done.stdout == "polling\n", done.stderr
    assert "does not notify" in done.stderr


@linux
def test_it_polls_when_the_watches_run_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "carboy.dev")
    with watched(tmp_path, native=True) as heard:
        monkeypatch.setattr(watching.Tree, "places", ["/dev/null/nothing"])
        (tmp_path / "folder").mkdir()
        (tmp_path / "folder" / "first").write_text("x")
        heard.wait_for(tmp_path / "folder" / "first")
        (tmp_path / "folder" / "second").write_text("x")
        heard.wait_for(tmp_path / "folder" / "second")
    assert "does not notify" in caplog.text
