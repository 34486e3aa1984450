"""`carboy explain --step`: sends the bytes of a request and steps through the connection."""

from __future__ import annotations

import http.client
import os
import socket
import sys
import tempfile
import threading
import time
import webbrowser
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from carboy.cli import explain_client
from carboy.cli.explain_question import Question
from carboy.dev.explain import byte_steps, step_page
from carboy.dev.explain.byte_steps import Stepped
from carboy.dev.explain.step_text import StepText
from carboy.dev.explain.wire_recording import WireRecorder
from carboy.gateway import for_application
from carboy.gateway.interface import StartFailed
from carboy.net.listener import listen_tcp
from carboy.server.engine import Engine
from carboy.server.settings import Settings

HOST = "127.0.0.1"
LOOK = 0.1  # seconds between looks at whether everything is answered
QUIET = 0.3  # seconds without a byte, after which the client ends its side
GRACE = 2.0  # seconds for the engine to end
SETTINGS = Settings(inline_budget=3600.0, watch_interval=5.0, switch_interval=None)
# Keys of the terminal, by what they do.
FORWARD = ("n", " ", "\r", "\n", "\x1b[C", "")
BACK = ("p", "\x1b[D")
HEADER = ("h",)
END = ("q", "\x03", "\x04", "\x1b")


def options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of stepping to `carboy explain`."""
    for option in reversed(
        (
            click.option(
                "--step", is_flag=True,
                help="Page that steps through the bytes of the connection; it is opened in the"
                " browser, or written to the file of --html.",
            ),
            click.option(
                "--terminal", "in_terminal", is_flag=True,
                help="Steps in the terminal instead of a page. Requires --step.",
            ),
            click.option(
                "--raw", type=click.Path(exists=True, dir_okay=False, allow_dash=True),
                metavar="FILE",
                help="File whose bytes are sent as they are, instead of METHOD and PATH; - is the"
                " standard input. Requires --step.",
            ),
        )
    ):  # fmt: skip
        command = option(command)
    return command


@dataclass(frozen=True, slots=True)
class Sent:
    """The bytes to send: those of a request, or of a file."""

    question: Question | None
    raw: bytes = b""
    file: str = ""

    @classmethod
    def of_file(cls, file: str) -> Sent:
        """The bytes of a file as they are; "-" is the standard input."""
        if file == "-":
            return cls(None, sys.stdin.buffer.read(), "standard input")
        try:
            return cls(None, Path(file).read_bytes(), file)
        except OSError as problem:
            raise click.ClickException(f"{file} cannot be read: {problem.strerror}.") from None

    @property
    def title(self) -> str:
        """The path without its query, which may have secrets; or the name of the file."""
        if self.question is None:
            return self.file
        return f"{self.question.method} {self.question.path.partition('?')[0]}"

    def data(self, port: int) -> bytes:
        """The bytes; the Host header of a request has the port."""
        return self.raw if self.question is None else bytes_of(self.question, port)


class _Capture:
    """Takes the place of the client's socket and keeps what is sent."""

    def __init__(self) -> None:
        self.data = b""

    def sendall(self, data: bytes) -> None:
        self.data += data


def bytes_of(question: Question, port: int) -> bytes:
    """The bytes that Python's HTTP client sends for this request."""
    client = http.client.HTTPConnection(HOST, port)
    capture: Any = _Capture()
    client.sock = capture
    fields = question.sent_fields(port)
    explain_client.send(client, question.method, question.path, fields, question.body)
    return bytes(capture.data)


def record(app: Any, sent: Sent, patience: float) -> Stepped:
    """Serve `app` on a loopback socket, send the bytes once, and find the steps."""
    recorder = WireRecorder()
    recorder.install()
    listener = listen_tcp(HOST, 0)
    port = int(listener.getsockname()[1])
    gateway: Any = for_application(app)
    engine = Engine(gateway, [listener], SETTINGS)
    thread = threading.Thread(target=engine.run, name="engine", daemon=True)
    try:
        getattr(gateway, "start", lambda: None)()
    except StartFailed as problem:
        raise click.ClickException(str(problem)) from None
    thread.start()
    try:
        wire = _exchange(sent.data(port), port, recorder, patience)
    except KeyboardInterrupt:
        raise click.ClickException("Stopped.") from None
    finally:
        engine.stop()
        thread.join(GRACE)
        recorder.uninstall()
        getattr(gateway, "stop", lambda seconds: None)(GRACE)
        listener.close()
    return byte_steps.replay(recorder.calls, wire, SETTINGS.limits)


def _exchange(data: bytes, port: int, recorder: WireRecorder, patience: float) -> bytes:
    """Send everything and return everything that the server sends before it closes."""
    found = bytearray()
    with socket.create_connection((HOST, port)) as connection:
        sender = threading.Thread(target=_send, args=(connection, data), daemon=True)
        sender.start()
        connection.settimeout(LOOK)
        last = time.monotonic()
        end = last + patience
        while time.monotonic() < end:
            try:
                piece = connection.recv(1 << 16)
            except TimeoutError:
                if (
                    not sender.is_alive()
                    and not recorder.answering
                    and time.monotonic() - last > QUIET
                ):
                    _end_side(connection)
                continue
            except OSError:
                break
            if not piece:
                break
            found += piece
            last = time.monotonic()
        else:
            click.echo(f"The response was cut off after {patience:g} s.", err=True)
    return bytes(found)


def _send(connection: socket.socket, data: bytes) -> None:
    try:
        connection.sendall(data)
    except OSError:
        pass  # the server has refused the request and closed the connection


def _end_side(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # the server has closed the connection


def show(title: str, found: Stepped, in_terminal: bool, html: str | None) -> None:
    """Write the page, open it in the browser, or step in the terminal."""
    if in_terminal:
        coloured = sys.stdout.isatty()
        text = StepText(title, found, coloured)
        if coloured and sys.stdin.isatty():
            _step_by_keys(text)
        else:
            steps = "\n".join(map(text.step, range(len(found.steps))))
            click.echo(f"{text.heading()}\n{steps}", nl=False, color=coloured)
        return
    page = step_page.make(title, found)
    if html is None:
        descriptor, name = tempfile.mkstemp(prefix="carboy-steps-", suffix=".html")
        os.close(descriptor)
    else:
        name = html
    try:
        Path(name).write_text(page, encoding="utf-8")
    except OSError as problem:
        raise click.ClickException(f"{name} cannot be written: {problem.strerror}.") from None
    click.echo(f"Wrote {name}.", err=True)
    if html is None and not webbrowser.open(Path(name).as_uri()):
        click.echo("There is no browser. Open the file in one, or use --terminal.", err=True)


def _step_by_keys(text: StepText) -> None:
    last = len(text.found.steps) - 1
    click.echo(f"{text.heading()}n or Enter: next, p: previous, h: next header, q: quit\n")
    number = 0
    click.echo(text.step(number))
    while True:
        key = click.getchar()
        if key in END:
            return
        before = number
        if key in FORWARD:
            number = min(last, number + 1)
        elif key in BACK:
            number = max(0, number - 1)
        elif key in HEADER:
            number = text.next_header(number)
        if number != before:
            click.echo(text.step(number))
