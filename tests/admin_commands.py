"""Commands to a running server, in this process, and servers for them in processes of their own."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from running import Running

APP = """
import ctypes, os, threading, time
from carboy import Carboy

app = Carboy(__name__)

@app.get("/")
def index():
    return "hello"

@app.get("/pid")
def pid():
    return str(os.getpid())

@app.get("/lock")
def lock():
    print("locks now", flush=True)
    sleep = ctypes.PyDLL(None).sleep  # holds the interpreter lock
    sleep(600)

@app.get("/waits")
def waits():
    print("waits now", flush=True)
    while not os.path.exists("go"):
        time.sleep(0.02)
    return "went"
"""


class Project:
    """The folder of an application, with the user's folder for sockets in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = {"XDG_RUNTIME_DIR": str(folder)}
        (folder / "shop.py").write_text(APP)

    def serve(self, *args: str, **env: str) -> Running:
        server = Running(
            "run", "shop:app", "--port", "0", *args, cwd=self.folder, env={**self.env, **env}
        )
        server.address()
        return server

    def invoke(self, command: click.Command, *args: str) -> Result:
        return CliRunner().invoke(command, args, catch_exceptions=False)

    def run(self, command: click.Command, *args: str) -> str:
        """The output of a command that succeeds."""
        found = self.invoke(command, *args)
        assert found.exit_code == 0, found.output
        return found.output

    def value(self, command: click.Command, *args: str) -> Any:
        """The output of a command with --json."""
        return json.loads(self.run(command, *args, "--json"))

    def error(self, command: click.Command, *args: str) -> str:
        """The error of a command that fails."""
        found = self.invoke(command, *args)
        assert found.exit_code == 1, found.output
        return found.output


@pytest.fixture
def project(monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    # The path of a unix socket has 107 bytes at most, and that of `tmp_path` has the test's name.
    folder = Path(tempfile.mkdtemp(prefix="carboy-"))
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    # Servers of other tests have their sockets in the usual folder.
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield Project(folder)
    (folder / "go").touch()
    monkeypatch.undo()
    shutil.rmtree(folder, ignore_errors=True)
