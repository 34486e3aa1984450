"""`carboy explain --report`: the report of a recorded server, in the form that its file names."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from carboy.cli import mounts
from carboy.cli.explain_question import Question
from carboy.cli.option_types import Number
from carboy.dev.explain.recording import Recording
from carboy.dev.explain.secrets import Eraser, secrets_of
from carboy.dev.explain.value_path import ValuePath
from carboy.dev.explain.values import hidden
from carboy.dev.report import content, html, markdown, pdf, stable
from carboy.dev.report.content import LINES, Told
from carboy.dev.report.document import Document

RENDERERS: dict[str, Callable[[Document], bytes]] = {
    ".md": lambda document: markdown.render(document).encode(),
    ".html": lambda document: html.render(document).encode(),
    ".pdf": pdf.render,
}
ARGUMENTS = ("app", "method", "path")


def options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of the report to `carboy explain`."""
    for option in (
        click.option(
            "--lines", type=Number(int, 0), default=LINES, metavar="LINES",
            help="Most lines of code in a quotation of the report; 0 for none."
            f"  [default: {LINES}]",
        ),
        click.option(
            "--report", type=click.Path(dir_okay=False),
            help="File for a report with licences, steps, quoted code and links: .md, .html or"
            " .pdf. Implies --from-start.",
        ),
    ):  # fmt: skip
        command = option(command)
    return command


def check(ctx: click.Context) -> None:
    """Raise an error for a form of report that is not known, or that cannot be made here."""
    file = ctx.params["report"]
    if file is None:
        if ctx.get_parameter_source("lines") is ParameterSource.COMMANDLINE:
            raise click.UsageError("--lines requires --report.", ctx)
        return
    suffix = Path(file).suffix.lower()
    if suffix not in RENDERERS:
        *most, last = RENDERERS
        raise click.BadParameter(
            f"{file} does not end with {', '.join(most)} or {last}.", param_hint="--report"
        )
    if not Path(file).parent.is_dir():
        raise click.ClickException(f"{file} cannot be written: its folder does not exist.")
    if suffix == ".pdf":
        try:
            pdf.check()
        except pdf.NotAvailable as problem:
            raise click.ClickException(str(problem)) from None


def told(ctx: click.Context, question: Question | None, lines: int) -> Told:
    """How the report was made: the command, without the secrets in it."""
    secrets = secrets_of(question.path, question.fields, question.body) if question else set()
    eraser = Eraser(secrets)
    words = (hidden(eraser.erase(word)) for word in _words(ctx))
    return Told(shlex.join(["carboy", "explain", *words]), lines, erase=eraser.erase)


def _words(ctx: click.Context) -> Iterator[str]:
    """The arguments, then the options that were given."""
    yield from (ctx.params[name] for name in ARGUMENTS if ctx.params[name] is not None)
    for option in ctx.command.params:
        name = str(option.name)
        if name in ARGUMENTS or ctx.get_parameter_source(name) is not ParameterSource.COMMANDLINE:
            continue
        value = ctx.params.get(name, True)
        for each in value if isinstance(value, tuple) else (value,):
            yield option.opts[0]
            if name == "report":
                yield Path(each).name
            elif name == "mount":
                yield mounts.written(each)
            elif each is not True:
                yield str(each)


def write(file: str, recording: Recording, told: Told, followed: ValuePath | None) -> None:
    """Write the report in the form that the suffix of the file names."""
    stable.settle(recording)
    made = RENDERERS[Path(file).suffix.lower()](content.make(recording, told, followed))
    try:
        Path(file).write_bytes(made)
    except OSError as problem:
        raise click.ClickException(f"{file} cannot be written: {problem.strerror}.") from None
    click.echo(f"Wrote {file}.", err=True)
