"""Requests in coroutines that wait, and those of workers that do not answer."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

import pytest

from admin_commands import Project, project
from carboy.cli.admin.stacks import command as stacks
from carboy.cli.admin.status import command as status
from running import PATIENCE

__all__ = ["project"]

VIEW = """
import asyncio

async def until_it_goes():
    while not os.path.exists("go"):
        await asyncio.sleep(0.05)

@app.get("/awaits")
async def awaits():
    await until_it_goes()
    return "went"
"""

ASGI = """
import asyncio, os

async def until_it_goes():
    while not os.path.exists("go"):
        await asyncio.sleep(0.05)

async def app(scope, receive, send):
    if scope["type"] == "http":
        await until_it_goes()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"went"})
"""


def until_awaiting(project: Project) -> dict[str, Any]:
    """The request in flight, once its coroutine waits."""
    for _ in range(2000):
        found = project.value(status, "--timeout", "30")
        for worker in found["workers"]:
            for each in worker["requests"]:
                if each["at"] and each["at"]["function"] == "until_it_goes":
                    return dict(each)
    raise AssertionError("no coroutine that waits")


@pytest.mark.parametrize("kind", ["view", "asgi"])
def test_the_place_where_a_coroutine_waits_is_shown(project: Project, kind: str) -> None:
    with (project.folder / "shop.py").open("a" if kind == "view" else "w") as file:
        file.write(VIEW if kind == "view" else ASGI)
    with project.serve() as server:
        asking = threading.Thread(target=server.get, args=("/awaits",))
        asking.start()
        request = until_awaiting(project)
        assert (request["request"], request["state"]) == ("GET /awaits HTTP/1.1", "awaiting")
        assert "until_it_goes" in project.run(status)
        text = project.run(stacks)
        assert "1 request in a coroutine that waits" in text
        assert "Coroutine Task-" in text and "await asyncio.sleep(0.05)" in text
        (project.folder / "go").touch()
        asking.join(PATIENCE)


def test_the_request_that_was_read_last_is_shown_for_a_worker_that_holds_the_lock(
    project: Project,
) -> None:
    with project.serve("--worker-timeout", "0") as server:
        asking = threading.Thread(target=_ask, args=(server,))
        asking.start()
        server.line("locks now")
        text = project.run(status, "--timeout", "0.5")
        worker = project.value(status, "--timeout", "0")["workers"][0]["pid"]
        line = next(line for line in text.splitlines() if "GET /lock" in line)
        assert "read last" in line or "running" in line
        server.send(signal.SIGKILL)
        os.kill(worker, signal.SIGKILL)
        asking.join(PATIENCE)


def _ask(server: Any) -> None:
    try:
        server.get("/lock")
    except OSError:
        pass
    except Exception as error:
        assert "Remote" in type(error).__name__
