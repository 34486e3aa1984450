"""Shell completion: the `carboy completion` command, and the applications offered as APP."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from carboy.cli.locate import FACTORIES, NAMES

VARIABLE = "_CARBOY_COMPLETE"
HOW = {
    "bash": 'eval "$(carboy completion bash)"   # in ~/.bashrc',
    "zsh": 'eval "$(carboy completion zsh)"   # in ~/.zshrc',
    "fish": "carboy completion fish > ~/.config/fish/completions/carboy.fish",
}


@click.command("completion", short_help="Print the completion script for a shell.")
@click.argument("shell", type=click.Choice(list(HOW)))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the script that completes commands and options in a shell."""
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None  # click has all three
    click.echo(kind(ctx.find_root().command, {}, "carboy", VARIABLE).source())


command.help = "\n".join([f"{command.help}\n\n\b", *HOW.values()])


KINDS = ("Flask", "Carboy")
MOST = 100  # files that are read at most, because the user waits for the completion


def complete(ctx: Any, param: Any, incomplete: str) -> list[str]:
    """For click: the applications of the current folder whose names begin with `incomplete`."""
    return [name for name in applications(Path.cwd()) if name.startswith(incomplete)]


def applications(folder: Path) -> list[str]:
    """MODULE:NAME of each application and factory, found by parsing; nothing is imported."""
    files = sorted(folder.glob("*.py")) + sorted(folder.glob("*/__init__.py"))
    return [f"{_module(file)}:{name}" for file in files[:MOST] for name in _names(file)]


def _module(file: Path) -> str:
    return file.parent.name if file.name == "__init__.py" else file.stem


def _names(file: Path) -> Iterator[str]:
    try:
        body = ast.parse(file.read_bytes()).body
    except (OSError, SyntaxError, ValueError):
        return
    for statement in body:
        if isinstance(statement, ast.FunctionDef) and statement.name in (*NAMES, *FACTORIES):
            yield statement.name
        elif isinstance(statement, ast.Assign):
            names = [each.id for each in statement.targets if isinstance(each, ast.Name)]
            yield from (
                name for name in names if name in NAMES or _makes_an_application(statement.value)
            )


def _makes_an_application(value: ast.expr) -> bool:
    """Whether it is a call such as `Flask(…)` or `flask.Flask(…)`."""
    return isinstance(value, ast.Call) and ast.unparse(value.func).rpartition(".")[2] in KINDS
