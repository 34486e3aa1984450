"""`carboy shell`: Python in the context of an application."""

from __future__ import annotations

import code
import os
import platform
import sys
import traceback
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from carboy import __version__
from carboy.cli.application import load_for_command
from carboy.cli.completion import complete


@click.command("shell", short_help="Start Python in the context of an application.")
@click.argument("app", required=False, shell_complete=complete)
@click.option("-c", "line", metavar="CODE", help="Code to run instead of an interactive shell.")
@click.option("--plain", is_flag=True, help="Python's own shell, even if IPython is installed.")
@click.pass_context
def command(ctx: click.Context, app: str | None, line: str | None, plain: bool) -> None:
    """Start Python in the application context of APP.

    The names `app`, `g` and those of the shell context processors are defined. Code that is
    piped to standard input is run.
    """
    application = load_for_command(ctx, app)
    if not hasattr(application, "make_shell_context"):
        raise click.UsageError(
            f"{application!r} has no application context. Is it a Flask application?", ctx
        )
    with application.app_context():
        names = application.make_shell_context()
        if line is not None:
            execute(line, "<command line>", names)
        elif not sys.stdin.isatty():
            execute(sys.stdin.read(), "<stdin>", names)
        elif not plain and find_spec("IPython") is not None:
            import_module("IPython").start_ipython(argv=[], user_ns=names)
        else:
            title = f"Carboy {__version__}, Python {platform.python_version()}"
            known = ", ".join(sorted(name for name in names if not name.startswith("_")))
            interact(f"{title}\n{application!r}\nNames: {known}", names, "")


def execute(text: str, origin: str, names: dict[str, Any]) -> None:
    """Run the code; an error ends the program with a traceback of the code's own frames."""
    try:
        exec(compile(text, origin, "exec"), names)
    except Exception as error:
        trace = error.__traceback__
        traceback.print_exception(error.with_traceback(trace and trace.tb_next))
        sys.exit(1)


def interact(banner: str, context: dict[str, Any], goodbye: str | None = None) -> None:
    """Python's own shell, with completion and the user's start-up file."""
    names: dict[str, Any] = {}
    startup = os.environ.get("PYTHONSTARTUP")
    if startup and Path(startup).is_file():
        exec(compile(Path(startup).read_text(), startup, "exec"), names)
    names.update(context)
    try:
        import readline
        from rlcompleter import Completer
    except ImportError:
        pass  # Windows has no completion
    else:
        readline.set_completer(Completer(names).complete)
    if hook := getattr(sys, "__interactivehook__", None):
        hook()
    code.interact(banner, local=names, exitmsg=goodbye)
