"""`carboy explain --from-start`: records a server in a process of its own, for one request."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from carboy.cli.explain_follow import Following
from carboy.cli.explain_question import Answer, NoAnswer, Question
from carboy.cli.explain_servers import HOST, SERVERS, Server, version_of
from carboy.cli.run import FROM_CLI
from carboy.dev.explain.recording import Process, Recording, UnreadableRecording, read
from carboy.dev.explain.secrets import Eraser, secrets_of

GRACE = 20.0  # seconds for the server to stop; gunicorn waits for its workers
THREADS_END = 1.0  # seconds for threads of the application to end after the server
LAST_LINES = 12  # of the output of a server that failed
OUTPUT = "output.txt"


def record(
    app: str,
    name: str,
    question: Question,
    patience: float,
    checkout: Path | None = None,
    following: Following | None = None,
    port: int = 0,
) -> Recording:
    """Start the server called `name` with the application, send the request, and stop it.

    The server listens on `port`, or on a free one if it is 0.
    With `checkout`, the application is loaded from this folder, and Carboy as well if it is there.
    """
    server = SERVERS[name]
    version = version_of(server)
    if version is None:
        raise click.ClickException(
            f"{server.package} is not installed. Install it with `pip install {server.package}`."
        )
    with TemporaryDirectory(prefix="carboy-explain-") as folder:
        port = port or _free_port()
        if following is not None:
            following.prepare(Path(folder), port)
        with _running(Path(folder), name, port, app, checkout) as process:
            answer = _ask(question, port, patience, process, Path(folder))
            _stop(process, server, Path(folder))
        processes = _read(Path(folder))
        if following is not None:
            following.collect(Path(folder), processes, answer.sent)
    asked = secrets_of(question.path, question.fields, question.body)
    eraser = Eraser(asked.union(*(process.secrets for process in processes)))
    for each in processes:
        each.clean(eraser.erase)
        each.secrets = []
    line = eraser.erase(f"{question.method} {question.path}")
    server_name = f"{name} {version}" if checkout is None else f"{name} in {checkout}"
    return Recording(
        app, server_name, f"{HOST}:{port}", line, answer.status, answer.size, processes,
        eraser.blank(answer.sent), eraser.blank(answer.received),
        answer.sent_size, answer.received_size,
    )  # fmt: skip


def record_other(app: str, name: str, other: str, question: Question, patience: float) -> Recording:
    """The recording for --compare: `other` is the name of a server, or the path of a checkout."""
    if other in SERVERS:
        return record(app, other, question, patience)
    checkout = Path(other)
    if not checkout.is_dir():
        raise click.BadParameter(
            f"{other!r} is neither a folder nor one of {', '.join(SERVERS)}.",
            param_hint="--compare",
        )
    return record(app, name, question, patience, checkout.resolve())


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind((HOST, 0))
        return int(sock.getsockname()[1])


@contextmanager
def _running(
    folder: Path, name: str, port: int, app: str, checkout: Path | None
) -> Iterator[subprocess.Popen[bytes]]:
    """The process of the server, which is killed at the end if it still runs."""
    # Without the variable, because app.run() does nothing where it is set.
    environ = {key: value for key, value in os.environ.items() if key != FROM_CLI}
    if checkout is not None and (checkout / "src" / "carboy").is_dir():
        environ["PYTHONPATH"] = str(checkout / "src")
    command = [sys.executable, "-m", "carboy.cli.explain_launcher", str(folder), name]
    with (folder / OUTPUT).open("wb") as output:
        # In its own session, so that Ctrl+C reaches only this process, which ends the others.
        process = subprocess.Popen(
            [*command, str(port), app], stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            env=environ, cwd=checkout, start_new_session=True,
        )  # fmt: skip
        try:
            yield process
        finally:
            _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill the server and the processes that it started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def _ask(
    question: Question,
    port: int,
    patience: float,
    process: subprocess.Popen[bytes],
    folder: Path,
) -> Answer:
    try:
        return question.ask(port, patience, process)
    except NoAnswer as problem:
        if process.poll() is None:
            raise click.ClickException(f"{problem}{_said(folder)}") from None
        text = f"The server ended before it responded.{_said(folder)}"
        raise click.ClickException(text) from None
    except KeyboardInterrupt:
        raise click.ClickException("Stopped.") from None


def _stop(process: subprocess.Popen[bytes], server: Server, folder: Path) -> None:
    """Stop the server. A process that has written its recording may be kept by a thread."""
    process.send_signal(server.stop)
    written = folder / f"{process.pid}.json"
    end = time.monotonic() + GRACE
    while time.monotonic() < end:
        had_written = written.exists()
        try:
            process.wait(THREADS_END)
            return
        except subprocess.TimeoutExpired:
            if had_written:
                return
    raise click.ClickException(
        f"The server did not stop within {GRACE:g} s, so there is no recording.{_said(folder)}"
    )


def _said(folder: Path) -> str:
    """The last lines that the server wrote, on lines of their own."""
    text = (folder / OUTPUT).read_text("utf-8", "replace").rstrip()
    return "\n" + "\n".join(text.splitlines()[-LAST_LINES:]) if text else ""


def _read(folder: Path) -> list[Process]:
    files = sorted(folder.glob("*.json"), key=lambda file: file.stat().st_mtime)
    try:
        found = [read(file.read_text("utf-8", "surrogatepass")) for file in files]
    except UnreadableRecording as problem:
        raise click.ClickException(str(problem)) from None
    if not found:
        raise click.ClickException(f"The server wrote no recording.{_said(folder)}")
    return sorted(found, key=_began)


def _began(process: Process) -> int:
    """When a process made its first call. Copied calls are those of its parent."""
    return min((call.at for call in process.calls if not call.copied), default=0)
