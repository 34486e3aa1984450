"""The application that a command is about, and the commands it brings along."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from carboy.cli import locate
from carboy.cli.run import chosen_app

if TYPE_CHECKING:
    from carboy.app.commands import ScriptInfo


def application_commands(ctx: click.Context) -> click.Group | None:
    """The group of the application's own commands; None without an application or group."""
    info = script_info(ctx)
    try:
        locate.choose(info.app_import_path, os.environ, Path.cwd())
    except locate.NoApplication:
        return None
    commands = getattr(info.load_app(), "cli", None)
    return commands if isinstance(commands, click.Group) else None


def script_info(ctx: click.Context) -> ScriptInfo:
    """What commands of an application expect in `ctx.obj`, and how it finds the application.

    Imported here, so that `carboy run` serves a foreign application without the framework.
    """
    from carboy.app.commands import ScriptInfo

    ScriptInfo.locate = staticmethod(find_application)
    info = ctx.ensure_object(ScriptInfo)
    info.app_import_path = info.app_import_path or ctx.find_root().params.get("app")
    return info


def find_application(info: ScriptInfo) -> Any:
    """How a ScriptInfo of the command line finds the application."""
    try:
        name = locate.choose(info.app_import_path, os.environ, Path.cwd())
        return locate.load(name)
    except (locate.NoApplication, locate.BrokenApplication) as problem:
        raise click.ClickException(str(problem)) from None


def load_for_command(ctx: click.Context, given: str | None) -> Any:
    """The application for a sub-command that takes it as its argument."""
    info = script_info(ctx)
    if given is not None:
        info.app_import_path = given
    else:
        chosen_app(ctx, None)  # a usage error of this command if there is none
    return info.load_app()
