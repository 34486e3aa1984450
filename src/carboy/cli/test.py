"""`carboy test`: runs pytest, with Carboy under the names of Flask and Werkzeug if asked."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec

import click

MISSING = "carboy test requires pytest. Install it with `pip install pytest`."


@click.command(
    "test",
    short_help="Run the tests of a project with pytest.",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.option(
    "--flask", "as_flask", is_flag=True,
    help="Carboy under the names flask and werkzeug, including in Python processes that the tests"
    " start.",
)  # fmt: skip
@click.argument("args", nargs=-1, type=click.UNPROCESSED, metavar="[PYTEST ARGS]...")
@click.pass_context
def command(ctx: click.Context, as_flask: bool, args: tuple[str, ...]) -> None:
    """Run pytest with PYTEST ARGS in this folder.

    The exit code is that of pytest. Variables are those of the shell: dotenv files are read only
    if --env-file names one.
    """
    if find_spec("pytest") is None:
        raise click.ClickException(MISSING)
    names = ["-m", "carboy.compat", "--children"] if as_flask else []
    line = [sys.executable, *names, "-m", "pytest", *args]
    root = ctx.find_root()
    given = root.params.get("env_file") is not None
    env = dict(os.environ if given else root.meta.get("carboy.environ", os.environ))
    if sys.platform == "win32":
        sys.exit(subprocess.call(line, env=env))
    os.execve(sys.executable, line, env)
