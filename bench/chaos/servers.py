"""The servers, each started as its documentation says for production, in a new session."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench import process, rivals
from bench.chaos.client import Address, Client
from bench.chaos.ledger import Ledger, Outcome
from bench.chaos.questions import HELLO
from bench.chaos.waits import until
from bench.commands import HOST, carboy_command
from bench.servers import STOP_SECONDS, ServerFailed

THREADS = 32
START_SECONDS = 30.0
SETTLE = 0.2
HELPERS = ("resource_tracker", "gunicornc")  # processes that are not workers, by their command line


@dataclass(frozen=True)
class Setup:
    """The options with which a fault needs its server."""

    workers: int = 2
    threads: int = THREADS
    worker_timeout: int | None = None
    access_log: str | None = None  # a file, or "-" for standard output
    options: Mapping[str, Sequence[str]] = field(default_factory=dict)  # by the name of the server
    target: str = "bench.chaos.on_carboy:app"  # the application of Carboy


@dataclass(frozen=True)
class Server:
    """One program that serves the application of `views`."""

    name: str
    label: str
    command: Callable[[Setup, int], list[str]]

    @property
    def ours(self) -> bool:
        return self.name == "carboy"

    def absent(self) -> str | None:
        """Why the server cannot be run here, or None."""
        if self.ours:
            missing = not carboy_command().exists()
            return f"{carboy_command()} does not exist. Run pip install -e ." if missing else None
        return rivals.missing((self.name, "flask"))


def _carboy(setup: Setup, port: int) -> list[str]:
    log = "stdout" if setup.access_log == "-" else setup.access_log
    options = ["--access-log-file", log] if log else ["--no-access-log"]
    if setup.worker_timeout:
        options += ["--worker-timeout", str(setup.worker_timeout)]
    crew = ["--workers", str(setup.workers), "--threads", str(setup.threads)]
    address = ["--host", HOST, "--port", str(port)]
    return [str(carboy_command()), "run", setup.target, *address, *crew, *options]


def _gunicorn(setup: Setup, port: int) -> list[str]:
    options = ["--access-logfile", setup.access_log] if setup.access_log else []
    if setup.worker_timeout:
        options += ["--timeout", str(setup.worker_timeout)]
    crew = ["-w", str(setup.workers), "-k", "gthread", "--threads", str(setup.threads)]
    tool = str(rivals.ENVIRONMENT / "bin" / "gunicorn")
    target = "bench.chaos.on_flask:app"
    return [tool, "-b", f"{HOST}:{port}", *crew, "--no-control-socket", *options, target]


def _granian(setup: Setup, port: int) -> list[str]:
    options = ["--access-log"] if setup.access_log else []
    crew = ["--workers", str(setup.workers), "--blocking-threads", str(setup.threads)]
    tool = str(rivals.ENVIRONMENT / "bin" / "granian")
    address = ["--interface", "wsgi", "--host", HOST, "--port", str(port)]
    target = "bench.chaos.on_flask:app"
    return [tool, *address, *crew, "--respawn-failed-workers", *options, target]


SERVERS = {
    server.name: server
    for server in (
        Server("carboy", "Carboy", _carboy),
        Server("gunicorn", "gunicorn gthread", _gunicorn),
        Server("granian", "granian", _granian),
    )
}


class Served:
    """A running server. After it has ended, it can be started again on its port."""

    def __init__(self, server: Server, setup: Setup, folder: Path) -> None:
        self.server = server
        self.setup = setup
        self.folder = folder
        self.port = _free_port()
        self.prefix: list[str] = []  # a program that runs the command, with limits
        self.variables: dict[str, str] = {}  # of its environment
        self.stdout: int | None = None  # a descriptor; None for the log
        self.stderr: int | None = None
        self.log = folder / "server.log"
        self.log.unlink(missing_ok=True)  # that of an earlier run
        self.process: subprocess.Popen[bytes] | None = None
        self._ends = contextlib.ExitStack()

    @property
    def address(self) -> Address:
        return HOST, self.port

    @property
    def pid(self) -> int:
        if self.process is None:
            raise ServerFailed(f"{self.server.label} has not been started.")
        return self.process.pid

    def start(self) -> None:
        """Start the server, and wait until all workers run and one answers. Raises ServerFailed."""
        command = [*self.prefix, *self.server.command(self.setup, self.port)]
        command += self.setup.options.get(self.server.name, ())
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                cwd=rivals.ROOT,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log if self.stdout is None else self.stdout,
                stderr=log if self.stderr is None else self.stderr,
                start_new_session=True,
            )
        if not until(self._serves, START_SECONDS):
            raise ServerFailed(f"{self.server.label} does not serve. Its output: {self.said()}")
        time.sleep(SETTLE)

    def _environment(self) -> Mapping[str, str]:
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("CARBOY_", "FLASK_"))}
        path = {"PYTHONPATH": str(rivals.ROOT), "PYTHONWARNINGS": "ignore"}
        return {**clean, **path, "CHAOS_FOLDER": str(self.folder), **self.variables}

    def _serves(self) -> bool:
        if self.process is not None and self.process.poll() is not None:
            raise ServerFailed(
                f"{self.server.label} ended while it started. Its output: {self.said()}"
            )
        enough = self.setup.workers if self.setup.workers > 1 else 0
        return len(self.workers()) >= enough and self.answers()

    def answers(self) -> bool:
        """Whether the server answers a request now."""
        client = Client(self.address, Ledger(), keep=False, patience=2)
        return client.ask(HELLO) is Outcome.RIGHT

    def workers(self) -> list[int]:
        """Its worker processes, the oldest first; empty for a single process."""
        return sorted(pid for pid in process.children(self.pid) if _is_worker(pid))

    def unread(self) -> int:
        """The write end of a pipe that is not read, for `stdout` or `stderr`."""
        reader, writer = os.pipe()
        self.at_end(lambda: os.close(reader))
        self.at_end(lambda: os.close(writer))
        return writer

    def at_end(self, undo: Callable[[], object]) -> None:
        """Call `undo` in `close`."""
        self._ends.callback(undo)

    def close(self) -> None:
        self.stop()
        self._ends.close()

    def signal(self, number: int) -> None:
        signal_to(self.pid, number)

    def wait(self, seconds: float) -> int | None:
        """The exit code, or None if the server has not ended in time."""
        assert self.process is not None
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def left(self) -> list[int]:
        """The processes of its session that are still running."""
        return [pid for pid in process.session(self.pid) if pid != self.pid and _is_worker(pid)]

    def stop(self) -> None:
        """Send SIGTERM, then SIGKILL to the whole session."""
        if self.process is None:
            return
        self.process.terminate()
        self.wait(STOP_SECONDS / 2)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def said(self, lines: int = 8) -> str:
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return " / ".join(text.splitlines()[-lines:]) or "nothing"


def signal_to(pid: int, number: int) -> None:
    """Send a signal to a process, if it still exists."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _is_worker(pid: int) -> bool:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return False
    return bool(command) and not any(name in command for name in HELPERS)  # "" is a zombie


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as free:
        port: int = free.getsockname()[1]
    return port
