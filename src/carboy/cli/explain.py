"""`carboy explain`: sends one request through the real server and shows what ran for it."""

from __future__ import annotations

import json
import re
import shutil
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

import click

from carboy.cli import explain_recorded, explain_report, explain_step, matched, mounts
from carboy.cli.application import chosen_app, load_or_explain
from carboy.cli.completion import complete
from carboy.cli.explain_exit import exit_told
from carboy.cli.explain_process import Launch
from carboy.cli.explain_question import (
    Answer,
    Fields,
    NoAnswer,
    Question,
    asks_for_websocket,
)  # fmt: skip
from carboy.cli.explain_recorded import check_only, is_given, refuse
from carboy.cli.explain_servers import SERVERS
from carboy.cli.explain_step import Sent
from carboy.cli.option_types import Number
from carboy.cli.run import as_flask
from carboy.dev.explain import (
    page,
    places,
    terminal,
)
from carboy.dev.explain.explanation import Explanation, explain
from carboy.dev.explain.recorder import Recorder
from carboy.dev.explain.secrets import Eraser, secrets_of
from carboy.dev.routes.matching import WEBSOCKET
from carboy.gateway import for_application
from carboy.gateway.interface import StartFailed
from carboy.grammar import is_token
from carboy.net.listener import listen_tcp
from carboy.server.engine import Engine
from carboy.server.processes.worker import LoadError
from carboy.server.settings import Settings
from carboy.thread_frames import thread_frames

PATIENCE = 300.0  # seconds for the whole response: the application may be in a debugger
GRACE = 2.0  # seconds for the engine to end; it does not if a view hangs
DEPTH = 20_000  # of Python's stack: recorded calls are walked by recursion
# Everything runs on the leader, so that one thread's record has all calls. If a view sends a
# request to its own server, another leader takes over after `watch_interval`.
SETTINGS = Settings(inline_budget=3600.0, watch_interval=5.0, switch_interval=None)

PATH = re.compile(r"/[!-\"$-~]*")  # the characters of a request target, without a fragment
NOT_WITH_STEP = {
    "depth", "only", "full", "report", "lines", "links", "cold", "from_start", "server", "compare",
    "follow", "save",
}  # fmt: skip
RECORDS = ("report", "follow", "from_start")  # options that start a server
FROM_START_ONLY = ("server", "compare", "save", "links")
NOT_MOUNTED = ("flask", "script")  # servers that load the application themselves
NOT_WITH_RAW = {"headers", "data", "document"}
CONTENT = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")  # field values: RFC 9110, 5.5


def record(
    app: Any, name: str, question: Question, cold: bool = False, patience: float = PATIENCE
) -> Explanation:
    """Serve `app` on a loopback socket, send the request, and explain what ran."""
    recorder = Recorder()
    recorder.install()
    listener = listen_tcp("127.0.0.1", 0)
    port = int(listener.getsockname()[1])
    gateway: Any = for_application(app, loop="asyncio")  # uvloop is not written in Python
    engine = Engine(gateway, [listener], SETTINGS)
    thread = threading.Thread(target=engine.run, name="engine", daemon=True)
    try:
        getattr(gateway, "start", lambda: None)()
    except StartFailed as problem:
        raise click.ClickException(str(problem)) from None
    thread.start()
    try:
        with exit_told():
            if not cold:
                _ask(question, port, patience)
            recorder.start()
            answer = _ask(question, port, patience)
    except NoAnswer as problem:
        raise click.ClickException(f"{problem}{_running()}") from None
    except KeyboardInterrupt:
        raise click.ClickException(f"Stopped.{_running()}") from None
    finally:
        # Wait for what follows the last send: teardown functions and close().
        engine.stop()
        thread.join(GRACE)
        recorder.stop()
        recorder.uninstall()
        getattr(gateway, "stop", lambda seconds: None)(GRACE)
        listener.close()
    sys.setrecursionlimit(max(sys.getrecursionlimit(), DEPTH))
    line = f"{question.method} {question.path}"
    apps = matched.applications(app)
    found = explain(recorder, apps, name, line, answer.text, answer.size, _rule(app, question))
    asked = secrets_of(question.path, question.fields, question.body)
    eraser = Eraser(asked | recorder.secrets)
    eraser.clean(found.nodes())
    found.request = eraser.erase(found.request)
    found.erase = eraser.erase
    found.rule = [eraser.erase(each) for each in found.rule]
    return found


