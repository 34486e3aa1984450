"""`carboy explain` of a server that was recorded from its start, now or before."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from carboy.cli import explain_report, explain_start
from carboy.cli.explain_follow import Following
from carboy.cli.explain_port import is_in_use, usual_port
from carboy.cli.explain_process import Launch
from carboy.cli.explain_question import Question
from carboy.cli.explain_servers import SERVERS
from carboy.dev.explain import (
    chain_text,
    compare_text,
    page,
    recorded_tree,
    recording,
    terminal,
    value_recorder,
    value_text,
)
from carboy.dev.explain.explanation import Explanation
from carboy.dev.explain.recording import Recording, UnreadableRecording
from carboy.dev.explain.value_path import ValuePath

DEPTH = 20_000  # of Python's stack: recorded calls are walked by recursion
WIDE = 160  # columns of two chains where there is no terminal
NOT_COMPARED = {"depth", "only", "full", "html", "report", "lines", "links"}
NOT_IN_REPORT = {"depth", "only", "full", "html", "compare", "links"}
NOT_FOLLOWED = (NOT_COMPARED - {"links"}) | {"compare", "save"}
NOT_OF_SCRIPT = "--follow cannot be combined with --server script."
NOT_SAVED_BEFORE = {
    "app", "headers", "data", "document", "websocket", "cold", "timeout", "from_start", "server",
    "follow", "flask", "mount", "save", "step", "in_terminal", "raw",
}  # fmt: skip


def options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options for recordings to `carboy explain`."""
    for option in (
        click.option(
            "--links", is_flag=True,
            help="Addresses of the code of each step, in the output of --from-start.",
        ),
        click.option(
            "--recording", "saved", type=click.Path(exists=True, dir_okay=False), metavar="FILE",
            help="File of --save, which is shown instead of starting a server.",
        ),
        click.option(
            "--save", type=click.Path(dir_okay=False), metavar="FILE",
            help="File for the recording of --from-start, which --recording shows later.",
        ),
    ):  # fmt: skip
        command = option(command)
    return command


def is_given(ctx: click.Context, name: str) -> bool:
    """Whether the user has given an option on the command line."""
    return ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE


def refuse(ctx: click.Context, names: set[str], other: str) -> None:
    """Raise a usage error if one of the options is given, which do not go with `other`."""
    for option in ctx.command.params:
        if option.name in names and is_given(ctx, option.name):
            name = str(option.name).upper() if option.opts[0] == option.name else option.opts[0]
            raise click.UsageError(f"{name} cannot be combined with {other}.", ctx)


def show(ctx: click.Context, launch: Launch, question: Question, patience: float) -> None:
    """Record a server from its start, and show what the options ask for."""
    follow = ctx.params["follow"]
    _check(ctx)
    if launch.is_script and not Path(launch.app).exists():
        raise click.BadParameter(
            f"{launch.app} is not a file. --server script requires one, such as app.py.",
            param_hint="APP",
        )
    if follow and ctx.params["report"] is None:
        _show_followed(ctx, launch, question, patience, follow)
        return
    following = None
    if ctx.params["report"] is None:
        made = explain_start.record(launch, question, patience)
    else:
        following = _followed_in_report(ctx, launch, question)
        made = recorded_on_usual_port(launch, question, patience, following)
    _save(ctx.params["save"], made)
    followed = following.paths()[0] if following else None
    _show(ctx, made, question, lambda other: _other(launch, question, patience, other), followed)


def recorded_on_usual_port(
    launch: Launch, question: Question, patience: float, following: Following | None
) -> Recording:
    """The recording for a report. On another port if a program took the usual one meanwhile."""
    with usual_port() as port:
        try:
            made = explain_start.record(replace(launch, port=port), question, patience, following)
        except click.ClickException:
            if not port or not is_in_use(port):
                raise
        else:
            if made.received or not port or not is_in_use(port):
                return made
    return explain_start.record(launch, question, patience, following)


def _followed_in_report(ctx: click.Context, launch: Launch, question: Question) -> Following | None:
    """The value that a report follows. Where nothing can be followed, --follow is a usage error."""
    what = ctx.params["follow"]
    if launch.is_script and what:
        raise click.UsageError(NOT_OF_SCRIPT, ctx)
    if len(what) > 1:
        raise click.UsageError("--report follows one value. Give --follow once.", ctx)
    can_follow = value_recorder.is_available() and not launch.is_script
    return Following(what, question) if can_follow or what else None


def show_saved(ctx: click.Context, file: str) -> None:
    """Show a recording that was saved."""
    refuse(ctx, NOT_SAVED_BEFORE, "--recording")
    _check(ctx)
    _show(ctx, read(file), None, _other_saved)


