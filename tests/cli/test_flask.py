"""The `flask` command on Carboy, compared with the real one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

import ready_commands

APP = """
from flask import Blueprint, Flask

app = Flask(__name__)
part = Blueprint("part", __name__, url_prefix="/part")

@app.route("/", methods=["GET", "POST"])
def index(): return ""

@part.cli.command("inner")
def inner(): print("inner")

@part.get("/<int:n>")
def deep(n): return ""

@app.route("/a", defaults={"x": 1})
@app.route("/a/<x>")
def several(x): return ""

app.register_blueprint(part)

@app.cli.command()
def greet():
    "Say hello."
    print("hello from", __name__)

app.register_blueprint(part, name="again", url_prefix="/again", subdomain="sub")

def make_app(name="made", number=0):
    made = Flask(f"{name}{number}")
    made.cli.command("who")(lambda: print(made.name))
    return made
"""
OURS = ready_commands.flask
REAL = partial(ready_commands.flask, real=True)
CODE = ready_commands.program
Run = Callable[..., subprocess.CompletedProcess[str]]


def run(command: Run, folder: Path, *arguments: str, **env: str) -> tuple[int, str, str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("FLASK_", "CARBOY_"))}
    done = command(*arguments, cwd=folder, env=clean | env)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("application")
    (made / "app.py").write_text(APP)
    (made / "other.py").write_text(APP.replace("app = ", "strange = ").replace("app.", "strange."))
    (made / "broken.py").write_text("import no_such_module_at_all\n")
    return made


@pytest.mark.parametrize(
    "arguments",
    [
        ["routes"],
        ["routes", "--sort", "methods"],
        ["routes", "-s", "rule", "--all-methods"],
        ["routes", "--sort", "match"],
        ["routes", "--sort", "domain"],
        ["greet"],
        ["part", "inner"],
        ["--app", "other", "greet"],
        ["--app", "other.py:strange", "greet"],
        ["--app", "app:make_app", "who"],
        ["--app", "app:make_app('x', number=3)", "who"],
        ["--app", str(Path("app.py")), "greet"],
    ],
    ids=str,
)
def test_output_is_that_of_flask(arguments: list[str], folder: Path) -> None:
    assert run(OURS, folder, *arguments) == run(REAL, folder, *arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        ["no-such-command"],
        ["--app", "broken", "greet"],
        ["--app", "missing", "greet"],
        ["--app", "app:missing", "greet"],
        ["--app", "app:make_app(", "greet"],
        ["--app", "app:make_app(oops=1)", "greet"],
        ["routes", "--sort", "colour"],
    ],
    ids=str,
)
def test_a_command_that_fails_has_the_exit_code_of_flask(
    arguments: list[str], folder: Path
) -> None:
    code, out, err = run(OURS, folder, *arguments)
    assert (code, out) == run(REAL, folder, *arguments)[:2]
    assert "Error: " in err


def test_commands_are_listed_with_those_of_the_application(folder: Path) -> None:
    code, out, _ = run(OURS, folder, "--help")
    assert code == 0
    for name in ("greet", "part", "routes", "run", "shell"):
        assert f"\n  {name}" in out


def test_built_in_commands_work_if_the_application_does_not_load(folder: Path) -> None:
    code, out, err = run(OURS, folder, "--app", "broken", "--help")
    assert code == 0
    assert "routes" in out
    assert "no_such_module_at_all" in err


def test_the_variable_names_the_application(folder: Path) -> None:
    assert run(OURS, folder, "greet", FLASK_APP="other") == (0, "hello from other\n", "")


def test_versions_are_shown_exactly_as_by_flask(folder: Path) -> None:
    assert run(OURS, folder, "--version") == run(REAL, folder, "--version")


def test_an_application_can_have_its_own_command_line(folder: Path) -> None:
    code = (
        "import click, carboy.compat; carboy.compat.install()\n"
        "from flask.cli import FlaskGroup\n"
        "from app import make_app\n"
        "@click.group(cls=FlaskGroup, create_app=lambda: make_app('mine'))\n"
        "def cli(): 'Mine.'\n"
        "cli()"
    )
    assert run(CODE, folder, code, "who") == (0, "mine0\n", "")


@pytest.mark.parametrize("package", ["flask", "carboy"])
def test_a_certificate_that_cannot_be_made_is_a_usage_error(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import click
    import flask.cli

    import carboy.cli.flask

    command = (flask.cli if package == "flask" else carboy.cli.flask).run_command
    kind = next(each.type for each in command.params if each.name == "cert")
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(click.BadParameter, match="requires the cryptography library"):
        kind.convert("adhoc", None, None)
    monkeypatch.undo()
    assert kind.convert("adhoc", None, None) == "adhoc"


def test_app_run_serves_again_after_the_variable_of_the_command_line_is_removed(
    folder: Path,
) -> None:
    code = (
        "import os, carboy\n"
        "from carboy.cli.flask import FlaskGroup\n"
        "from carboy.serving import development\n"
        "from click.testing import CliRunner\n"
        "development.run_simple = lambda *args, **options: print('served')\n"
        "app = carboy.Flask('scenario')\n"
        "CliRunner().invoke(FlaskGroup(create_app=lambda: app), ['routes'])\n"
        "app.run(load_dotenv=False)\n"
        "del os.environ['FLASK_RUN_FROM_CLI']\n"
        "app.run(load_dotenv=False)"
    )
    status, out, err = run(CODE, folder, code)
    assert (status, out.count("served"), err.count("Ignoring a call to 'app.run()'")) == (0, 1, 1)
