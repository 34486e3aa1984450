"""Applications for the tests of `carboy explain --from-start`, and what the command shows."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

import ready_commands

THEIRS = """
from flask import Flask, request

app = Flask(__name__)

@app.get("/hello/<name>")
def hello(name):
    return f"Hello {name}, this is {request.headers['User-Agent']}"

@app.get("/fail")
def fail():
    return 1 / 0

app.run(port=1)  # does nothing while a command loads the application

def make():
    return app
"""
PLAIN = """
import sys

def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]

def hangs(environ, start_response):
    import os, threading
    with open("pid.tmp", "w") as file:
        file.write(str(os.getpid()))
    os.rename("pid.tmp", "pid")
    threading.Event().wait()

def fails(environ, start_response):
    start_response("200 OK", [])
    yield b"one"
    raise ValueError("midway")

def keeps(environ, start_response):
    import threading, time
    threading.Thread(target=time.sleep, args=(600,)).start()
    return app(environ, start_response)

def ends(environ, start_response):
    import os
    print("last words", flush=True)
    os._exit(3)
"""
# The calls that must be there, in this order, with the function that makes each of them.
TO_HELLO = ("GET", "/hello/bob", "-H", "User-Agent: me")
STEP = re.compile(
    r"^ +(\d+)\. (.+)\n      (\S+)(?: \(.*?\))?  (.+)(?:\n      called by (.+), (\S.*):(\d+))?",
    re.MULTILINE,
)


@dataclass
class Step:
    number: int
    title: str
    name: str
    where: str
    caller: str
    file: str
    line: int


class Recordings:
    """Recordings of one request for each server, made when a test needs them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "theirs.py").write_text(THEIRS)
        self._texts: dict[str, str] = {}

    def file(self, server: str) -> str:
        """The file of a recording."""
        name = f"{server}.json"
        if not (self.folder / name).exists():
            if importlib.util.find_spec(server) is None:
                pytest.skip(f"{server} is not installed")
            args = ("theirs:make()", *TO_HELLO, "-H", "Cookie: a=hunter2", f"--server={server}")
            said = explain(self.folder, *args, "--save", name)
            assert said == f"Wrote {name}.\n"
        return name

    def text(self, server: str) -> str:
        """The text that is shown of it."""
        if server not in self._texts:
            self._texts[server] = self.show("--recording", self.file(server))
        return self._texts[server]

    def show(self, *args: str, code: int = 0) -> str:
        """The output of `carboy explain`."""
        return explain(self.folder, *args, code=code, how=())


def explain(
    folder: Path, *args: str, code: int = 0, how: tuple[str, ...] = ("--from-start",)
) -> str:
    env = {"PATH": "", "HOME": str(folder)}
    done = ready_commands.run(["explain", *args, *how], folder, env)
    assert done.returncode == code, done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def steps_of(text: str) -> list[Step]:
    found = [
        Step(int(number), title, name, where, caller, file, int(line or 0))
        for number, title, name, where, caller, file, line in STEP.findall(text)
    ]
    assert [step.number for step in found] == list(range(1, len(found) + 1)), text
    return found


def assert_in_order(steps: list[Step], wanted: list[tuple[str, str]]) -> None:
    rest = iter(steps)
    for name, caller in wanted:
        assert any(step.name == name and (not caller or step.caller == caller) for step in rest), (
            f"{name} is missing or too early"
        )