def _ask(question: Question, port: int, patience: float) -> Answer:
    """The answer. A connection that the application ends without a response can be explained."""
    try:
        return question.ask(port, patience)
    except NoAnswer as problem:
        if problem.answer.was_closed:
            return problem.answer
        raise


def _running() -> str:
    """Which function of the application a thread of the server runs."""
    here = threading.get_ident()
    for ident, innermost in thread_frames().items():
        frame: FrameType | None = innermost if ident != here else None
        while frame is not None:
            code = frame.f_code
            if places.of_code(code).room == places.APPLICATION:
                return f" The application runs {code.co_name}, {code.co_filename}:{frame.f_lineno}."
            frame = frame.f_back
    return ""


def _rule(app: Any, question: Question) -> list[str]:
    """Lines about the rule that matches; [] for an application without rules."""
    return matched.of_request(app, question.routed_as, question.path.partition("?")[0])


def _check(method: str, path: str) -> None:
    if not is_token(method):
        raise click.BadParameter(
            f"{method!r} is not an HTTP method. Use GET, POST or another.", param_hint="METHOD"
        )
    if not PATH.fullmatch(path):
        text = f"{path!r} is not a path. Start it with /, write %20 for a space, and leave out #."
        raise click.BadParameter(text, param_hint="PATH")


def _fields(values: tuple[str, ...]) -> Fields:
    fields: Fields = []
    for value in values:
        name, colon, content = value.partition(":")
        if not colon or not is_token(name.strip()) or not CONTENT.fullmatch(content):
            raise click.BadParameter(
                f"{value!r} is not a header. Write it as 'Name: value'.", param_hint="-H"
            )
        fields.append((name.strip(), content.strip()))
    return fields


def _body(fields: Fields, data: str | None, document: str | None) -> bytes | None:
    known = {name.lower() for name, _ in fields}
    if data is not None and document is not None:
        raise click.UsageError("-d and --json exclude each other. Give only one of them.")
    if document is not None:
        try:
            json.loads(document)
        except ValueError as problem:
            raise click.BadParameter(
                f"The value is not JSON: {problem}.", param_hint="--json"
            ) from None
        if "content-type" not in known:
            fields.append(("Content-Type", "application/json"))
        return document.encode()
    if data is None:
        return None
    if "content-type" not in known:
        fields.append(("Content-Type", "application/x-www-form-urlencoded"))
    if not data.startswith("@"):
        return data.encode()
    try:
        return Path(data[1:]).read_bytes()
    except OSError as problem:
        text = f"{data[1:]} cannot be read: {problem.strerror}."
        raise click.BadParameter(text, param_hint="-d") from None


