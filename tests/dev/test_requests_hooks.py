"""Packages are patched when they are imported, and restored."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from carboy.dev.requests.hooks.imports import ImportHook
from carboy.dev.requests.hooks.patches import Patches


@pytest.fixture
def imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The names that a hook has reported; it watches two modules."""
    (tmp_path / "watched_one.py").write_text("import watched_two, unwatched\nREADY = True\n")
    (tmp_path / "watched_two.py").write_text("")
    (tmp_path / "unwatched.py").write_text("")
    (tmp_path / "watched_broken.py").write_text("raise LookupError\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    found: list[str] = []

    def report(name: str) -> None:
        assert name != "watched_one" or sys.modules[name].READY
        found.append(name)

    names = {"watched_one", "watched_two", "watched_broken", "watched_missing"}
    monkeypatch.setattr(sys, "meta_path", [ImportHook(names, report), *sys.meta_path])
    yield found
    for name in (*names, "unwatched"):
        sys.modules.pop(name, None)


def test_an_import_is_reported_at_its_end(imported: list[str]) -> None:
    module = importlib.import_module("watched_one")
    assert imported == ["watched_two", "watched_one"]
    assert "exec_module" not in vars(module.__spec__.loader)  # type: ignore[union-attr]
    importlib.reload(module)
    assert imported == ["watched_two", "watched_one", "watched_one"]


def test_an_import_that_fails_is_not_reported(imported: list[str]) -> None:
    with pytest.raises(LookupError):
        importlib.import_module("watched_broken")
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("watched_missing")
    assert imported == []


def test_patches_are_undone_unless_they_have_been_replaced() -> None:
    class Base:
        def inherited(self) -> str:
            return "base"

    class Kind(Base):
        pass

    module = SimpleNamespace(first=1, second=2)
    patches = Patches()
    patches.replace(module, "first", 10)
    patches.replace(module, "second", 20)
    patches.wrap(Kind, "inherited", lambda function: lambda self: f"patched {function(self)}")
    patches.wrap(Kind, "missing", lambda function: function)
    assert Kind().inherited() == "patched base"
    module.second = 3  # by another library
    patches.undo()
    assert (module.first, module.second, Kind().inherited()) == (1, 3, "base")
    assert "inherited" not in vars(Kind)
