"""Starts a server in a separate process, as a user does, for tests of all rooms."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import http.client
import inspect
import multiprocessing
import os
import random
import re
import runpy
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PATIENCE = 60.0  # seconds, far more than anything takes, so that only a hang fails
# Variables that are read when a process starts.
PLATFORM = ("PORT", "HOST", "WEB_CONCURRENCY")  # what hosting platforms set
AT_THE_START = ("PYTHON", "LANG", "LC_", "TZ", "LD_", "MALLOC_")
# The text of an application whose loading does not end. Python handles a signal between two
# instructions, so one that comes just before a single long sleep would be handled when that ends.
LOADS = """
import os, time

os.write(1, b"loads\\n")
while True:
    time.sleep(0.1)
"""
URL = re.compile(r"https?://(\[[^\]]+\]|[^:/\s]+):(\d+)\b")


_prctl = ctypes.CDLL(None).prctl if sys.platform.startswith("linux") else None


def die_with_parent() -> None:
    """Runs in a new process, so that a killed test run leaves no servers.

    Also restores the default of SIGINT, which shells ignore in background processes.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if _prctl is not None:
        _prctl(1, int(signal.SIGKILL), 0, 0, 0)  # PR_SET_PDEATHSIG


def suspend(process: int) -> None:
    """Stop a process by SIGSTOP, and wait until all its threads have stopped."""
    os.kill(process, signal.SIGSTOP)
    threads = Path(f"/proc/{process}/task")
    end = time.monotonic() + PATIENCE
    while any(
        (each / "stat").read_text().rpartition(")")[2].split()[0] != "T"
        for each in threads.iterdir()
    ):
        assert time.monotonic() < end, f"process {process} does not stop"
        os.sched_yield()


def states(process: int) -> str:
    """The states of this process and those below it, and the signals they have not handled."""
    told = ("Name", "State", "Threads", "SigPnd", "ShdPnd", "SigBlk", "SigIgn", "SigCgt")
    text = ""
    below = [process]
    for pid in below:
        try:
            lines = Path(f"/proc/{pid}/status").read_text().splitlines()
            below += sorted(children(pid))
        except OSError:
            continue  # it has ended
        facts = [line for line in lines if line.partition(":")[0] in told]
        text += f"--- process {pid}: {'; '.join(facts)}\n"
    return text.replace("\t", " ")


class Running:
    """`python -m carboy …` (or another command line), its output, and a client for it.

    `carboy run` and `carboy dev` are forked from a process that has imported their modules, unless
    the process is to be `fresh`: a third of a second of the processor less.
    """

    def __init__(
        self,
        *args: str,
        cwd: Path,
        env: dict[str, str] | None = None,
        command: tuple[str, ...] = ("-m", "carboy"),
        fresh: bool = False,
        **options: Any,
    ) -> None:
        ours = ("CARBOY_", "FLASK_")
        clean = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
        clean = {k: v for k, v in clean.items() if k not in PLATFORM}
        clean |= {"PYTHONUNBUFFERED": "1", "PYTHONPATH": "", **(env or {})}
        plain = command == ("-m", "carboy") and args[:1] in (("run",), ("dev",)) and not options
        self.process: Any
        if plain and not fresh and _may_be_forked(clean, cwd):
            self.process = _forked(list(args), cwd, clean)
        else:
            self.process = subprocess.Popen(
                [sys.executable, *command, *args],
                cwd=cwd,
                env=clean,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - only a system call
                **options,
            )
        self.out: list[str] = []
        self.err: list[str] = []
        self._changed = threading.Condition()
        self._open = 2
        pairs = ((self.process.stdout, self.out), (self.process.stderr, self.err))
        self._readers = [threading.Thread(target=self._read, args=pair) for pair in pairs]
        for reader in self._readers:
            reader.start()

    def _read(self, stream: Any, lines: list[str]) -> None:
        for line in stream:
            with self._changed:
                lines.append(line)
                self._changed.notify_all()
        with self._changed:
            self._open -= 1
            self._changed.notify_all()

    @property
    def pid(self) -> int:
        return int(self.process.pid)

    def until(self, done: Callable[[], Any], what: str) -> Any:
        """Wait for a condition that depends on the output."""
        with self._changed:
            self._changed.wait_for(lambda: done() or self._open == 0, PATIENCE)
            result = done()
        assert result, f"no {what}:\n{self.text()}"
        return result

    def line(self, part: str, count: int = 1) -> str:
        """Wait for the count-th line that contains `part`, on either stream."""

        def found() -> list[str]:
            return [line for line in self.out + self.err if part in line][count - 1 : count]

        return str(self.until(found, f"line with {part!r}")[0])

    def text(self) -> str:
        return "--- out\n" + "".join(self.out) + "--- err\n" + "".join(self.err)

    def address(self) -> tuple[str, int]:
        """Host and port, from the banner."""
        found = URL.search(self.until(lambda: next(filter(URL.search, self.err), ""), "address"))
        assert found is not None
        return found[1].strip("[]"), int(found[2])

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(*self.address(), timeout=PATIENCE)

    def get(self, path: str = "/") -> tuple[int, bytes]:
        connection = self.connect()
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def wait(self) -> int:
        try:
            code = int(self.process.wait(PATIENCE))
        except subprocess.TimeoutExpired:
            raise AssertionError(f"does not end:\n{states(self.pid)}{self.text()}") from None
        for reader in self._readers:
            reader.join(PATIENCE)
        return code

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.send(number)
        return self.wait()

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *exc: object) -> None:
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait(PATIENCE)
        for reader in self._readers:
            reader.join(PATIENCE)
            # While a thread reads from a stream, `close` waits for it, and no signal ends that.
            assert not reader.is_alive(), f"a process still has the output open:\n{self.text()}"
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()


