"""`carboy test`: pytest, its arguments and its exit code."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from carboy.cli.test import command
from running import carboy

ALONE = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # plugins of this environment take a second to load
TESTS = """
import os
import flask
import subprocess
import sys

def test_names():
    assert flask.Flask.__module__.startswith("carboy") is (os.environ["EXPECTED"] == "carboy")
    line = [sys.executable, "-c", "import flask; print(flask.Flask.__module__)"]
    told = subprocess.run(line, capture_output=True, text=True).stdout
    assert told.startswith("carboy") is (os.environ["EXPECTED"] == "carboy")

def test_variables():
    assert "FLASK_RUN_FROM_CLI" not in os.environ
    assert "COLOUR" not in os.environ

def test_other():
    pass
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "test_site.py").write_text(TESTS)
    (tmp_path / ".env").write_text("COLOUR=blue\n")
    return tmp_path


@pytest.mark.parametrize(
    ("options", "expected"), [((), "flask"), (("--flask",), "carboy")], ids=["plain", "flask"]
)
def test_tests_run_with_or_without_the_names_of_flask(
    folder: Path, options: tuple[str, ...], expected: str
) -> None:
    output = carboy(
        folder, "test", *options, "-q", "-p", "no:cacheprovider", EXPECTED=expected, **ALONE
    )
    assert "3 passed" in output


def test_arguments_and_exit_code_are_those_of_pytest(folder: Path) -> None:
    output = carboy(folder, "test", "-k", "other", "--co", "-q", EXPECTED="", **ALONE)
    assert "test_site.py::test_other" in output
    assert "test_names" not in output
    assert "3 deselected" in carboy(folder, "test", "-q", "-k", "none_such", code=5, **ALONE)


def test_without_pytest_its_name_and_the_command_are_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("carboy.cli.test.find_spec", lambda name: None)
    result = CliRunner().invoke(command, ["-q"])
    assert result.exit_code == 1
    assert "carboy test requires pytest. Install it with `pip install pytest`." in result.output


def test_a_command_test_of_the_application_has_precedence(folder: Path) -> None:
    (folder / "app.py").write_text(
        "import carboy\napp = carboy.Flask(__name__)\n\n"
        "@app.cli.command('test')\ndef test():\n    print('my own')\n"
    )
    assert carboy(folder, "test") == "my own\n"
    (folder / "app.py").write_text("1 / 0\n")
    assert "3 passed" in carboy(folder, "test", "-q", EXPECTED="flask", **ALONE)