@click.command("explain", short_help="Show everything that runs for one request.")
@click.argument("app", required=False, shell_complete=complete)
@click.argument("method", required=False)
@click.argument("path", required=False)
@click.option(
    "-H", "--header", "headers", multiple=True, metavar="HEADER",
    help="Header to send, such as 'Accept: text/html'. May be given more than once.",
)  # fmt: skip
@click.option(
    "-d", "--data", metavar="TEXT", help="Body to send; @FILE sends the content of a file."
)  # fmt: skip
@click.option("--json", "document", metavar="TEXT", help="JSON document to send as the body.")
@click.option(
    "--websocket", is_flag=True,
    help="Handshake for a WebSocket, which is closed after the first answer. --data is the message"
    " that is sent.",
)  # fmt: skip
@click.option(
    "--cold", is_flag=True,
    help="Explanation of the very first request, without sending one before it.",
)  # fmt: skip
@click.option(
    "--timeout", type=Number(float), default=PATIENCE, metavar="SECONDS",
    help="Longest wait for the response; what has arrived by then is shown."
    f"  [default: {PATIENCE:g}]",
)  # fmt: skip
@click.option(
    "--from-start", is_flag=True,
    help="Explanation of everything from the start of the server to its stop.",
)  # fmt: skip
@click.option(
    "--server", type=click.Choice(list(SERVERS)),
    help="Server that --from-start starts, with its own start function.  [default: carboy]",
)  # fmt: skip
@click.option(
    "--follow", multiple=True, metavar="VALUE",
    help="Value of the request whose way from the bytes to the view is shown, such as"
    " header:User-Agent, query:q, form:name, cookie:theme, path or body. May be given more than"
    " once."
    "  [default with --report: a header that the view reads]",
)  # fmt: skip
@click.option(
    "--compare", metavar="OTHER",
    help="Server, or folder with another version of the application, whose chain of steps is"
    " shown next to the first one. Requires --from-start.",
)  # fmt: skip
@click.option(
    "--depth", type=Number(int, 1), metavar="LEVELS",
    help="Number of levels of the call tree to show.  [default: all]",
)  # fmt: skip
@click.option(
    "--only", metavar="NAME",
    help="Room of Carboy or package whose calls are shown, such as http or jinja2.",
)  # fmt: skip
@click.option("--full", is_flag=True, help="All calls, including those that are usually folded.")
@click.option(
    "--html", type=click.Path(dir_okay=False), help="File for an HTML page with the explanation."
)  # fmt: skip
@explain_recorded.options
@explain_report.options
@explain_step.options
@click.pass_context
def command(
    ctx: click.Context,
    /,
    app: str | None,
    method: str | None,
    path: str | None,
    cold: bool,
    timeout: float,
    step: bool,
    in_terminal: bool,
    raw: str | None,
    html: str | None,
    mount: mounts.Mounted,
    **others: Any,
) -> None:
    """Send the request METHOD PATH to APP and show everything that runs for it.

    The request goes through the real server, on a socket that only this machine can reach. The
    output shows every step from accept() to the last send().

    The same request is sent once before, so that work for the first request only is not shown.
    Use --cold for a request that changes data, or to see that work.

    With --from-start, a server is started in a process of its own, and the output shows its steps
    from the start of the server through the one request to the stop. The server can be another
    one than Carboy's. --save keeps the recording for later, and --report makes a report of these
    steps, with licences, code and links.

    With --follow, the output shows the bytes as they were received, where the value is in them,
    and each line that received, split, decoded, stored or returned it until the view reads it.

    With --websocket, the request is a handshake for a WebSocket, and the output shows its steps
    and those of the message that --data sends.

    With --step, the output is a page that steps through the bytes of the request and of the
    response: the state of the HTTP machine, the line of code, and the object they became.
    """
    _check_step(ctx, step, in_terminal, raw)
    explain_report.check(ctx)
    if others["saved"] is not None:
        explain_recorded.show_saved(ctx, others["saved"])
        return
    if mount and path is None and method is not None and method.startswith("/"):
        app, method, path = None, app, method  # without APP, as for `carboy run`
    name = _chosen(ctx, app, mount)
    if raw is not None:
        _step(name, mount, Sent.of_file(raw), timeout, in_terminal, html)
        return
    question = _question(ctx, method, path)
    if step:
        _refuse_websocket(question)
        _step(name, mount, Sent(question), timeout, in_terminal, html)
    elif any(others[option] for option in RECORDS):
        launch = _launch(ctx, name, others["server"] or "carboy", mount)
        explain_recorded.show(ctx, launch, question, timeout)
    else:
        _refuse_without_start(ctx)
        shown = mounts.shown(name, mount)
        found = record(_load(name, mount), shown, question, cold, timeout)
        _show(found, others["depth"], others["only"], others["full"], html)


