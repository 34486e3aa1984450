"""Commands of applications."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

import carboy
from carboy.app import commands
from carboy.app.commands import AppGroup, NoAppException, ScriptInfo, with_appcontext


@pytest.fixture
def app() -> carboy.Carboy:
    return carboy.Carboy("scenario")


def run(group: click.Command, *args: str, app: carboy.Carboy | None = None) -> str:
    info = ScriptInfo(create_app=None if app is None else (lambda: app))
    result = CliRunner().invoke(group, args, obj=info)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output


def test_a_command_runs_in_the_context_of_the_application(app) -> None:
    @app.cli.command("name")
    @click.argument("greeting")
    def name(greeting: str) -> None:
        click.echo(f"{greeting} {carboy.current_app.name}")

    assert run(app.cli, "name", "hello", app=app) == "hello scenario\n"


def test_a_command_can_run_without_a_context(app) -> None:
    @app.cli.command("bare", with_appcontext=False)
    def bare() -> None:
        click.echo(carboy.has_app_context())

    assert run(app.cli, "bare", app=app) == "False\n"


def test_nested_groups_have_the_same_class(app) -> None:
    @app.cli.group()
    def users() -> None:
        pass

    @users.command()
    def count() -> None:
        click.echo(carboy.current_app.name)

    assert isinstance(users, AppGroup)
    assert run(app.cli, "users", "count", app=app) == "scenario\n"


def test_any_click_command_can_ask_for_the_context(app) -> None:
    @click.command()
    @with_appcontext
    def alone() -> None:
        click.echo(carboy.current_app.name)

    assert run(alone, app=app) == "scenario\n"
    with app.app_context():
        assert run(alone) == "scenario\n"


def test_the_teardown_functions_run_when_the_command_ends(app) -> None:
    ended = []
    app.teardown_appcontext(ended.append)

    @app.cli.command()
    def work() -> None:
        assert not ended

    run(app.cli, "work", app=app)
    assert ended == [None]


def test_without_an_application_the_error_says_how_to_name_one(app) -> None:
    info = ScriptInfo()
    info.locate = lambda info: None
    with pytest.raises(NoAppException, match="--app"):
        info.load_app()


def test_an_application_is_loaded_once_and_gets_the_debug_flag(monkeypatch) -> None:
    made = []

    def create() -> carboy.Carboy:
        made.append(1)
        return carboy.Carboy("scenario")

    monkeypatch.setenv("FLASK_DEBUG", "1")
    info = ScriptInfo(create_app=create)
    assert info.load_app() is info.load_app()
    assert info.load_app().debug
    assert made == [1]
    monkeypatch.setenv("FLASK_DEBUG", "0")
    assert ScriptInfo(create_app=create, set_debug_flag=False).load_app().debug is False


def test_dotenv_files_do_not_override_the_environment(tmp_path, monkeypatch) -> None:
    (tmp_path / ".env").write_text("SCENARIO_A=env\nSCENARIO_B=env\nSCENARIO_C=env\n")
    (tmp_path / ".flaskenv").write_text("SCENARIO_A=flaskenv\nSCENARIO_D=flaskenv\n")
    (tmp_path / "own.env").write_text("SCENARIO_B=own\n")
    monkeypatch.chdir(tmp_path)
    for name in "ABCD":
        monkeypatch.setenv(f"SCENARIO_{name}", "x")
        monkeypatch.delenv(f"SCENARIO_{name}")
    monkeypatch.setenv("SCENARIO_C", "real")
    assert commands.load_dotenv(tmp_path / "own.env")
    import os

    assert [os.environ.get(f"SCENARIO_{name}") for name in "ABCD"] == [
        "env",
        "own",
        "real",
        "flaskenv",
    ]


def test_a_missing_dotenv_file_is_not_an_error(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert commands.load_dotenv(tmp_path / "missing.env", load_defaults=False) is False


def test_the_runner_of_an_application_runs_its_commands(app) -> None:
    @app.cli.command("hello")
    def hello() -> None:
        click.echo(carboy.current_app.name)

    result = app.test_cli_runner().invoke(args=["hello"])
    assert result.output == "scenario\n"
