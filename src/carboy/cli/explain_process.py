"""The process of a server that `carboy explain --from-start` records: started, stopped, read."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from carboy.cli import mounts
from carboy.cli.explain_launcher import DUMP, STACKS
from carboy.cli.explain_output import last_lines
from carboy.cli.explain_question import HOST
from carboy.cli.explain_servers import SCRIPT, SERVERS
from carboy.cli.mounts import Mounted
from carboy.cli.run import FROM_CLI
from carboy.dev.explain import journal, places
from carboy.dev.explain.recording import MODULE, Process, UnreadableRecording, read
from carboy.dev.explain.start_recorder import LISTENING

GRACE = 20.0  # seconds for the server to stop; gunicorn waits for its workers
SHORT_GRACE = 3.0  # for one that did not respond
THREADS_END = 1.0  # seconds for threads of the application to end after the server
DUMP_AT_MOST = 10.0  # seconds for the stacks of one process
PAUSE = 0.02  # seconds between two looks at a file
LOOK = 0.01  # seconds between two looks at the threads of a server
QUIET_LOOKS = 6  # at which no thread runs; Werkzeug's server waits for 10 ms in between
REST_AT_MOST = 2.0  # seconds, for an application whose threads never rest
RUNS = "RD"  # states of a thread in /proc: it runs, or waits for a disk
OUTPUT = "output.txt"
COMPAT = "CARBOY_COMPAT"  # says what the names flask and werkzeug mean
CURRENT = "Current thread 0x"  # is once in the stacks of a process
FRAME = re.compile(r'  File "(.+)", line (\d+) in (.+)')  # of faulthandler
ANY_HOST = {"0.0.0.0", "::"}
STARTUP = """
import os, sys
sys.path.remove(os.path.dirname(os.path.abspath(__file__)))
from carboy.cli import explain_launcher
explain_launcher.run_the_next()
explain_launcher.arm_script({folder!r})
"""


@dataclass(frozen=True, slots=True)
class Launch:
    """A server to start: an application, on a server, perhaps from another checkout."""

    app: str
    server: str  # a name in SERVERS
    as_flask: bool = False  # Carboy has the names flask and werkzeug
    checkout: Path | None = None
    port: int = 0  # to listen on; 0: a free one
    mount: Mounted = ()  # other applications, under prefixes

    @property
    def shown(self) -> str:
        """The names of the applications."""
        return mounts.shown(self.app, self.mount)

    @property
    def is_script(self) -> bool:
        """Whether the application is a file that starts its server itself."""
        return self.server == SCRIPT

    @property
    def has_carboy(self) -> bool:
        """Whether the checkout is one of Carboy."""
        return self.checkout is not None and (self.checkout / "src" / "carboy").is_dir()

    @property
    def folder(self) -> Path | None:
        """The folder to start in, or None for the current one.

        If the current folder is in a checkout, it is the same folder of the other checkout. An
        application that is not in a checkout of Carboy is served by it.
        """
        if self.checkout is None:
            return None
        found = [self.checkout / _place_in_checkout(), self.checkout]
        name = self.app or next((each for _, each, _ in self.mount), "")
        has_app = [each for each in found if _has_module(each, name)]
        return next(iter(has_app), None if self.has_carboy else self.checkout)

    def command(self, folder: Path, port: int) -> list[str]:
        """The command line of the process."""
        if self.is_script:
            return [sys.executable, self.app]
        command = [sys.executable, "-m", "carboy.cli.explain_launcher", str(folder)]
        command += [self.server, str(port), self.app, *(["--flask"] * self.as_flask)]
        return [*command, *map(mounts.written, self.mount)]

    def environ(self, folder: Path) -> dict[str, str]:
        """The environment of the process."""
        # Without FROM_CLI, because app.run() does nothing where it is set.
        environ = {key: value for key, value in os.environ.items() if key != FROM_CLI}
        first = []
        if self.is_script:
            startup = folder / "startup"
            startup.mkdir()
            text = STARTUP.format(folder=str(folder))
            (startup / "sitecustomize.py").write_text(text, "utf-8")
            first.append(str(startup))
        if self.checkout is not None and self.has_carboy:
            first.append(str(self.checkout / "src"))
        if self.as_flask:
            environ[COMPAT] = "1"
        if first:
            before = environ.get("PYTHONPATH", "")
            environ["PYTHONPATH"] = os.pathsep.join([*first, *([before] if before else [])])
        return environ


def _place_in_checkout() -> Path:
    """The path of the current folder in its git checkout."""
    here = Path.cwd()
    top = next((each for each in (here, *here.parents) if (each / ".git").exists()), here)
    return here.relative_to(top)


def _has_module(folder: Path, app: str) -> bool:
    name = app.partition(":")[0]
    first = name if name.endswith(".py") else name.partition(".")[0]
    return any((folder / each).exists() for each in (first, f"{first}.py", f"src/{first}"))


class ServerProcess:
    """A server that runs, with its children."""

    def __init__(self, launch: Launch, folder: Path, process: subprocess.Popen[bytes]) -> None:
        self.launch = launch
        self.folder = folder
        self.process = process
        self.host = HOST
        self.port = 0

    def await_port(self, patience: float) -> bool:
        """Wait until a script listens; False if it does not."""
        file = self.folder / LISTENING
        end = time.monotonic() + patience
        while not file.exists():
            if self.process.poll() is not None or time.monotonic() > end:
                return False
            time.sleep(PAUSE)
        host, _, port = file.read_text("utf-8").rpartition(":")
        self.host, self.port = HOST if host in ANY_HOST else host, int(port)
        return True

    def await_rest(self) -> None:
        """Wait until no thread runs: the client sees the end before the server has closed."""
        end = time.monotonic() + REST_AT_MOST
        quiet = 0
        while quiet < QUIET_LOOKS and time.monotonic() < end:
            time.sleep(LOOK)
            quiet = 0 if self._runs() else quiet + 1

    def _runs(self) -> bool:
        """Whether a thread of the recorded processes runs or waits for a processor."""
        states = [
            file for pid in self._unfinished() for file in Path(f"/proc/{pid}/task").glob("*/stat")
        ]
        for file in states:
            with contextlib.suppress(OSError, IndexError):
                if file.read_text("utf-8", "replace").rpartition(")")[2].split()[0] in RUNS:
                    return True
        return False

    def _journals(self) -> list[Path]:
        return sorted(self.folder.glob(f"*{journal.SUFFIX}"))

    def stop(self, grace: float) -> bool:
        """Stop the server as Ctrl+C or its supervisor would; False if it does not stop.

        A process that has written its recording may be kept by a thread.
        """
        how = SERVERS[self.launch.server].stop
        with contextlib.suppress(ProcessLookupError):
            if self.launch.is_script:
                os.killpg(self.process.pid, how)  # as a terminal does; a reloader has a child
            else:
                self.process.send_signal(how)
        end = time.monotonic() + grace
        while time.monotonic() < end:
            had_written = not self._journals()
            try:
                self.process.wait(min(THREADS_END, grace))
            except subprocess.TimeoutExpired:
                if had_written:
                    return True
            else:
                if had_written or not self._children():
                    return True
                time.sleep(PAUSE)
        return self.process.poll() is not None

    def _children(self) -> list[int]:
        """The other recorded processes that still run."""
        return [pid for pid in self._unfinished() if pid != self.process.pid and _runs(pid)]

    def _unfinished(self) -> list[int]:
        """The processes that have not written their recording."""
        return [int(file.stem) for file in self._journals()]

    def busy(self) -> str:
        """A sentence with the function of the application that runs, or ""."""
        if DUMP is None:
            return ""
        for pid in self._unfinished():
            for file_name, line, name in FRAME.findall(self._stacks(pid, DUMP)):
                if places.is_the_applications(file_name) and name != MODULE:
                    return f"The application was running {name}, {file_name}:{line}."
        return ""

    def _stacks(self, pid: int, dump: int) -> str:
        """The stacks of a process, written twice.

        They have no mark at their end, but a process writes them one after the other: the first
        are complete when the second have begun. One process after the other, because they write
        to the same file.
        """
        file = self.folder / STACKS
        before = file.stat().st_size
        text = ""
        end = time.monotonic() + DUMP_AT_MOST
        for count in (1, 2):
            try:
                os.kill(pid, dump)
            except ProcessLookupError:
                break
            while text.count(CURRENT) < count and time.monotonic() < end:
                time.sleep(PAUSE)
                text = file.read_bytes()[before:].decode("utf-8", "replace")
        return text

    def kill(self) -> None:
        """Kill the server and the processes that it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def said(self) -> str:
        """The last lines that the server wrote, on lines of their own."""
        return last_lines((self.folder / OUTPUT).read_text("utf-8", "replace"))

    def processes(self) -> list[Process]:
        """The recording of each process, in the order in which they began."""
        found = []
        try:
            for file in self.folder.glob("*.json"):
                found.append(read(file.read_text("utf-8", "surrogatepass")))
        except UnreadableRecording as problem:
            raise click.ClickException(str(problem)) from None
        whole = {process.pid for process in found}
        for file in self._journals():
            if int(file.stem) not in whole:
                found.append(journal.read(file))
        return sorted((each for each in found if _began(each)), key=_began)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _began(process: Process) -> int:
    """When a process made its first call, or 0. Copied calls are those of its parent."""
    return min((call.at for call in process.calls if not call.copied), default=0)


@contextmanager
def running(launch: Launch, folder: Path, port: int) -> Iterator[ServerProcess]:
    """The server, which is killed at the end if it still runs."""
    with (folder / OUTPUT).open("wb") as output:
        # In its own session, so that Ctrl+C reaches only this process, which ends the others.
        process = subprocess.Popen(
            launch.command(folder, port), stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            env=launch.environ(folder), cwd=launch.folder, start_new_session=True,
        )  # fmt: skip
        server = ServerProcess(launch, folder, process)
        server.port = port
        try:
            yield server
        finally:
            server.kill()


def free_port() -> int:
    """A port that no program uses now."""
    with socket.socket() as sock:
        sock.bind((HOST, 0))
        return int(sock.getsockname()[1])