def _may_be_forked(env: dict[str, str], cwd: Path) -> bool:
    """Whether Python itself would start in the same way with these variables."""
    if any((cwd / each / "sitecustomize.py").exists() for each in env["PYTHONPATH"].split(":")):
        return False
    different = {name for name, value in env.items() if value != os.environ.get(name)}
    changed = {name for name in different if name.startswith(AT_THE_START)}
    return changed <= {"PYTHONPATH", "PYTHONUNBUFFERED"}


def _forked(args: list[str], cwd: Path, env: dict[str, str]) -> Any:
    """`python -m carboy`, forked from a process that has imported its modules."""
    import ready_commands

    out, out_end = os.pipe()
    err, err_end = os.pipe()
    asked = {"args": args, "cwd": str(cwd), "env": env, "session": True}
    with (
        open(os.devnull) as nothing,
        os.fdopen(out_end, "w") as one,
        os.fdopen(err_end, "w") as two,
    ):
        process = ready_commands.ready("servers").start(asked, nothing, one, two)
    process.stdout, process.stderr = os.fdopen(out), os.fdopen(err)
    return process


def in_a_fresh_process(test: Callable[..., None]) -> Callable[..., None]:
    """Run a test in a process without threads, so that it may fork. Its arguments are pickled."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        if multiprocessing.parent_process() is not None:
            test(*args, **kwargs)
            return
        context = multiprocessing.get_context("spawn")
        file = inspect.getfile(test)
        process = context.Process(target=_run_of, args=(file, test.__name__, args, kwargs))
        process.start()
        process.join(PATIENCE)
        if process.is_alive():
            process.kill()
            process.join(PATIENCE)
        assert process.exitcode == 0, "The test failed in its process; see standard error."

    return run


def _run_of(file: str, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    runpy.run_path(file)[name](*args, **kwargs)


def alive(pid: int) -> bool:
    """Whether a process is running. A zombie is not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def children(pid: int) -> set[int]:
    """The processes that `pid` has started, from any of its threads."""
    found: set[int] = set()
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            found |= set(map(int, (task / "children").read_text().split()))
        except OSError:
            pass  # a thread that has ended
    return found


def await_gone(pid: int) -> None:
    """Wait for the end of a process that is not a child."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        import select

        ended, _, _ = select.select([handle], [], [], PATIENCE)
        assert ended, f"process {pid} is still there"
    finally:
        os.close(handle)


def carboy(folder: Path, *args: str, code: int = 0, **env: str) -> str:
    """The output of `carboy …`, which has to end with `code`."""
    import ready_commands

    assert not any(name.startswith(AT_THE_START) for name in env)
    done = ready_commands.run(args, folder, {"PATH": "", **env})
    assert done.returncode == code, done.stderr + done.stdout
    return done.stdout + done.stderr


def free_port() -> int:
    """A free port that the kernel does not give to other sockets meanwhile."""
    while True:
        port = random.SystemRandom().randrange(20000, 32000)
        with contextlib.suppress(OSError), socket.socket() as sock:
            sock.bind(("127.0.0.1", port))
            return port
