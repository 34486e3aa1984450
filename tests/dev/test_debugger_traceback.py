"""Tracebacks of the debugger that are long, odd, or of code that has changed."""

from __future__ import annotations

import io
import os
import random
import sys
import time
import zipfile
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from werkzeug.test import Client

from carboy.cli.tracebacks import traceback_text
from carboy.dev import ownership
from carboy.dev.debugger import KEEP_PAGE, DebuggedApplication
from carboy.dev.debugger.tbtools import DebugTraceback


def caught(function: Any) -> BaseException:
    try:
        function()
    except BaseException as error:
        return error
    raise AssertionError


def page_of(error: BaseException) -> str:
    return DebugTraceback(error).render_debugger_html(True, "secret", False)


def noted(error: Exception) -> Exception:
    error.add_note("note: one")
    return error


class Odd(Exception):
    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (noted(ValueError()), "ValueError", "ValueError\nnote: one"),
        (noted(ValueError("m: n")), "ValueError", "m: n\nnote: one"),
        (noted(ExceptionGroup("g", [KeyError(1)])), "ExceptionGroup", "g (1 sub-exception)\nnote:"),
        (type("Odd: name", (Exception,), {"__module__": "m"})("x"), "m.Odd: name", "x"),
        (Odd(), f"{__name__}.Odd", "&lt;exception str() failed&gt;"),
        (ValueError("x" * 5_000_000), "ValueError", "x" * 100),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_class_and_text_are_told_apart(error: Exception, kind: str, text: str) -> None:
    shown = page_of(error)
    assert f"<p class=kind>{kind}</p>" in shown
    assert text in shown.partition("<h1")[2].partition("</h1>")[0]
    assert len(shown) < 2_000_000


def without_a_pattern(dice: random.Random) -> None:
    if dice.random() < 0.5:
        without_a_pattern(dice)
    else:
        without_a_pattern(dice)


def long_chain() -> None:
    error: Exception | None = None
    for number in range(1500):
        try:
            raise ValueError(number) from error
        except ValueError as caught:
            error = caught
    assert error is not None
    raise error


def deep_group() -> None:
    error: Exception = ValueError(1)
    for _ in range(300):
        error = ExceptionGroup("deep", [error])
    raise error


@pytest.mark.parametrize(
    ("function", "told", "size"),
    [
        (lambda: without_a_pattern(random.Random(1)), "frames are left out", 500_000),
        (long_chain, "1,460 exceptions are left out", 1_200_000),
        (lambda: (_ for _ in ()).throw(ExceptionGroup("g", [KeyError(n) for n in range(3000)])),
         "2,950 more exceptions of the group", 200_000),
        (deep_group, "Groups inside of this group are left out", 200_000),
    ],
    ids=["recursion", "chain", "group", "nested"],
)  # fmt: skip
def test_what_is_too_much_for_a_page_is_left_out(function: Any, told: str, size: int) -> None:
    error = caught(function)
    shown = page_of(error)
    assert told in shown
    assert len(shown) < size
    assert traceback_text(error)


@pytest.fixture
def modules(tmp_path: Path) -> Iterator[Path]:
    sys.path.insert(0, str(tmp_path))
    before = set(sys.modules)
    yield tmp_path
    sys.path.remove(str(tmp_path))
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_a_file_that_has_changed_since_it_was_loaded_is_noted(modules: Path) -> None:
    file = modules / "stale_module.py"
    file.write_text("def fails():\n    1 / 0\n\n\ndef other():\n    return 1\n")
    module = import_module("stale_module")
    for text, noted in (
        ("def fails():\n    1 / 0\n\n\ndef other():\n    return 22\n", False),
        ("# first\ndef fails():\n    1 / 0\n", True),
        ("def fails(:", True),
    ):
        file.write_text(text)
        os.utime(file, (time.time() + 60, time.time() + 60))
        assert ("has changed since" in page_of(caught(module.fails))) is noted


def test_code_in_a_zip_file_is_the_users_and_has_its_source(modules: Path) -> None:
    archive = modules / "app.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("zipped_module.py", "def fails():\n    1 / 0  # in a zip\n")
    sys.path.insert(0, str(archive))
    error = caught(import_module("zipped_module").fails)
    sys.path.remove(str(archive))
    frame = DebugTraceback(error).all_frames[-1]
    assert not frame.is_library
    assert "# in a zip" in frame.render_html(False)


def test_packages_that_pip_has_put_into_a_folder_are_libraries(modules: Path) -> None:
    info = modules / "their-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their\nVersion: 1.0\n")
    (info / "RECORD").write_text("their/__init__.py,,\ntheir-1.0.dist-info/RECORD,,\n")
    assert ownership.is_library(str(modules / "their" / "views.py"))
    assert not ownership.is_library(str(modules / "mine.py"))
    nested = modules / "site-packages" / "project"
    assert not ownership.is_library(str(nested / "views.py"))


def test_an_installed_application_that_is_served_is_the_users(
    modules: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ownership, "_own", set())
    monkeypatch.setattr(ownership, "SYSTEM_PATHS", (str(modules.resolve()) + os.sep,))
    for name in ("installed_app", "other_package"):
        (modules / name).mkdir()
        (modules / name / "__init__.py").write_text("")
        import_module(name)
    ownership.claim(SimpleNamespace(import_name="installed_app.web"))
    assert not ownership.is_library(str(modules / "installed_app" / "views.py"))
    assert ownership.is_library(str(modules / "other_package" / "views.py"))


def test_surrogates_are_replaced_in_the_page_and_where_it_is_kept() -> None:
    """An undecodable file name in a message, for example."""

    def app(environ: Any, start_response: Any) -> Any:
        raise ValueError("no file \udcff")

    kept: list[str] = []
    errors = io.StringIO()
    client = Client(DebuggedApplication(app, evalex=True))
    given = {KEEP_PAGE: kept.append}
    response = client.get("/", errors_stream=errors, environ_overrides=given)
    for text in (response.text, kept[0], errors.getvalue()):
        assert "no file \\udcff" in text


def test_an_object_that_breaks_the_page_leaves_the_traceback() -> None:
    class Hostile(Exception):
        @property
        def __notes__(self) -> None:  # type: ignore[override]
            raise RuntimeError("second")

    def app(environ: Any, start_response: Any) -> Any:
        raise Hostile("first \udcff")

    errors = io.StringIO()
    response = Client(DebuggedApplication(app, evalex=True)).get("/", errors_stream=errors)
    assert response.status_code == 500
    for text in (response.text, errors.getvalue()):
        assert "Hostile" in text
        assert "in app" in text
