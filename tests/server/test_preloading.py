"""Installed packages: which an application uses, and whether they have changed."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from carboy.server.processes import preloading


def test_installed_packages_and_own_files_are_told_apart() -> None:
    installed = preloading.installed_modules()
    assert {"json", "pytest", "carboy.server.processes.preloading"} <= set(installed)

    assert __file__ in preloading.own_files()
    assert __name__ not in installed


def test_modules_that_cannot_be_imported_are_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "leaving_package.py").write_text("raise SystemExit(3)\n")
    (tmp_path / "good_package.py").write_text("VALUE = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    preloading.import_all(["leaving_package", "nothing_of_that_name", "good_package"])
    assert "leaving_package" not in sys.modules
    assert sys.modules.pop("good_package").VALUE == 1


def test_a_package_whose_file_changed_is_not_fresh(tmp_path: Path) -> None:
    file = tmp_path / "package.py"
    file.write_text("x = 1\n")
    found = {str(file): file.stat().st_mtime_ns}
    assert preloading.is_fresh(found)
    os.utime(file, (1, 1))
    assert not preloading.is_fresh(found)
    file.unlink()
    assert not preloading.is_fresh(found)


def test_a_file_of_the_project_that_hides_a_package_is_noticed(tmp_path: Path) -> None:
    assert not preloading.shadowed(["jinja2.nodes"], tmp_path)
    (tmp_path / "jinja2").mkdir()
    assert not preloading.shadowed(
        ["jinja2.nodes"], tmp_path
    )  # not a package, so nothing is hidden
    (tmp_path / "jinja2" / "__init__.py").touch()
    assert preloading.shadowed(["jinja2.nodes"], tmp_path)
    (tmp_path / "click.py").touch()
    assert preloading.shadowed(["click"], tmp_path)
    assert not preloading.shadowed(["click"], tmp_path / "gone")
