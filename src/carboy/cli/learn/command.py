"""The command `carboy learn`: reads its options, starts the servers and the session."""

from __future__ import annotations

import errno
import os
import shutil
import sys
from socket import socket
from typing import Any, TextIO

import click

from carboy.cli.dev.port import listen
from carboy.cli.learn import application
from carboy.cli.learn.client import HOST, Client
from carboy.cli.learn.lessons import Lessons
from carboy.cli.learn.page_application import make as make_page
from carboy.cli.learn.progress import ProgressFile
from carboy.cli.learn.recorder import Recorder
from carboy.cli.learn.server import Server
from carboy.cli.learn.session import Session
from carboy.cli.option_types import PORT
from carboy.dev.learn.course import number_of
from carboy.dev.learn.text import Text
from carboy.net.listener import listen_tcp
from carboy.server.bind import BindError

INTERRUPTED = 130


class ExerciseNumber(click.ParamType[int]):
    """A number of an exercise, or its name."""

    name = "exercise"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            return number_of(str(value))
        except ValueError as problem:
            self.fail(str(problem), param, ctx)


@click.command("learn", short_help="Exercises about HTTP, from the socket up.")
@click.argument("exercise", required=False, type=ExerciseNumber(), metavar="[EXERCISE]")
@click.option("--list", "show_list", is_flag=True, help="List of the exercises and your progress.")
@click.option("--reset", is_flag=True, help="Delete your progress.")
@click.option(
    "--port",
    "-p",
    default=8000,
    type=PORT,
    metavar="PORT",
    help="Port of the course's page; 0 chooses a free port. Without this option, 8000 or the next"
    " port that is free.",
)
@click.option(
    "--terminal",
    "in_terminal",
    is_flag=True,
    help="Steps of a connection in the terminal instead of the browser.",
)
@click.pass_context
def command(
    ctx: click.Context, exercise: int | None, show_list: bool, reset: bool, port: int,
    in_terminal: bool,
) -> None:  # fmt: skip
    """Exercises about HTTP, from the socket up, each checked with your own requests.

    EXERCISE is the number of the exercise to begin with. Its requests may come from this terminal,
    from the page of the course, from curl, a browser, or any other program.
    """
    file = ProgressFile()
    if reset:
        _reset(file)
    if show_list:
        click.echo(_text(0).listing(file.read()))
    if show_list or (reset and exercise is None):
        _report(file)
        return
    interactive = _is_terminal(sys.stdin)
    if exercise is None and not interactive:
        raise click.UsageError(
            "This is not a terminal. Name an exercise, whose requests are then read from the"
            " standard input, or use --list.",
            ctx,
        )
    insisted = ctx.get_parameter_source("port") is not click.core.ParameterSource.DEFAULT
    try:
        _, sockets = listen(HOST, port, insisted)
    except BindError as problem:
        raise click.ClickException(str(problem)) from None
    port = int(sockets[0].getsockname()[1])
    try:
        done = _run(file, sockets, port, exercise or 0, in_terminal, interactive)
    except KeyboardInterrupt:
        click.echo()
        ctx.exit(INTERRUPTED)
    except OSError as problem:
        if problem.errno == errno.EPIPE:
            raise  # click ends without a message
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # for the rest, which Python writes at its end
        raise click.ClickException(f"The output cannot be written: {problem.strerror}.") from None
    if not interactive and not done:
        ctx.exit(1)


def _run(
    file: ProgressFile,
    sockets: list[socket],
    port: int,
    number: int,
    in_terminal: bool,
    interactive: bool,
) -> bool:
    listener = listen_tcp(HOST, 0)
    exercises = int(listener.getsockname()[1])
    course = f"http://{HOST}:{port}/"
    sessions: list[Session] = []
    recorder = Recorder(lambda: sessions[0].changed() if sessions else None)
    lessons = Lessons(exercises, recorder, file)
    _report(file)
    session = Session(lessons, _text(exercises), course, interactive, in_terminal)
    sessions.append(session)
    lessons.changed = session.changed
    client = Client(exercises, recorder, session.received)
    servers = [
        Server(application.make(course), [listener], recorder.trace),
        Server(make_page(lessons, recorder), sockets),
    ]
    try:
        session.run(client, number)
    finally:
        client.hang_up()
        for server in servers:
            server.stop()
        _report(file)
    return lessons.is_done()


def _is_terminal(stream: TextIO | None) -> bool:
    return stream is not None and stream.isatty()


def _text(port: int) -> Text:
    return Text(
        _is_terminal(sys.stdout) and not os.environ.get("NO_COLOR"),
        shutil.get_terminal_size().columns,
        port,
    )


def _reset(file: ProgressFile) -> None:
    try:
        there = file.forget()
    except OSError as problem:
        raise click.ClickException(f"{file.path} cannot be deleted: {problem.strerror}.") from None
    click.echo("Your progress is deleted." if there else "There is no progress to delete.")


def _report(file: ProgressFile) -> None:
    if problem := file.problem():
        click.secho(problem, err=True, fg="yellow")
