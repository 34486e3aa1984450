"""The application that is served: ordinary routes, and one for each way to misbehave.

One text for Flask and for Carboy. What happens at import is told by files in CHAOS_FOLDER.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

HELLO = "Hello, World!"
WAIT_SECONDS = 0.02
FOLDER = Path(os.environ.get("CHAOS_FOLDER", "/nonexistent"))
HANG = "hang"  # a file of this name: the import never ends
CRASH = "crash"  # the import raises
SUICIDE = "suicide"  # the process ends as if it had been killed


def page(number: int) -> bytes:
    """64 KiB that depend on `number`."""
    return (b"%09d\n" % number) * 6554


def obey() -> None:
    """Do at import what the folder says."""
    if (FOLDER / CRASH).exists():
        raise RuntimeError("The application cannot be loaded.")
    if (FOLDER / SUICIDE).exists():
        os.kill(os.getpid(), signal.SIGKILL)
    while (FOLDER / HANG).exists():
        time.sleep(0.05)


def build(framework: ModuleType) -> Any:
    """The application written with the names of `framework` (flask or carboy)."""
    obey()
    app = framework.Flask("bench.chaos")
    ordinary(app, framework.request)
    troubles(app)
    return app


def ordinary(app: Any, request: Any) -> None:
    @app.get("/")
    def hello() -> str:
        return HELLO

    @app.get("/double/<int:number>")
    def double(number: int) -> str:
        return str(2 * number)

    @app.post("/reverse")
    def reverse() -> bytes:
        content: bytes = request.get_data()
        return content[::-1]

    @app.get("/wait/<int:number>")
    def wait(number: int) -> str:
        time.sleep(WAIT_SECONDS)
        return f"waited {number}"

    @app.get("/page/<int:number>")
    def large(number: int) -> bytes:
        return page(number)

    @app.get("/pid")
    def pid() -> str:
        return str(os.getpid())


def troubles(app: Any) -> None:
    @app.get("/die")
    def die() -> str:
        os.kill(os.getpid(), signal.SIGKILL)
        return "still alive"

    @app.get("/stick")
    def stick() -> str:
        """Hold the interpreter lock in C, for longer than anybody waits."""
        return str(re.match(r"(a+)+$", "a" * 60 + "b"))

    @app.get("/sleep/<float:seconds>")
    def sleep(seconds: float) -> str:
        time.sleep(seconds)
        return f"slept {seconds}"

    @app.get("/fail")
    def fail() -> str:
        raise RuntimeError("This view fails.")

    @app.get("/print/<int:lines>")
    def shout(lines: int) -> str:
        for _ in range(lines):
            print("x" * 200, file=sys.stderr)
        return f"printed {lines}"
