"""`carboy completion`: what makes a shell complete commands and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

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
