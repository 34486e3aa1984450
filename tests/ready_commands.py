"""`carboy …` in processes that are forked from one that has already imported the command line.

Each command has its own process, folder, environment and output, as if a user had started it. The
modules of the commands are imported, and those that nearly every application needs. To import them
takes longer than most of what the tests look at. Flask and Werkzeug are not among them, because
`--flask` gives Carboy their names. Run as a file, this module is the process that forks.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from contextlib import chdir
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import IO, Any

IMPORTED = (
    "carboy.cli.main", "carboy.cli.explain", "carboy.cli.learn.command", "carboy.app.app",
    "asyncio", "concurrent.futures.thread", "itsdangerous", "jinja2.loaders",
)  # fmt: skip
PATIENCE = 200.0  # seconds for a command, far more than any takes


def run(
    args: list[str], cwd: Path, env: dict[str, str], typed: str = ""
) -> subprocess.CompletedProcess[str]:
    """The exit code and the output of `python -m carboy` with these arguments and this input."""
    with tempfile.TemporaryDirectory() as name:
        given, out, err = Path(name, "in"), Path(name, "out"), Path(name, "err")
        given.write_text(typed)
        asked = {"args": args, "cwd": str(cwd), "env": env}
        asked |= {"given": str(given), "out": str(out), "err": str(err)}
        code = _ready().run(asked)
        return subprocess.CompletedProcess(args, code, out.read_text(), err.read_text())


def run_here(args: list[str], cwd: Path) -> subprocess.CompletedProcess[str]:
    """The same for a command that is refused before it loads an application: in this process."""
    from click.testing import CliRunner

    from carboy.cli.main import make_group

    with chdir(cwd):
        done = CliRunner().invoke(make_group(), args)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return subprocess.CompletedProcess(args, done.exit_code, done.stdout, done.stderr)


class Ready:
    """The process that forks."""

    def __init__(self) -> None:
        from running import die_with_parent

        # The environment decides the encodings of Python, so it is like that of the commands.
        self._process = subprocess.Popen(
            [sys.executable, __file__], env={"PATH": ""}, text=True, cwd="/",
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - only a system call
        )  # fmt: skip
        atexit.register(self.close)

    def run(self, asked: dict[str, Any]) -> int:
        """The exit code of a command."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        pid = int(self._process.stdout.readline())
        ready, _, _ = select.select([self._process.stdout], [], [], PATIENCE)
        if not ready:
            os.kill(pid, signal.SIGKILL)
        code = int(self._process.stdout.readline())
        if not ready:
            said = Path(asked["out"]).read_text() + Path(asked["err"]).read_text()
            raise AssertionError(f"{asked['args']} took longer than {PATIENCE:g} s:\n{said}")
        return code

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


@cache
def _ready() -> Ready:
    return Ready()


def _serve(questions: IO[str], answers: IO[str]) -> None:
    """Fork for each question. This function returns in the child, and at the last question."""
    for line in questions:
        asked = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _become(asked)
            return
        print(pid, file=answers, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), file=answers, flush=True)
    os._exit(0)


def _become(asked: dict[str, Any]) -> None:
    """Make this process the one that `python -m carboy` starts."""
    import carboy.__main__

    for number, file in ((0, asked["given"]), (1, asked["out"]), (2, asked["err"])):
        flags = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT
        opened = os.open(file, flags, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["env"])
    sys.argv = [carboy.__main__.__file__, *asked["args"]]
    sys.path[0] = asked["cwd"]


if __name__ == "__main__":
    for module in IMPORTED:
        import_module(module)
    from carboy.__main__ import main

    _serve(os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w"))
    main()
