"""`carboy …` in processes that are forked from one that has already imported the command line.

Each command has its own process, folder, environment and output, as if a user had started it. The
modules of the commands are imported, and those that nearly every application needs. To import them
takes longer than most of what the tests look at. Flask and Werkzeug are not among them, because
`--flask` gives Carboy their names. Run as a file, this module is the process that forks.

A process of Python reads its environment when it starts: encodings, and whether output is buffered.
So there is a process that forks for each such environment.
"""

from __future__ import annotations

import array
import atexit
import contextlib
import gc
import json
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import IO, Any

IMPORTED = {
    "commands": (
        "carboy.cli.main", "carboy.cli.explain", "carboy.cli.learn.command", "carboy.app.app",
        "asyncio", "concurrent.futures.thread", "itsdangerous", "jinja2.loaders",
    ),
    "servers": (
        "carboy.cli.main", "carboy.cli.run", "carboy.cli.dev.command", "carboy.server.serve",
        "carboy.server.processes.worker", "carboy.server.processes.supervisor", "carboy.app.app",
        "asyncio", "concurrent.futures.thread", "itsdangerous", "jinja2.loaders",
    ),
    "programs": (
        "carboy.compat", "carboy.app.app", "carboy.cli.flask", "carboy.testing", "itsdangerous",
        "jinja2",
    ),
    "programs of Flask": ("flask.cli", "werkzeug.test"),
}  # fmt: skip
PATIENCE = 200.0  # seconds for a command, far more than any takes
MOST = 1 << 18  # bytes of a question


def run(
    args: Sequence[str], cwd: Path, env: Mapping[str, str], typed: str = ""
) -> subprocess.CompletedProcess[str]:
    """The exit code and the output of `python -m carboy` with these arguments and this input."""
    return _output("commands", {"args": list(args), "cwd": str(cwd), "env": dict(env)}, typed)


def program(
    code: str,
    *args: str,
    env: Mapping[str, str],
    kind: str = "programs",
    quiet: bool = False,
    cwd: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """The exit code and the output of `python -c code`; `quiet` is for `-W ignore`."""
    asked = {"args": list(args), "cwd": str(cwd or Path.cwd()), "env": dict(env)}
    return _output(kind, asked | {"code": code, "quiet": quiet})


def flask(
    *args: str, cwd: Path, env: Mapping[str, str], real: bool = False
) -> subprocess.CompletedProcess[str]:
    """The exit code and the output of `python -m carboy.compat -m flask`, or the real command's."""
    module = "flask" if real else "carboy.compat"
    code = f"import runpy; runpy.run_module({module!r}, run_name='__main__', alter_sys=True)"
    kind = "programs of Flask" if real else "programs"
    return program(code, *([] if real else ["-m", "flask"]), *args, env=env, kind=kind, cwd=cwd)


def _output(kind: str, asked: dict[str, Any], typed: str = "") -> subprocess.CompletedProcess[str]:
    with tempfile.TemporaryDirectory() as name:
        given, out, err = (Path(name, file) for file in ("in", "out", "err"))
        given.write_text(typed)
        with given.open() as first, out.open("w") as second, err.open("w") as third:
            process = ready(kind).start(asked | {"session": False}, first, second, third)
        try:
            code = process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(PATIENCE)
            said = out.read_text() + err.read_text()
            problem = f"{asked['args']} took longer than {PATIENCE:g} s:\n{said}"
            raise AssertionError(problem) from None
        return subprocess.CompletedProcess(asked["args"], code, out.read_text(), err.read_text())


def run_here(args: list[str], cwd: Path) -> subprocess.CompletedProcess[str]:
    """The same for a command that is refused before it loads an application: in this process."""
    from click.testing import CliRunner

    from carboy.cli.main import make_group

    with contextlib.chdir(cwd):
        done = CliRunner().invoke(make_group(), args)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return subprocess.CompletedProcess(args, done.exit_code, done.stdout, done.stderr)


class Process:
    """A process that another one has forked, with the methods of Popen."""

    def __init__(self, args: list[str], pid: int, ended: int) -> None:
        self.args = args
        self.pid = pid
        self.returncode: int | None = None
        self.stdout: IO[str] | None = None
        self.stderr: IO[str] | None = None
        self._ended = ended  # a pipe that has the exit code

    def poll(self) -> int | None:
        """The exit code, or None while it runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code; raises TimeoutExpired."""
        if self.returncode is None:
            found, _, _ = select.select([self._ended], [], [], timeout)
            if not found:
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            self.returncode = int(os.read(self._ended, 100))
            os.close(self._ended)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)


