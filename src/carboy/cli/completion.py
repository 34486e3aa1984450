"""Shell completion: the `carboy completion` command, and the applications offered for APP."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from click.shell_completion import get_completion_class

from carboy.cli.locate import FACTORIES, NAMES

VARIABLE = "_CARBOY_COMPLETE"
HOW = {
    "bash": 'eval "$(carboy completion bash)"   # in ~/.bashrc',
    "zsh": 'eval "$(carboy completion zsh)"   # in ~/.zshrc',
    "fish": "carboy completion fish > ~/.config/fish/completions/carboy.fish",
}


@click.command("completion", short_help="Have a shell complete commands and options.")
@click.argument("shell", type=click.Choice(list(HOW)))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the script for SHELL."""
    kind = get_completion_class(shell)
    assert kind is not None  # the three are click's own
    click.echo(kind(ctx.find_root().command, {}, "carboy", VARIABLE).source())


command.epilog = "  ".join(["\b\n", *(f"{line}\n" for line in HOW.values())])


def make_command() -> click.Command:
    """The command."""
    return command


KINDS = ("Flask", "Carboy")
MOST = 100  # files that are read: a key has been pressed, and somebody waits


def complete(ctx: Any, param: Any, incomplete: str) -> list[str]:
    """For click: the applications of the current folder that begin like this."""
    return [name for name in applications(Path.cwd()) if name.startswith(incomplete)]


def applications(folder: Path) -> list[str]:
    """MODULE:NAME of each application and factory, as far as the source shows it."""
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
            yield from (name for name in names if name in NAMES or _makes_one(statement.value))


def _makes_one(value: ast.expr) -> bool:
    """Whether it reads like `Flask(…)` or `flask.Flask(…)`."""
    return isinstance(value, ast.Call) and ast.unparse(value.func).rpartition(".")[2] in KINDS
