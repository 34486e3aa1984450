"""The applications that shell completion offers."""

from __future__ import annotations

from pathlib import Path

import pytest

from carboy.cli.completion import applications
from running import carboy


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "site.py").write_text("import flask\nshop = flask.Flask('x')\nother = 1 / 0\n")
    (tmp_path / "wsgi.py").write_text("from site import shop as it\napplication = it\n")
    (tmp_path / "broken.py").write_text("app = (\n")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "__init__.py").write_text("def create_app(config=None): ...\n")
    return tmp_path


def test_applications_and_factories_are_found_without_importing_anything(folder: Path) -> None:
    assert applications(folder) == ["site:shop", "wsgi:application", "notes:create_app"]


@pytest.mark.parametrize("command", ["run", "dev", "routes", "shell", "explain", "--app"])
def test_applications_are_completed_for_every_command(folder: Path, command: str) -> None:
    asked = {"_CARBOY_COMPLETE": "bash_complete", "COMP_WORDS": f"carboy {command} n"}
    assert carboy(folder, COMP_CWORD="2", **asked).split() == ["plain,notes:create_app"]