class Ready:
    """The process that forks."""

    def __init__(self, kind: str, env: Mapping[str, str]) -> None:
        from running import die_with_parent

        self._lock = threading.Lock()
        self._asks, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with other:
            self._process = subprocess.Popen(
                [sys.executable, __file__, kind], env=dict(env), cwd="/", stdin=other.fileno(),
                preexec_fn=die_with_parent,  # noqa: PLW1509 - only a system call
            )  # fmt: skip
        atexit.register(self.close)

    def start(self, asked: dict[str, Any], *files: IO[Any]) -> Process:
        """Fork a process, whose standard input, output and error are the files."""
        ended, ends = os.pipe()
        fds = array.array("i", [*(file.fileno() for file in files), ends])
        try:
            with self._lock:
                message = json.dumps(asked | {"limits": _limits()}).encode()
                self._asks.sendmsg([message], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
                pid = int(self._asks.recv(100))
        finally:
            os.close(ends)
        return Process(asked["args"], pid, ended)

    def close(self) -> None:
        """End the process."""
        self._asks.close()
        self._process.wait()


def _limits() -> dict[int, list[int]]:
    """The resource limits of this process, which its children inherit."""
    numbers = {value for name, value in vars(resource).items() if name.startswith("RLIMIT_")}
    return {number: list(resource.getrlimit(number)) for number in numbers}


@cache
def ready(kind: str) -> Ready:
    """The process that forks commands or servers."""
    if kind != "servers":  # the environment of such a test has nothing else
        return Ready(kind, {"PATH": ""})
    return Ready(kind, os.environ | {"PYTHONUNBUFFERED": "1", "PYTHONPATH": ""})


class _Forks:
    """Forks for each question, and writes how each process has ended."""

    def __init__(self, asked: socket.socket) -> None:
        self._asked = asked
        self._ends: dict[int, int] = {}  # the pipe of each process that runs
        self._woken, self._wakes = os.pipe()
        for fd in (self._woken, self._wakes):
            os.set_blocking(fd, False)
        signal.set_wakeup_fd(self._wakes)
        signal.signal(signal.SIGCHLD, lambda *signalled: None)

    def serve(self) -> dict[str, Any]:
        """Answer questions. This method returns in the processes that it forks."""
        asked = self._asked.fileno()
        while True:
            found, _, _ = select.select([asked, self._woken], [], [])
            if self._woken in found:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._woken, 100)
                self._reap()
            if asked in found:
                message, fds, _, _ = socket.recv_fds(self._asked, MOST, 4)
                if not message:
                    os._exit(0)
                pid = os.fork()
                if pid == 0:
                    self._leave(fds.pop())
                    question: dict[str, Any] = json.loads(message)
                    _become(question, fds)
                    return question
                self._ends[pid] = fds.pop()
                for fd in fds:
                    os.close(fd)
                self._asked.send(str(pid).encode())

    def _reap(self) -> None:
        for pid, status in _ended():
            fd = self._ends.pop(pid)
            with contextlib.suppress(BrokenPipeError):  # the test has ended
                os.write(fd, str(os.waitstatus_to_exitcode(status)).encode())
            os.close(fd)

    def _leave(self, end: int) -> None:
        """In a new process: forget what belongs to the one that forks."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for fd in (end, self._woken, self._wakes, *self._ends.values()):
            os.close(fd)
        self._asked.close()


def _ended() -> Iterator[tuple[int, int]]:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        yield pid, status


def _become(asked: dict[str, Any], fds: list[int]) -> None:
    """Make this process the one that `python -m carboy` starts, or `python -c`."""
    from running import die_with_parent

    for number, fd in enumerate(fds):
        os.dup2(fd, number)
        os.close(fd)
    if asked["session"]:
        os.setsid()
    die_with_parent()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    own = _limits()
    for number, limits in asked["limits"].items():
        if own[int(number)] != limits:
            resource.setrlimit(int(number), tuple(limits))
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["env"])
    places = filter(None, asked["env"].get("PYTHONPATH", "").split(os.pathsep))
    sys.path[:1] = [asked["cwd"], *map(os.path.abspath, places)]
    if "code" in asked:
        sys.argv = ["-c", *asked["args"]]
        sys.modules["__main__"] = ModuleType("__main__")
        if asked["quiet"]:
            warnings.simplefilter("ignore")
        return
    import carboy.__main__

    sys.argv = [carboy.__main__.__file__, *asked["args"]]
    sys.orig_argv = [sys.executable, "-m", "carboy", *asked["args"]]
    sys.modules["__main__"] = carboy.__main__


if __name__ == "__main__":
    for module in IMPORTED[sys.argv[1]]:
        import_module(module)
    gc.freeze()  # garbage collections of the new processes leave out what is imported
    asked = _Forks(socket.socket(fileno=os.dup(0))).serve()
    if "code" in asked:
        exec(compile(asked["code"], "<string>", "exec"), vars(sys.modules["__main__"]))
    else:
        from carboy.__main__ import main

        main()