def _chosen(ctx: click.Context, app: str | None, mount: mounts.Mounted) -> str:
    """The name of the application; "" if there are only mounted ones."""
    if app is None and not mount:
        raise click.UsageError("Missing argument 'APP'.", ctx)
    return chosen_app(ctx, app, optional=bool(mount))


def _launch(ctx: click.Context, name: str, server: str, mount: mounts.Mounted) -> Launch:
    """The server to start."""
    if mount and server in NOT_MOUNTED:
        refuse(ctx, {"mount"}, f"--server {server}")
        mount = ()  # of a variable, for `carboy run`
    return Launch(name, server, is_given(ctx, "flask"), mount=mount)


def _refuse_without_start(ctx: click.Context) -> None:
    for name in FROM_START_ONLY:
        if is_given(ctx, name):
            other = " or --follow" if name == "server" else ""
            raise click.UsageError(f"--{name} requires --from-start{other}.", ctx)


def _load(name: str, mount: mounts.Mounted) -> Any:
    try:
        return load_or_explain(name, "auto", mount)
    except LoadError as problem:
        raise click.ClickException(str(problem)) from None


def _question(ctx: click.Context, method: str | None, path: str | None) -> Question:
    """The request, from arguments and options."""
    if method is None or path is None:
        missing = "METHOD" if method is None else "PATH"
        raise click.UsageError(f"Missing argument '{missing}'.", ctx)
    _check(method, path)
    fields = _fields(ctx.params["headers"])
    websocket = ctx.params["websocket"] or asks_for_websocket(fields)
    if method.upper() == WEBSOCKET:  # as in `carboy routes --match`
        method, websocket = "GET", True
    if websocket and method.upper() != "GET":
        raise click.UsageError(
            f"A WebSocket is opened with GET (RFC 6455). Write GET instead of {method}.", ctx
        )
    # A message of a WebSocket has no type.
    body = _body([] if websocket else fields, ctx.params["data"], ctx.params["document"])
    try:
        return Question(method.upper(), path, fields, body, websocket)
    except UnicodeDecodeError:
        text = "The message of a WebSocket is text here, and the file is not UTF-8."
        raise click.BadParameter(f"{text} Send another file.", param_hint="-d") from None


def _refuse_websocket(question: Question) -> None:
    if question.is_websocket:
        raise click.UsageError(
            "--step shows the bytes of HTTP, not those of a WebSocket. Leave out --step."
        )


def _check_step(ctx: click.Context, step: bool, in_terminal: bool, raw: str | None) -> None:
    """Raise a usage error for options that need --step, or that do not go with it."""
    if not step:
        for option, given in (("--terminal", in_terminal), ("--raw", raw is not None)):
            if given:
                raise click.UsageError(f"{option} requires --step.", ctx)
        return
    refuse(ctx, NOT_WITH_STEP, "--step")
    if raw is not None:
        refuse(ctx, NOT_WITH_RAW, "--raw")
        if ctx.params.get("method") is not None:
            raise click.UsageError("--raw replaces METHOD and PATH. Leave them out.", ctx)
    if in_terminal:
        refuse(ctx, {"html"}, "--terminal")


def _step(
    app: str,
    mount: mounts.Mounted,
    sent: Sent,
    patience: float,
    in_terminal: bool,
    html: str | None,
) -> None:
    found = explain_step.record(_load(app, mount), sent, patience)
    if not found.steps:
        raise click.ClickException("There are no bytes to step through.")
    explain_step.show(sent.title, found, in_terminal, html)


def _show(
    found: Explanation,
    depth: int | None,
    only: str | None,
    full: bool,
    html: str | None,
) -> None:
    """Write the files, or the text if no file is given."""
    check_only(found, only)
    _write(html, page.make, found)
    if html is None:
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
    click.echo(f"Wrote {file}.", err=True)


command.params += [as_flask(), mounts.mounting()]
