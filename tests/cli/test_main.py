from __future__ import annotations

import contextlib
import json
import os
import platform
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from carboy import Carboy
from carboy.cli.routes import as_objects, routes, table
from carboy.speedups import VARIABLE, Speedups
from running import carboy

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
    "Greet a person."
    print("hello", name, "from", current_app.name)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "site_of_notes.py").write_text(APP)
    return tmp_path


def test_version_names_carboy_and_python(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)  # the command does not get it
    version, python, twins = carboy(folder, "--version").splitlines()
    assert (version, python) == ("Carboy 0.1.0", f"Python {platform.python_version()}")
    # Not the state of this process, in which other tests may have turned them off.
    assert twins == f"Speedups: {Speedups().state()}"


def test_routes_are_a_table(folder: Path) -> None:
    lines = carboy(folder, "routes", "site_of_notes").splitlines()
    assert lines == [  # no trailing spaces, which would wrap
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
    assert "routes of this application are not known" in carboy(folder, "routes", "plain", code=2)


@pytest.mark.parametrize(
    ("args", "env"), [(("--app", "site_of_notes"), {}), ((), {"FLASK_APP": "site_of_notes"})]
)
def test_commands_of_the_application_are_commands_of_carboy(
    folder: Path, args: tuple[str, ...], env: dict[str, str]
) -> None:
    assert carboy(folder, *args, "greet", "Ida", **env) == "hello Ida from site_of_notes\n"
    assert "Greet a person." in carboy(folder, *args, "--help", **env)


def test_help_works_even_if_the_application_is_broken(folder: Path) -> None:
    (folder / "app.py").write_text("1 / 0\n")
    output = carboy(folder, "--help")
    assert "ZeroDivisionError" in output
    assert "run" in output


def test_an_unknown_command_is_an_error(folder: Path) -> None:
    assert "No such command 'grete'" in carboy(folder, "grete", code=2)


def test_help_of_run_has_a_heading_for_each_kind_of_option(folder: Path) -> None:
    output = carboy(folder, "run", "--help")
    places = [output.index(f"\n{title}:") for title in ("Address", "Access log", "Other")]
    assert places == sorted(places)


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    assert table(["a", "bb"], [["ccc", "d"]]) == ["a    bb", "---  --", "ccc  d "]


def test_routes_show_websocket_rules_as_such() -> None:
    app = Carboy(__name__, static_folder=None)
    app.add_websocket("/chat/<room>", "chat", print)
    assert routes(app)[2:] == ["chat      WEBSOCKET  /chat/<room>"]
    assert as_objects(app)[0]["websocket"] is True


def test_routes_can_be_filtered_and_are_json_for_programs(folder: Path) -> None:
    assert "static" not in carboy(folder, "routes", "site_of_notes", "--filter", "note")
    assert "No route contains 'nothing'" in carboy(
        folder, "routes", "site_of_notes", "-f", "nothing"
    )
    found = json.loads(carboy(folder, "routes", "site_of_notes", "--json", "-f", "notes"))
    assert [(each["rule"], each["endpoint"]) for each in found] == [("/notes/<int:note>", "note")]


def test_routes_show_the_rule_that_matches_a_request(folder: Path) -> None:
    told = carboy(folder, "routes", "site_of_notes", "--match", "post /notes/3")
    assert told == "POST /notes/3\n  ✓ /notes/<int:note> → note  (note=3)\n"
    told = carboy(folder, "routes", "site_of_notes", "-m", "/notes/x")
    assert "✗ 404" in told
    told = carboy(folder, "routes", "site_of_notes", "-m", "http://localhost/static/a%20b?c=d")
    assert "GET http://localhost/static/a b\n" in told
    assert "(filename='a b')" in told
    assert "slash" in carboy(folder, "routes", "site_of_notes", "-m", "notes", code=2)


def test_a_shell_has_the_application(folder: Path) -> None:
    assert carboy(folder, "shell", "site_of_notes", "-c", "print(app.name)") == "site_of_notes\n"


def shell(folder: Path, *args: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "carboy", "shell", "site_of_notes", *args],
        cwd=folder, capture_output=True, text=True, timeout=60, check=False, **options,
    )  # fmt: skip


def test_a_shell_runs_code_from_standard_input(folder: Path) -> None:
    done = shell(folder, input="for n in (6, 7):\n    print(n, app.name)\nprint(g)\n")
    assert done.stdout.startswith("6 site_of_notes\n7 site_of_notes\n<")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("by", ["option", "pipe"])
def test_an_error_in_a_shell_is_shown_without_frames_of_carboy(folder: Path, by: str) -> None:
    code = "def f():\n    1 / 0\nf()"
    done = shell(folder, "-c", code) if by == "option" else shell(folder, input=code)
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr
    assert "line 3, in <module>" in done.stderr
    assert "click" not in done.stderr
    assert "shell.py" not in done.stderr


def test_a_shell_in_a_terminal_shows_the_names_and_reads_code(folder: Path) -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "carboy", "shell", "site_of_notes", "--plain"],
        cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs, env={"TERM": "dumb", "PATH": ""},
    ):  # fmt: skip
        os.close(theirs)
        os.write(ours, b"print(6 * 7, app.name)\nexit()\n")
        seen = b""
        with contextlib.suppress(OSError):  # EIO: the other end is closed
            while piece := os.read(ours, 4096):
                seen += piece
    os.close(ours)
    assert b"Names: app, g" in seen
    assert b"42 site_of_notes" in seen


def test_a_misspelt_command_is_an_error_with_a_suggestion(folder: Path) -> None:
    assert "Did you mean 'routes'?" in carboy(folder, "rotes", code=2)


def test_bash_completes_commands_and_options(folder: Path) -> None:
    assert "_CARBOY_COMPLETE" in carboy(folder, "completion", "bash", PATH=os.environ["PATH"])
    asked = {"_CARBOY_COMPLETE": "bash_complete", "COMP_CWORD": "1"}
    told = carboy(folder, COMP_WORDS="carboy ro", **asked)
    assert told.split() == ["plain,routes"]
    asked["COMP_CWORD"] = "2"
    assert "plain,--reload" in carboy(folder, COMP_WORDS="carboy dev --re", **asked)
