from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

from carboy.cli.routes import table

APP = """
import click
from carboy import Flask, current_app

app = Flask(__name__)

@app.route("/notes/<int:note>", methods=["GET", "POST"])
def note(note):
    return str(note)

@app.cli.command("greet")
@click.argument("name")
def greet(name):
    "Greet somebody."
    print("hello", name, "from", current_app.name)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "site_of_notes.py").write_text(APP)
    return tmp_path


def carboy(folder: Path, *args: str, code: int = 0, **env: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "carboy", *args],
        cwd=folder, env={"PATH": "", **env}, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stderr + done.stdout
    return done.stdout + done.stderr


def test_version_names_carboy_and_python(folder: Path) -> None:
    assert carboy(folder, "--version") == f"Carboy 0.1.0\nPython {platform.python_version()}\n"


def test_routes_are_a_table(folder: Path) -> None:
    lines = carboy(folder, "routes", "site_of_notes").splitlines()
    assert [line.rstrip() for line in lines] == [
        "Endpoint  Methods    Rule",
        "--------  ---------  -----------------------",
        "note      GET, POST  /notes/<int:note>",
        "static    GET        /static/<path:filename>",
    ]


def test_routes_can_be_sorted_and_show_all_methods(folder: Path) -> None:
    output = carboy(folder, "--app", "site_of_notes", "routes", "-s", "methods", "--all-methods")
    assert "GET, HEAD, OPTIONS, POST" in output
    assert output.index("static") < output.index("note ")


def test_routes_of_an_application_without_a_map_are_an_error(folder: Path) -> None:
    (folder / "plain.py").write_text("def app(environ, start_response): 1\n")
    assert "no url_map" in carboy(folder, "routes", "plain", code=2)


@pytest.mark.parametrize(
    ("args", "env"), [(("--app", "site_of_notes"), {}), ((), {"FLASK_APP": "site_of_notes"})]
)
def test_commands_of_the_application_are_commands_of_carboy(
    folder: Path, args: tuple[str, ...], env: dict[str, str]
) -> None:
    assert carboy(folder, *args, "greet", "Ida", **env) == "hello Ida from site_of_notes\n"
    assert "Greet somebody." in carboy(folder, *args, "--help", **env)


def test_help_is_there_even_if_the_application_is_broken(folder: Path) -> None:
    (folder / "app.py").write_text("1 / 0\n")
    output = carboy(folder, "--help")
    assert "ZeroDivisionError" in output
    assert "run" in output


def test_an_unknown_command_is_an_error(folder: Path) -> None:
    assert "No such command 'grete'" in carboy(folder, "grete", code=2)


def test_help_of_run_has_a_heading_for_each_kind_of_option(folder: Path) -> None:
    output = carboy(folder, "run", "--help")
    places = [output.index(f"\n{title}:") for title in ("Where to listen", "Logs", "Other")]
    assert places == sorted(places)


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    assert table(["a", "bb"], [["ccc", "d"]]) == ["a    bb", "---  --", "ccc  d "]
