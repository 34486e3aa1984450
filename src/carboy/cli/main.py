"""The `carboy` command: its own commands and those of the application."""

from __future__ import annotations

import os
import platform
import signal
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from carboy import __version__
from carboy.cli import config, run
from carboy.cli.application import application_commands
from carboy.cli.completion import complete
from carboy.cli.config_options import CHECK
from carboy.cli.options import names_of
from carboy.cli.run import FROM_CLI
from carboy.late import difflib
from carboy.server.signals import Handlers, hold
from carboy.speedups import speedups

COMMAND = "carboy.command"  # in the context's meta: the name of the command as typed
# Options of `carboy run` that other commands have as well.
SHARED = {
    "certs": ("state",),
    "crashes": ("state",),
    "dev": ("mount", "channels"),
    "publish": ("channels",),
    "routes": ("mount",),
    **dict.fromkeys(
        ("status", "stacks", "reload", "scale", "drain", "log-level", "memory", "profile", "top"),
        ("admin",),
    ),
}
# name: module with its `command`, which imports much that a server does not need
LATE = {
    "certs": "carboy.cli.certs",
    "completion": "carboy.cli.completion",
    "crashes": "carboy.cli.admin.crashes",
    "dev": "carboy.cli.dev.command",
    "drain": "carboy.cli.admin.drain",
    "explain": "carboy.cli.explain",
    "learn": "carboy.cli.learn.command",
    "migrate": "carboy.cli.migrate.command",
    "log-level": "carboy.cli.admin.log_level",
    "memory": "carboy.cli.admin.memory",
    "new": "carboy.cli.new",
    "profile": "carboy.cli.admin.profiles.command",
    "publish": "carboy.cli.publish",
    "reload": "carboy.cli.admin.reload",
    "routes": "carboy.cli.routes",
    "scale": "carboy.cli.admin.scale",
    "shell": "carboy.cli.shell",
    "stacks": "carboy.cli.admin.stacks",
    "status": "carboy.cli.admin.status",
    "test": "carboy.cli.test",
    "top": "carboy.cli.admin.top",
}


class CarboyGroup(click.Group):
    """Looks for a command among its own first, then among those of the application."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        rest = super().parse_args(ctx, args)
        if not ctx.resilient_parsing:
            self._read_project(ctx, checks=CHECK in rest)
            run.install_names_if_asked()
        os.environ.setdefault(FROM_CLI, "true")
        return rest

    def _read_project(self, ctx: click.Context, checks: bool) -> None:
        known = [*names_of(self.commands["run"].params), "app"]
        ctx.meta[config.PROJECT] = project = config.read_project(Path.cwd(), known)
        if project.problems and not checks:  # --check-config shows them with all others
            raise click.ClickException("\n".join(project.problems))
        values = project.values
        # The application is not a default of `run`: --app and CARBOY_APP have precedence over it.
        ctx.default_map = {"run": {name: values[name] for name in values if name != "app"}}
        for command, names in SHARED.items():
            ctx.default_map[command] = {name: values[name] for name in names if name in values}
        if ctx.params.get("app") is None and not os.environ.get("FLASK_APP"):
            ctx.params["app"] = values.get("app")

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            if ctx.meta.get(COMMAND) not in ("dev", "learn"):
                raise
            # A server that is stopped before it serves is not a failure to report.
            sys.exit(128 + signal.SIGINT)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name == "test" and (theirs := _command_of_application(ctx, name)):
            return theirs  # many applications have a command of this name
        if name in LATE and name not in self.commands:
            # As in `carboy.__main__`. A KeyboardInterrupt that is raised in a callback of the
            # import system is printed and lost, and the command would run.
            raises = signal.getsignal(signal.SIGINT) is signal.default_int_handler
            with Handlers({signal.SIGINT: signal.SIG_DFL} if raises else {}):
                self.add_command(import_module(LATE[name]).command)
        own = super().get_command(ctx, name)
        if own is not None:
            return own
        commands = application_commands(ctx)
        if commands is None:
            return None
        return commands.get_command(ctx, name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        ctx.meta[COMMAND] = args[0]
        try:
            name, command, rest = super().resolve_command(ctx, args)
            if name != "run":
                hold(False)
            return name, command, rest
        except click.UsageError as problem:
            near = difflib.get_close_matches(args[0], self.list_commands(ctx), n=1)
            if not near or "Did you mean" in problem.message:
                raise
            hint = f"{problem.message} Did you mean {near[0]!r}?"
            raise click.UsageError(hint, ctx) from None

    def list_commands(self, ctx: click.Context) -> list[str]:
        names = {*super().list_commands(ctx), *LATE}
        if "env_file" not in ctx.params:  # --help is handled before options that are not given
            config.load_env(None, Path.cwd())
        try:
            commands = application_commands(ctx)
        except click.ClickException as problem:
            click.secho(f"Error: {problem.format_message()}\n", err=True, fg="red")
            commands = None
        if commands is not None:
            names.update(commands.list_commands(ctx))
        return sorted(names)


def _command_of_application(ctx: click.Context, name: str) -> click.Command | None:
    """A command of the application; None without it, or if the application does not load."""
    try:
        commands = application_commands(ctx)
    except click.ClickException:
        return None
    return commands.get_command(ctx, name) if commands is not None else None


def _show_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        click.echo(f"Carboy {__version__}\nPython {platform.python_version()}")
        click.echo(f"Speedups: {speedups.state()}")
        ctx.exit()


def _load_env(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    if not ctx.resilient_parsing:
        ctx.meta[config.ENVIRON] = dict(os.environ)  # `carboy dev` reads the files again
        ctx.meta[config.DOTENV] = config.load_env(value, Path.cwd())
    return value


def make_group() -> CarboyGroup:
    """The command with its options and its own commands."""
    return CarboyGroup(
        "carboy",
        params=[
            click.Option(
                ["--env-file", "-e"], envvar="CARBOY_ENV_FILE", is_eager=True,
                type=click.Path(exists=True, dir_okay=False), callback=_load_env,
                help="File of environment variables to set; has precedence over .env, .carboyenv"
                " and .flaskenv.",
            ),
            click.Option(
                ["--app", "-A"], is_eager=True, envvar="CARBOY_APP", metavar="APP",
                shell_complete=complete,
                help="Application: MODULE:NAME, MODULE:FACTORY(…) or the path of a file.",
            ),
            run.debug(),
            click.Option(
                ["--version"], is_flag=True, is_eager=True, expose_value=False,
                callback=_show_version, help="Show the versions of Carboy and Python, and exit.",
            ),
        ],
        commands=[
            run.command,
        ],
        help="Serve a web application, or run one of its commands.",
        context_settings={"help_option_names": ["--help"]},
    )  # fmt: skip


def main() -> None:
    """The entry point of `carboy` and `python -m carboy`."""
    make_group()(prog_name="carboy")
