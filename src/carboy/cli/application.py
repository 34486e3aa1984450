"""The application that a command works on, and the commands that it adds to the command line."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from carboy.cli import locate, mounts
from carboy.cli.framework import load_request_modules
from carboy.server.processes.worker import LoadError

if TYPE_CHECKING:
    from carboy.app.commands import ScriptInfo


def chosen_app(ctx: click.Context, given: str | None, optional: bool = False) -> str:
    """The application's name: the command's argument, --app, a variable or the usual file.

    Without any of them, a usage error; "" if the application is `optional`.
    """
    before = ctx.find_root().params.get("app")
    try:
        return locate.choose(given or before, os.environ, Path.cwd())
    except locate.NoApplication as problem:
        if optional:
            return ""
        raise click.UsageError(str(problem), ctx) from None


def load_or_explain(
    name: str, interface: str = locate.WSGI_FOUND, mounted: mounts.Mounted = ()
) -> Any:
    """The application, or a LoadError whose text tells the user what to correct."""
    try:
        application = mounts.load(name, interface, mounted)
    except (locate.NoApplication, locate.BrokenApplication) as problem:
        raise LoadError(str(problem)) from None
    load_request_modules(application)
    return application


def application_commands(ctx: click.Context) -> click.Group | None:
    """The commands of the application; None without an application, or if it has none."""
    info = script_info(ctx)
    try:
        locate.choose(info.app_import_path, os.environ, Path.cwd())
    except locate.NoApplication:
        return None
    commands = getattr(info.load_app(), "cli", None)
    return commands if isinstance(commands, click.Group) else None


def script_info(ctx: click.Context) -> ScriptInfo:
    """The object that commands of an application expect in `ctx.obj`.

    Imported here, so that `carboy run` serves other WSGI applications without the framework.
    """
    from carboy.app.commands import ScriptInfo

    info = ctx.ensure_object(ScriptInfo)
    info.locate = _find_application
    info.app_import_path = info.app_import_path or ctx.find_root().params.get("app")
    return info


def _find_application(info: ScriptInfo) -> Any:
    try:
        name = locate.choose(info.app_import_path, os.environ, Path.cwd())
        return locate.load(name)
    except (locate.NoApplication, locate.BrokenApplication) as problem:
        raise click.ClickException(str(problem)) from None


def load_for_command(ctx: click.Context, given: str | None) -> Any:
    """The application for a command that takes it as its argument."""
    info = script_info(ctx)
    if given is not None:
        info.app_import_path = given
    else:
        chosen_app(ctx, None)  # a usage error of this command if there is none
    return info.load_app()
