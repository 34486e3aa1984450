"""WebSockets in `carboy status` and `carboy stacks`: where they wait, and on what."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest
from websockets.sync.client import connect

from admin_commands import Project, project
from carboy.cli.admin.stacks import command as stacks
from carboy.cli.admin.status import command as status

__all__ = ["project"]

CARBOY = """
from carboy import Carboy

app = Carboy(__name__)

@app.websocket("/rooms/<name>")
async def room(ws, name):
    await ws.send("open")
    await talk(ws)

async def talk(ws):
    async for message in ws:
        await ws.send(message)

@app.websocket("/plain")
def plain(ws):
    ws.send("open")
    for message in ws:
        ws.send(message)
"""

ASGI = """
async def app(scope, receive, send):
    if scope["type"] != "websocket":
        return
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": "open"})
    await talk(receive)

async def talk(receive):
    while (await receive())["type"] != "websocket.disconnect":
        pass
"""


def until(project: Project, condition: Callable[[list[Any]], Any]) -> list[Any]:
    """The entries of the only worker, once a condition holds."""
    for _ in range(2000):
        found = project.value(status, "--timeout", "30")["workers"][0]["requests"]
        if condition(found):
            return list(found)
    raise AssertionError(found)


@pytest.mark.parametrize("kind", ["carboy", "asgi"])
def test_websockets_of_coroutines_are_shown_together_with_their_place(
    project: Project, kind: str
) -> None:
    (project.folder / "shop.py").write_text(CARBOY if kind == "carboy" else ASGI)
    with project.serve() as server, ExitStack() as clients:
        host, port = server.address()
        for _ in range(3):
            client = clients.enter_context(connect(f"ws://{host}:{port}/rooms/a"))
            assert client.recv() == "open"
        (entry,) = until(project, lambda found: found and found[0]["at"]["function"] == "talk")
        assert (entry["state"], entry["count"]) == ("websocket", 3)
        assert re.search(
            r"websocket +3 x GET /rooms/a HTTP/1.1 +shop.py:\d+ talk", project.run(status)
        )
        text = project.run(stacks)
        assert "3 WebSockets in a coroutine that waits" in text
        assert "3 coroutines; the oldest is Task-" in text
        assert text.count("in talk\n") == 1


def test_a_websocket_that_holds_a_thread_is_shown_with_it(project: Project) -> None:
    (project.folder / "shop.py").write_text(CARBOY)
    with project.serve() as server:
        host, port = server.address()
        with connect(f"ws://{host}:{port}/plain") as client:
            assert client.recv() == "open"
            (entry,) = until(project, lambda found: found and found[0]["thread"])
            assert entry["thread"] == "carboy-websocket"
            assert entry["at"]["function"] == "plain"
            text = project.run(stacks)
            assert "1 with a WebSocket" in text
            assert "Thread carboy-websocket, GET /plain HTTP/1.1" in text
            assert "in plain\n    for message in ws:" in text
