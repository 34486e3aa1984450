from __future__ import annotations

import click

import carboy


def application() -> carboy.Flask:
    app = carboy.Flask("hello")

    @app.cli.command("hi")
    @click.argument("name")
    def hi(name: str) -> None:
        click.echo(f"hi {name} from {carboy.current_app.name}")

    return app


def test_a_command_of_the_application_is_run() -> None:
    result = application().test_cli_runner().invoke(args=["hi", "you"])
    assert (result.output, result.exit_code) == ("hi you from hello\n", 0)


def test_a_command_object_can_be_passed() -> None:
    app = application()
    result = app.test_cli_runner().invoke(app.cli.commands["hi"], ["you"])
    assert result.output == "hi you from hello\n"


def test_an_unknown_command_is_a_usage_error() -> None:
    result = application().test_cli_runner().invoke(args=["nope"])
    assert result.exit_code == 2
