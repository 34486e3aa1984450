"""A server with channels for tests: two workers as real processes, and requests to them."""

from __future__ import annotations

import atexit
import http.client
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from running import PATIENCE, Running

APPLICATIONS = Path(__file__).parent / "realtime"


@cache
def runtime_folder(folder: Path) -> str:
    """The folder for the sockets of a project: its own path may be too long for a socket."""
    found = tempfile.mkdtemp(prefix="carboy-")
    atexit.register(shutil.rmtree, found, ignore_errors=True)
    return found


def clean_environ(folder: Path) -> dict[str, str]:
    """The environment of a server or script of the project in `folder`."""
    found = {k: v for k, v in os.environ.items() if not k.startswith(("CARBOY_", "FLASK_"))}
    return found | {"XDG_RUNTIME_DIR": runtime_folder(folder), "PYTHONPATH": str(APPLICATIONS)}


def start(folder: Path, *options: str, workers: int = 2, app: str = "channel_app:app") -> Running:
    """A server of channel_app.py, whose project is `folder`."""
    (folder / "pyproject.toml").touch()
    return Running(
        "run", app, "--port", "0", "--workers", str(workers), *options,
        cwd=folder, env=clean_environ(folder),
    )  # fmt: skip


def post(address: tuple[str, int], path: str, body: str = "") -> bytes:
    """The content of the response, which has to be 200."""
    connection = http.client.HTTPConnection(*address, timeout=PATIENCE)
    try:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST", path, body.encode(), headers)
        response = connection.getresponse()
        content = response.read()
        assert response.status == 200, content
        return content
    finally:
        connection.close()


def until(found: Callable[[], Any], what: str) -> Any:
    """Ask again until it is true."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if result := found():
            return result
        time.sleep(0.02)
    raise AssertionError(f"waited in vain: {what}")