def read(file: str) -> Recording:
    """The recording in a file."""
    try:
        return recording.read_whole(Path(file).read_text("utf-8", "surrogatepass"))
    except OSError as problem:
        raise click.ClickException(f"{file} cannot be read: {problem.strerror}.") from None
    except UnicodeDecodeError:
        raise click.ClickException(f"{file} is not a recording of --save.") from None
    except UnreadableRecording as problem:
        raise click.ClickException(f"{file}: {problem}") from None


def _check(ctx: click.Context) -> None:
    """Raise a usage error for options that do not go together."""
    if ctx.params["report"] is not None:
        refuse(ctx, NOT_IN_REPORT, "--report")
    elif ctx.params["follow"]:
        refuse(ctx, NOT_FOLLOWED, "--follow")
    elif ctx.params["compare"] is not None:
        refuse(ctx, NOT_COMPARED, "--compare")


def _save(file: str | None, made: Recording) -> None:
    if file is not None:
        _write(file, recording.write_whole(made))


def _write(file: str, text: str) -> None:
    try:
        Path(file).write_text(text, "utf-8", "surrogatepass")
    except OSError as problem:
        raise click.ClickException(f"{file} cannot be written: {problem.strerror}.") from None
    click.echo(f"Wrote {file}.", err=True)


def _other(launch: Launch, question: Question, patience: float, other: str) -> Recording:
    if Path(other).is_file() and other not in SERVERS:
        return read(other)
    return explain_start.record(explain_start.other_launch(launch, other), question, patience)


def _other_saved(other: str) -> Recording:
    if not Path(other).is_file():
        raise click.BadParameter(
            f"{other!r} is not a file of --save, as --recording requires.", param_hint="--compare"
        )
    return read(other)


def _show(
    ctx: click.Context,
    made: Recording,
    question: Question | None,
    find: Callable[[str], Recording],
    followed: ValuePath | None = None,
) -> None:
    """Show a recording in the form that the options ask for. `find` records the other one."""
    params = ctx.params
    if params["report"] is not None:
        told = explain_report.told(ctx, question, params["lines"])
        explain_report.write(params["report"], made, told, followed)
    elif params["compare"] is not None:
        other = find(params["compare"])
        coloured = sys.stdout.isatty()
        width = shutil.get_terminal_size((WIDE, 0)).columns if coloured else WIDE
        text = compare_text.show(made, other, coloured=coloured, width=width)
        click.echo(text, nl=False, color=coloured)
        _fail(other)
    else:
        _show_chain(ctx, made)
    _fail(made)


def _fail(made: Recording) -> None:
    """Say what was wrong with the server, after what was recorded of it."""
    if made.problem:
        raise click.ClickException(made.problem)


def _show_followed(
    ctx: click.Context, launch: Launch, question: Question, patience: float, what: Sequence[str]
) -> None:
    if launch.is_script:
        raise click.UsageError(NOT_OF_SCRIPT, ctx)
    following = Following(what, question)
    made = explain_start.record(launch, question, patience, following)
    coloured = sys.stdout.isatty()
    request = f"{made.request} on {made.server}"
    texts = [value_text.show(path, request, coloured) for path in following.paths()]
    if ctx.params["from_start"]:
        texts.insert(0, chain_text.show(made, coloured, with_links=ctx.params["links"]))
    click.echo("\n".join(texts), nl=False, color=coloured)
    _fail(made)


def _show_chain(ctx: click.Context, made: Recording) -> None:
    """Write the files, or the chain of steps and, if an option asks for it, the tree of calls."""
    depth, only, full, html = (ctx.params[name] for name in ("depth", "only", "full", "html"))
    sys.setrecursionlimit(max(sys.getrecursionlimit(), DEPTH))
    found = recorded_tree.of_recording(made)
    check_only(found, only)
    if html is not None:
        _write(html, page.make(found))
    if html is not None or ctx.params["save"] is not None:
        return
    coloured = sys.stdout.isatty()
    text = chain_text.show(made, coloured, with_links=ctx.params["links"])
    if full or only is not None or depth is not None:
        width = shutil.get_terminal_size().columns if coloured else 0
        painter = terminal.Painter(coloured, width)
        text += "\n".join(terminal.trees(found, painter, depth, only, full)) + "\n"
    click.echo(text, nl=False, color=coloured)


def check_only(found: Explanation, only: str | None) -> None:
    """Raise a usage error for a name of --only of which no calls were recorded."""
    if only is not None and only not in found.names():
        names = ", ".join(sorted(found.names()))
        raise click.BadParameter(
            f"No calls of {only!r} were recorded. Use one of: {names}.", param_hint="--only"
        )
