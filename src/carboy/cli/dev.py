"""`carboy dev`: serve an application for whoever is writing it."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from typing import Any

import click

from carboy.cli.parameters import with_certificate, with_watched_files
from carboy.cli.run import FROM_CLI, as_flask, chosen_app, load_or_explain
from carboy.server import development
from carboy.server.worker import LoadError

DEBUG = "FLASK_DEBUG"


def loaded_or_failing(load: Callable[[], Any]) -> Any:
    """What `load` gives; after a reload, if it raises, an application that raises the same.

    At the first start the user is at the terminal, and the error belongs there. Later the
    debugger shows it, and the next save mends it.
    """
    try:
        return load()
    except Exception as error:
        if not development.is_running_from_reloader():
            raise
        failure = error.__cause__ or error  # what the application's own code has raised
        traceback.print_exception(failure)

    def failing(environ: Any, start_response: Any) -> Any:
        raise failure from None

    return failing


@click.command("dev", short_help="Serve an application while you write it.")
@click.argument("app", required=False)
@click.option("--host", "-h", default="127.0.0.1", help="The interface to bind to.")
@click.option("--port", "-p", default=8000, type=int, help="The port to bind to; 0: a free one.")
@with_certificate
@click.option("--reload/--no-reload", default=True, help="Start again when a file changes.")
@click.option("--debugger/--no-debugger", default=True, help="Show errors as a page to work in.")
@with_watched_files
@click.pass_context
def command(
    ctx: click.Context, app: str | None, host: str, port: int, cert: Any, reload: bool,
    debugger: bool, extra_files: list[str] | None, exclude_patterns: list[str] | None,
) -> None:  # fmt: skip
    """Serve APP in debug mode: a saved file is live at once, an error is a page to work in.

    APP is named as for `carboy run`. For this machine only, unless --host says otherwise.
    """
    name = chosen_app(ctx, app)
    os.environ.setdefault(DEBUG, "1")
    for variable in FROM_CLI:
        os.environ[variable] = "true"
    try:
        application = loaded_or_failing(lambda: load_or_explain(name))
    except LoadError as problem:
        raise click.ClickException(str(problem).removeprefix("Error: ")) from None
    development.run_simple(
        host,
        port,
        application,
        use_reloader=reload,
        use_debugger=debugger,
        threaded=True,
        ssl_context=cert,
        extra_files=extra_files,
        exclude_patterns=exclude_patterns,
    )


command.params.append(as_flask())


def make_command() -> click.Command:
    """The command."""
    return command
