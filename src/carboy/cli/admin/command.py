"""The common part of the commands to a running server: options, errors and --json."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import click

from carboy.cli.admin.client import AdminError, Client
from carboy.cli.admin.servers import Wanted, choose
from carboy.cli.options import option
from carboy.server.setting import ADMIN

Run = Callable[..., Any]


def common() -> list[click.Parameter]:
    """The options that say which server is meant."""
    return [
        option(
            "--admin", section=ADMIN, metavar="PLACE",
            help="Admin server to ask: a path or HOST:PORT, as --admin of `carboy run`."
            "  [default: the server of the project in the current folder]",
        ),
        click.Option(
            ["--port"], type=int, metavar="PORT",
            help="Port of the server that is meant, if several run.",
        ),
        click.Option(
            ["--pid"], type=int, metavar="PID",
            help="Process id of the server that is meant, if several run.",
        ),
        click.Option(["--json", "as_json"], is_flag=True, help="Machine-readable output."),
    ]  # fmt: skip


def admin_command(
    name: str, run: Run, params: list[click.Parameter] | None = None, short_help: str = ""
) -> click.Command:
    """A command that calls `run` with the Client of the server and its other options.

    `run` returns the text to show, or None; with --json, it is called with `as_json=True`.
    """

    def callback(
        admin: str | tuple[str, ...] | None, port: int | None, pid: int | None, **values: Any
    ) -> None:
        if isinstance(admin, tuple | list):
            admin = admin[0] if admin else None
        try:
            text = run(choose(Wanted(admin, port, pid)), **values)
        except AdminError as problem:
            raise click.ClickException(str(problem)) from None
        if text is not None:
            click.echo(text)

    return click.Command(
        name, callback=callback, params=[*(params or []), *common()], help=run.__doc__,
        short_help=short_help,
    )  # fmt: skip


def patience() -> click.Option:
    """The time in which workers have to answer."""
    return click.Option(
        ["--timeout"], type=click.FloatRange(0.0, 60.0), default=2.0, show_default=True,
        metavar="SECONDS", help="Time in which workers have to answer.",
    )  # fmt: skip


def document(value: Any) -> str:
    """A value as JSON, for --json."""
    return json.dumps(value, indent=2)


__all__ = ["Client", "admin_command", "common", "document", "patience"]
