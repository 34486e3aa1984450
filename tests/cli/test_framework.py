"""The search for the import of the framework, in the files of an application."""

from __future__ import annotations

from pathlib import Path

import pytest

from carboy.cli.framework import MOST, imports, imports_one_of

NAMES = frozenset(("carboy",))


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        file = folder.joinpath(*name.split("__")).with_suffix(".py")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


@pytest.mark.parametrize(
    "line",
    [
        "import carboy",
        "import os, carboy",
        "from carboy.http import Headers",
        "try:\n    import carboy as web\nexcept ImportError: pass",
    ],
)
def test_a_module_that_imports_carboy_is_found(tmp_path: Path, line: str) -> None:
    write(tmp_path, site=line)
    for name in ("site", "site:app", "site:make('x:y')", "site.py", "./site.py:app"):
        assert imports_one_of(NAMES, name, tmp_path)


@pytest.mark.parametrize("line", ["import carboyish", "# import carboy", "x = 'from carboy'", ""])
def test_other_modules_are_not_found(tmp_path: Path, line: str) -> None:
    write(tmp_path, site=line)
    assert not imports_one_of(NAMES, "site:app", tmp_path)
    assert not imports_one_of(NAMES, "missing:app", tmp_path)
    assert not imports_one_of(NAMES, "missing/site.py:app", tmp_path)


@pytest.mark.parametrize(
    "line",
    [
        "from .deep import views",
        "from .deep.views import app",
        "from . import (\n    other)",
        "import code.other",
    ],
)
def test_modules_that_import_it_by_others_are_found(tmp_path: Path, line: str) -> None:
    write(tmp_path, wsgi="from code.start import app", code__start=line)
    (tmp_path / "code" / "__init__.py").touch()
    write(tmp_path, code__other="from .deep.views import app", code__deep__views="import carboy")
    assert imports_one_of(NAMES, "wsgi:app", tmp_path)


def test_an_installed_application_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, installed__views="import carboy")
    (tmp_path / "installed" / "__init__.py").write_text("from .views import app")
    monkeypatch.syspath_prepend(tmp_path)
    assert imports_one_of(NAMES, "installed:app", tmp_path / "empty")


def test_modules_that_import_each_other_end_the_search(tmp_path: Path) -> None:
    write(tmp_path, a="import b", b="import a")
    assert not imports_one_of(NAMES, "a", tmp_path)


def test_not_more_than_some_files_are_read(tmp_path: Path) -> None:
    write(
        tmp_path,
        **{f"m{n}": f"import m{n + 1}" for n in range(MOST)},
        **{f"m{MOST}": "import carboy"},
    )
    assert not imports_one_of(NAMES, "m0", tmp_path)
    assert imports_one_of(NAMES, "m1", tmp_path)


def test_a_file_that_cannot_be_read_imports_only_its_package(tmp_path: Path) -> None:
    assert list(imports(tmp_path / "missing.py", "a.missing")) == ["a"]
