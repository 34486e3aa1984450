"""`carboy migrate`."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import click

from carboy.cli.migrate import whole_file
from carboy.cli.migrate.command_line import find_command, split
from carboy.cli.migrate.output import as_json, as_text, changes_as_text
from carboy.cli.migrate.python_file import WrongFile
from carboy.cli.migrate.sources import Reader
from carboy.cli.migrate.uwsgi_file import FORMS

KINDS = (
    "Give gunicorn.conf.py, a file of uWSGI (.ini, .yaml, .xml, .json), a Procfile, a Dockerfile, a"
    " .service file, or a command line such as 'gunicorn -w 4 app:app'."
)


@click.command("migrate", short_help="Translate the configuration of another server.")
@click.argument("source", nargs=-1, required=True)
@click.option("--json", "json_", is_flag=True, help="JSON instead of text.")
@click.option(
    "--run", "run_", is_flag=True,
    help="Run a configuration file in Python, instead of reading it without running it.",
)  # fmt: skip
@click.pass_context
def command(ctx: click.Context, source: tuple[str, ...], json_: bool, run_: bool) -> None:
    """Translate the configuration of another server into options of `carboy run`.

    SOURCE is gunicorn.conf.py, uwsgi.ini (.yaml, .xml, .json), a Procfile, a Dockerfile, a .service
    file of systemd, or a command line of gunicorn, uvicorn, hypercorn, daphne, granian or uwsgi in
    quotes. Nothing is written or changed: the command, the table [tool.carboy] and the changed
    lines are shown, with what has no equivalent.
    """
    root = ctx.find_root().command
    assert isinstance(root, click.Group)
    run = root.commands["run"]
    params = {
        each.name: each for each in run.params if each.name and (each.envvar or each.expose_value)
    }
    params.pop("app", None)
    text = source[0] if len(source) == 1 else shlex.join(source)
    try:
        click.echo(_translated(text, params, json_, run_), nl=False)
    except WrongFile as problem:
        raise click.ClickException(str(problem)) from None


def _translated(text: str, params: dict[str, click.Parameter], json_: bool, run_: bool) -> str:
    path = Path(text)
    reader = Reader(params, run_, environ=os.environ)
    if _is_file(path):
        reader = Reader(params, run_, path.absolute().parent, os.environ)
        if whole_file.kind_of(path) is not None:
            found = whole_file.changed(path, reader)
            if json_:
                return as_json(found.migrations, found.changes)
            reports = "\n".join(map(as_text, found.migrations))
            return f"{changes_as_text(found.changes)}\n\n{reports}"
        if path.suffix != ".py" and path.suffix.lower() not in FORMS:
            raise WrongFile(f"{text} is not a file that can be migrated. {KINDS}")
        migration = reader.of_file(path)
    else:
        command = find_command(split(text))
        if command is None:
            raise WrongFile(f"{text!r} is neither a file nor the command line of a server. {KINDS}")
        migration = reader.of_command(command)
    return as_json([migration]) if json_ else as_text(migration)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a command line may be longer than a name can be
        return False
