"""Files that matter, and the steps of an editor that become one change, reported once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from queue import Empty, SimpleQueue
from tempfile import TemporaryDirectory

import pytest

from carboy.dev.reload.burst import (
    LONGEST,
    MANY,
    QUIET,
    QUIET_WHEN_MANY,
    QUIET_WHEN_UNFINISHED,
    Burst,
)
from carboy.dev.reload.changes import Changes
from carboy.dev.reload.rules import Change, Kind, Rules
from running import PATIENCE

KINDS = {
    "/p/app.py": Kind.CODE,
    "/p/.env": Kind.CODE,
    "/p/templates/a.html": Kind.TEMPLATE,
    "/p/static/a.css": Kind.STYLE,
    "/p/static/a.js": Kind.PAGE,
    "/p/notes.sqlite3": None,
    "/p/server.log": None,
    "/p/.app.py.swp": None,
    "/p/app.py~": None,
    "/p/__pycache__/app.cpython-311.pyc": None,
    "/p/node_modules/x/index.py": None,
    "/p/.venv/lib/site.py": None,
    "/p/settings.toml": None,
}


@pytest.mark.parametrize(("path", "kind"), KINDS.items(), ids=KINDS)
def test_place_and_name_decide_whether_a_file_matters(path: str, kind: Kind | None) -> None:
    assert Rules(roots=["/p"]).kind(path) is kind


def test_the_kind_of_a_change_is_the_gravest_of_its_files() -> None:
    rules = Rules(["/p/settings.toml"], ["*/generated/*"], roots=["/p"])
    change = rules.change(["/p/static/a.css", "/p/settings.toml", "/p/x.log"])
    assert change == Change(Kind.CODE, ("/p/settings.toml", "/p/static/a.css"))
    assert rules.change(["/p/generated/a.py"]) is None
    change = rules.change(["/p/.env"])
    assert change is not None
    assert change.environment


def test_steps_shortly_after_each_other_are_one_change() -> None:
    burst = Burst()
    assert burst.wake_at() is None
    burst.add(["a"], 1.0)
    burst.add(["b"], 1.0 + QUIET / 2)
    assert burst.take(1.0 + QUIET) == frozenset()
    assert burst.take(1.0 + QUIET * 1.5) == {"a", "b"}
    assert burst.wake_at() is None


def test_a_change_of_many_files_is_complete_later() -> None:
    burst = Burst()
    burst.add(map(str, range(MANY)), 1.0)
    assert burst.wake_at() == 1.0 + QUIET_WHEN_MANY


def test_an_unfinished_file_delays_a_change_but_not_without_limit() -> None:
    burst = Burst(lambda path: path == "empty")
    burst.add(["empty"], 1.0)
    assert burst.take(1.0 + QUIET) == frozenset()
    assert burst.wake_at() == 1.0 + QUIET_WHEN_UNFINISHED
    assert burst.take(1.0 + QUIET_WHEN_UNFINISHED) == {"empty"}
    burst = Burst()
    for step in range(1000):
        burst.add(["busy"], 1.0 + step * QUIET / 2)
    assert burst.wake_at() == 1.0 + LONGEST


@pytest.fixture(params=[True, False], ids=["native", "polling"])
def heard(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SimpleQueue[Change]]:
    found: SimpleQueue[Change] = SimpleQueue()
    rules = Rules(roots=[str(tmp_path)])
    changes = Changes([str(tmp_path)], found.put, rules, interval=0.05, native=request.param)
    changes.start()
    yield found
    changes.stop()


def test_a_file_that_replaces_another_one_is_reported(
    heard: SimpleQueue[Change], tmp_path: Path
) -> None:
    file, fresh = tmp_path / "app.py", tmp_path / "app.py~"
    fresh.write_text("x = 1\n")
    fresh.replace(file)
    assert heard.get(timeout=PATIENCE) == Change(Kind.CODE, (str(file),))


def test_files_that_do_not_matter_are_not_reported(
    heard: SimpleQueue[Change], tmp_path: Path
) -> None:
    (tmp_path / "notes.sqlite3").write_text("x")
    (tmp_path / "app.py").write_text("x = 1\n")
    assert heard.get(timeout=PATIENCE).paths == (str(tmp_path / "app.py"),)
    with pytest.raises(Empty):
        heard.get_nowait()


@pytest.mark.parametrize("native", [True, False], ids=["native", "polling"])
def test_places_that_are_added_are_watched_too(tmp_path: Path, native: bool) -> None:
    folders = [tmp_path / name for name in ("first", "second", "third")]
    for folder in folders:
        folder.mkdir()
    found: SimpleQueue[Change] = SimpleQueue()
    changes = Changes([str(folders[0])], found.put, Rules(), interval=0.05, native=native)
    changes.start()
    try:
        for more in folders[1:]:
            changes.also([str(more), str(folders[0] / "below")])
        for folder in reversed(folders):
            (folder / "app.py").write_text("x = 1\n")
            # A busy machine may report one file in two pieces, the second one later.
            while str(folder / "app.py") not in found.get(timeout=PATIENCE).paths:
                pass
        for thread in threading.enumerate():  # only one of them continues
            if thread.name == "carboy-watch" and thread is not changes._watching:
                thread.join(PATIENCE)
                assert not thread.is_alive()
    finally:
        changes.stop()


@pytest.mark.parametrize("native", [True, False], ids=["native", "polling"])
def test_changes_while_places_are_added_are_reported(tmp_path: Path, native: bool) -> None:
    found: SimpleQueue[Change] = SimpleQueue()
    changes = Changes([str(tmp_path)], found.put, Rules(), interval=0.05, native=native)
    changes.start()
    try:
        told: set[str] = set()
        for number in range(10):
            (tmp_path / f"{number}.py").write_text("x = 1\n")
            with TemporaryDirectory() as elsewhere:
                changes.also([elsewhere])
        while len(told) < 10:
            told.update(found.get(timeout=PATIENCE).paths)
        assert told == {str(tmp_path / f"{number}.py") for number in range(10)}
    finally:
        changes.stop()


def test_a_change_that_is_reported_twice_counts_once(tmp_path: Path) -> None:
    """Two threads may report it while places are added, the second one after the reload."""
    found: SimpleQueue[Change] = SimpleQueue()
    changes = Changes([], found.put, Rules())
    changes.start()
    first, second = tmp_path / "first.py", tmp_path / "second.py"
    try:
        for file in (first, second):
            file.write_text("x = 1\n")
        changes._heard(frozenset({str(first)}))
        assert found.get(timeout=PATIENCE).paths == (str(first),)
        changes._heard(frozenset({str(first), str(second)}))
        assert found.get(timeout=PATIENCE).paths == (str(second),)
        first.unlink()
        changes._heard(frozenset({str(first), str(second)}))
        assert found.get(timeout=PATIENCE).paths == (str(first),)
    finally:
        changes.stop()
