"""`carboy explain --from-start`: records a server in a process of its own, for one request."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from carboy.cli import explain_rule
from carboy.cli.explain_follow import Following
from carboy.cli.explain_process import (
    GRACE,
    SHORT_GRACE,
    Launch,
    ServerProcess,
    free_port,
    running,
)  # fmt: skip
from carboy.cli.explain_question import STOPPED, Answer, Question
from carboy.cli.explain_servers import SERVERS, version_of
from carboy.dev.explain.recording import Process, Recording
from carboy.dev.explain.secrets import Eraser, blank_cookies, secrets_of

LAUNCHER = "src/carboy/cli/explain_launcher.py"
CRASH = 1.0  # seconds for a server to end that has closed the connection without a response
LOOK = 0.1  # seconds between looks at whether a server ends


def record(
    launch: Launch, question: Question, patience: float, following: Following | None = None
) -> Recording:
    """Start the server with the application, send the request, and stop the server.

    If the launch has a port, the server listens there. If it has a checkout, the application is
    loaded from this folder, and Carboy as well if it is there.
    """
    server = SERVERS[launch.server]
    version = version_of(server)
    if version is None:
        raise click.ClickException(
            f"{server.package} is not installed. Install it with `pip install {server.package}`."
        )
    with TemporaryDirectory(prefix="carboy-explain-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        port = 0 if launch.is_script else launch.port or free_port()
        if following is not None:
            following.prepare(folder, port)
        explain_rule.ask(folder, question)
        with running(launch, folder, port) as process:
            answer = _ask(process, question, patience)
            problem = _end(process, answer)
        processes = process.processes()
        if not processes:
            raise click.ClickException(f"The server wrote no recording.{process.said()}")
        if following is not None:
            following.collect(folder, processes, answer.sent)
        rule = explain_rule.read(folder)
    shown = f"{launch.server} {version}".strip()
    if launch.checkout is not None:
        shown = f"{launch.server} in {launch.checkout}"
    address = f"{process.host}:{process.port}"
    return _recording(launch.shown, shown, address, question, answer, processes, rule, problem)


def _recording(
    app: str,
    server: str,
    address: str,
    question: Question,
    answer: Answer,
    processes: list[Process],
    rule: list[str],
    problem: str,
) -> Recording:
    """The recording without the secrets of the request."""
    asked = secrets_of(question.path, question.fields, question.body)
    eraser = Eraser(asked.union(*(process.secrets for process in processes)))
    for each in processes:
        each.clean(eraser.erase)
        each.secrets = []
    line = eraser.erase(f"{question.method} {question.path}")
    return Recording(
        app, server, address, line, answer.text, answer.size, processes,
        eraser.blank(answer.sent), blank_cookies(eraser.blank(answer.received)),
        answer.sent_size, answer.received_size, eraser.erase(problem),
        [eraser.erase(each) for each in rule],
    )  # fmt: skip


def other_launch(launch: Launch, other: str) -> Launch:
    """The second server of --compare: `other` is its name, or the path of a checkout."""
    if other in SERVERS:
        return replace(launch, server=other)
    checkout = Path(other)
    if not checkout.is_dir():
        raise click.BadParameter(
            f"{other!r} is not a folder, a file of --save, or one of {', '.join(SERVERS)}.",
            param_hint="--compare",
        )
    found = replace(launch, checkout=checkout.resolve())
    if found.has_carboy and not (checkout / LAUNCHER).exists():
        raise click.BadParameter(
            f"The Carboy in {other} cannot record a server. Use a later commit.",
            param_hint="--compare",
        )
    return found


def _ask(server: ServerProcess, question: Question, patience: float) -> Answer:
    try:
        if server.launch.is_script and not server.await_port(patience):
            if server.process.poll() is None:
                text = f"{server.launch.app} did not listen within {patience:g} s."
            else:
                text = f"{server.launch.app} ended and started no server."
            raise click.ClickException(f"{text}{server.said()}")
        return question.ask(server.port, patience, server.process, server.host)
    except KeyboardInterrupt:
        raise click.ClickException("Stopped.") from None


def _end(server: ServerProcess, answer: Answer) -> str:
    """Stop the server; returns what was wrong with its end. Raises if nothing was served."""
    has_ended = _has_ended(server, answer)
    if not answer.connected:
        if has_ended:
            text = f"The server ended before it responded.{server.said()}"
        elif answer.problem == STOPPED:
            text = "Stopped."
        else:
            text = f"The server could not be reached: {answer.problem}.{server.said()}"
        raise click.ClickException(text)
    said = [answer.failure]
    if has_ended:
        said.append(f"The server {_how(server.process.returncode)}.{server.said()}")
    else:
        if answer.status and not answer.problem:
            server.await_rest()
        elif not answer.status and not answer.was_closed:
            said.append(server.busy())
        if not server.stop(GRACE if answer.status and not answer.problem else SHORT_GRACE):
            said.append("The server did not stop by itself, and was killed.")
        if not answer.status and answer.problem != STOPPED:
            said.append(server.said())
    return " ".join(filter(None, said)).replace(" \n", "\n")


def _has_ended(server: ServerProcess, answer: Answer) -> bool:
    """Whether the process has ended; one that has closed its connection may be about to."""
    end = time.monotonic() + (CRASH if answer.was_closed and not answer.status else 0)
    while server.process.poll() is None and time.monotonic() < end:
        time.sleep(LOOK / 10)
    return server.process.poll() is not None


def _how(code: int) -> str:
    if code < 0:
        return f"was killed by signal {-code}"
    return f"ended with exit code {code}"
