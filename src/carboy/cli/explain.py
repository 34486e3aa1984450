"""`carboy explain`: one request through the real stack, and everything that ran for it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import unquote

import click

from carboy.cli import explain_client, locate, matching
from carboy.cli.completion import complete
from carboy.cli.run import as_flask, chosen_app, load_or_explain
from carboy.dev.explain import page, places, terminal
from carboy.dev.explain.explanation import Explanation, explain
from carboy.dev.explain.recorder import Recorder
from carboy.dev.explain.secrets import Eraser, secrets_of
from carboy.dev.licences import report
from carboy.gateway import for_application
from carboy.grammar import is_token
from carboy.net.listener import listen_tcp
from carboy.server.engine import Engine
from carboy.server.processes.worker import LoadError
from carboy.server.settings import Settings

PATIENCE = 300.0  # seconds for the whole answer: somebody may stand in a debugger
GRACE = 2.0  # seconds for the engine to end; a view that hangs does not
DEPTH = 20_000  # of Python's own stack: what recurses was recorded, and is walked by recursion
# Everything stays on the leader, so that one track tells the whole story; a view that asks its
# own server is helped by another leader after a while.
SETTINGS = Settings(inline_budget=3600.0, watch_interval=5.0, switch_interval=None)

PATH = re.compile(r"/[!-\"$-~]*")  # what a request line takes, and no fragment
CONTENT = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")  # of a field: RFC 9110 5.5

Fields = dict[str, str]


class NoAnswer(Exception):
    """Says why there is none."""


class Question:
    """The request to send."""

    def __init__(self, method: str, path: str, fields: Fields, body: bytes | None) -> None:
        self.method = method
        self.path = path
        self.fields = fields
        self.body = body

    def ask(self, port: int, patience: float) -> tuple[str, int]:
        """Send it; the status line's end and the number of octets of the answer, which may be
        cut off when time is up."""
        # In a session of its own: Ctrl+C is for this process, which ends the other.
        child = subprocess.Popen(
            [sys.executable, "-I", explain_client.__file__],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            encoding="utf-8", start_new_session=True,
        )  # fmt: skip
        try:
            said, problem = child.communicate(self._document(port), patience)
        except subprocess.TimeoutExpired:
            child.kill()
            status = child.communicate()[0].strip()
            if status:
                return f"{status}, cut off after {patience:g} s", 0
            raise NoAnswer(f"There was no answer within {patience:g} s.") from None
        finally:
            child.kill()
        if child.returncode:
            raise NoAnswer(f"There was no answer: {problem.strip()}.")
        status, octets = said.splitlines()
        return status, int(octets)

    def _document(self, port: int) -> str:
        body = None if self.body is None else self.body.decode("latin-1")
        return json.dumps(
            {"port": port, "method": self.method, "path": self.path, "fields": self.fields,
             "body": body}
        )  # fmt: skip


def record(
    app: Any, name: str, question: Question, cold: bool = False, patience: float = PATIENCE
) -> Explanation:
    """Serve `app` on a loopback socket of its own, ask it, and explain what ran."""
    recorder = Recorder()
    recorder.install()
    listener = listen_tcp("127.0.0.1", 0)
    port = int(listener.getsockname()[1])
    engine = Engine(for_application(app), [listener], SETTINGS)
    thread = threading.Thread(target=engine.run, name="engine", daemon=True)
    thread.start()
    try:
        if not cold:
            question.ask(port, patience)
        recorder.arm()
        status, octets = question.ask(port, patience)
    except NoAnswer as problem:
        raise click.ClickException(f"{problem}{_standing()}") from None
    except KeyboardInterrupt:
        raise click.ClickException(f"Stopped.{_standing()}") from None
    finally:
        # What follows the last send (teardown, close) is finished before the engine ends.
        engine.stop()
        thread.join(GRACE)
        recorder.disarm()
        recorder.uninstall()
        listener.close()
    sys.setrecursionlimit(max(sys.getrecursionlimit(), DEPTH))
    line = f"{question.method} {question.path}"
    found = explain(recorder, app, name, line, status, octets, _rule(app, question))
    asked = secrets_of(question.path, question.fields, question.body)
    eraser = Eraser(asked | recorder.secrets)
    eraser.clean(found.nodes())
    found.request = eraser.erase(found.request)
    found.erase = eraser.erase
    found.rule = [eraser.erase(each) for each in found.rule]
    return found


def _standing() -> str:
    """Where a thread of the server runs the application."""
    here = threading.get_ident()
    for ident, innermost in sys._current_frames().items():
        frame: FrameType | None = innermost if ident != here else None
        while frame is not None:
            code = frame.f_code
            if places.of_code(code).room == places.APPLICATION:
                return f" It runs {code.co_name}, {code.co_filename}:{frame.f_lineno}."
            frame = frame.f_back
    return ""


def _rule(app: Any, question: Question) -> list[str]:
    """Which rule answers, and why; [] for an application that has none."""
    if not locate.is_flask_like(app):
        return []
    return matching.of_app(app, question.method, unquote(question.path.partition("?")[0]))


def _fields(values: tuple[str, ...]) -> Fields:
    fields: Fields = {}
    for value in values:
        name, colon, content = value.partition(":")
        if not colon or not is_token(name.strip()) or not CONTENT.fullmatch(content):
            raise click.BadParameter(
                f"{value!r} is no header: write it as 'Name: value'.", param_hint="-H"
            )
        name = next((each for each in fields if each.lower() == name.strip().lower()), name.strip())
        # A field that comes again is as good as one with a list (RFC 9110, 5.3).
        comma = "; " if name.lower() == "cookie" else ", "
        before = fields[name] + comma if name in fields else ""
        fields[name] = before + content.strip()
    return fields


def _body(fields: Fields, data: str | None, document: str | None) -> bytes | None:
    known = {name.lower() for name in fields}
    if data is not None and document is not None:
        raise click.UsageError("Give either -d or --json, not both.")
    if document is not None:
        try:
            json.loads(document)
        except ValueError as problem:
            raise click.BadParameter(f"this is no JSON: {problem}.", param_hint="--json") from None
        if "content-type" not in known:
            fields["Content-Type"] = "application/json"
        return document.encode()
    if data is None:
        return None
    if "content-type" not in known:
        fields["Content-Type"] = "application/x-www-form-urlencoded"
    if not data.startswith("@"):
        return data.encode()
    try:
        return Path(data[1:]).read_bytes()
    except OSError as problem:
        said = f"{data[1:]} cannot be read: {problem.strerror}."
        raise click.BadParameter(said, param_hint="-d") from None


@click.command("explain", short_help="Show everything that runs for one request.")
@click.argument("app", shell_complete=complete)
@click.argument("method")
@click.argument("path")
@click.option("-H", "--header", "headers", multiple=True, help="A header, 'Name: value'.")
@click.option("-d", "--data", help="Content to send; @FILE sends that of a file.")
@click.option("--json", "document", help="A JSON document to send.")
@click.option("--cold", is_flag=True, help="Show the first request, without one before it.")
@click.option(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    default=PATIENCE,
    show_default=True,
    metavar="SECONDS",
    help="Wait so long for the answer; of a stream that never ends show what there is.",
)
@click.option("--depth", type=click.IntRange(1), help="Levels of the tree to show.")
@click.option("--only", metavar="ROOM_OR_PACKAGE", help="Show calls of these only: http, jinja2.")
@click.option("--full", is_flag=True, help="Show every call, unfolded.")
@click.option("--html", "html", type=click.Path(dir_okay=False), help="Write a page to FILE.")
@click.option(
    "--report", "markdown", type=click.Path(dir_okay=False), help="Write a report to FILE."
)
@click.pass_context
def command(
    ctx: click.Context,
    app: str,
    method: str,
    path: str,
    headers: tuple[str, ...],
    data: str | None,
    document: str | None,
    cold: bool,
    timeout: float,
    depth: int | None,
    only: str | None,
    full: bool,
    html: str | None,
    markdown: str | None,
) -> None:
    """Send METHOD PATH to APP through the real server, on a real socket of this machine only,
    and show everything that ran from accept() to the last send().

    A request like it is sent before, so that what is done once only does not show: not with
    --cold, which is what to use for a request that changes something.
    """
    if not is_token(method):
        raise click.BadParameter(f"{method!r} is no method: GET, POST, …", param_hint="METHOD")
    if not PATH.fullmatch(path):
        raise click.BadParameter(
            f"{path!r} is no path: it begins with /, is quoted (%20 for a space), and has no #.",
            param_hint="PATH",
        )
    fields = _fields(headers)
    body = _body(fields, data, document)
    name = chosen_app(ctx, app)
    try:
        application = load_or_explain(name)
    except LoadError as problem:
        raise click.ClickException(str(problem).removeprefix("Error: ")) from None
    question = Question(method.upper(), path, fields, body)
    found = record(application, name, question, cold, timeout)
    if only is not None and only not in found.names():
        names = ", ".join(sorted(found.names()))
        raise click.BadParameter(
            f"nothing of {only!r} ran. There are: {names}.", param_hint="--only"
        )
    _write(html, page.make, found)
    _write(markdown, report.make, found)
    if html is None and markdown is None:
        coloured = sys.stdout.isatty()
        width = shutil.get_terminal_size().columns if coloured else 0
        text = terminal.show(
            found, coloured=coloured, width=width, depth=depth, only=only, full=full
        )
        click.echo(text, nl=False, color=coloured)


def _write(file: str | None, make: Any, found: Explanation) -> None:
    if file is None:
        return
    try:
        Path(file).write_text(make(found), encoding="utf-8")
    except OSError as problem:
        raise click.ClickException(f"{file} cannot be written: {problem.strerror}.") from None
    click.echo(f"Written: {file}", err=True)


def make_command() -> click.Command:
    """The command, with --flask to give Carboy under Flask's names."""
    command.params = [each for each in command.params if each.name != "flask"] + [as_flask()]
    return command
