"""WebSockets of Litestar, Quart, BlackSheep and Channels on a real engine."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import blacksheep as blacksheep_module
import litestar as litestar_module
import pytest
from litestar.exceptions import PermissionDeniedException
from quart import Quart, abort, websocket
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from live_asgi import served_asgi
from running import Running

Served = tuple[str, Callable[[], object]]  # the address, and what waits for the end of an echo
PATIENCE = 30
left: queue.Queue[Any] = queue.Queue()


def quart() -> Any:
    app = Quart(__name__)

    @app.websocket("/echo/<name>")
    async def echo(name: str) -> None:
        await websocket.accept(subprotocol="talk")
        try:
            while True:
                await websocket.send(f"{name}: {await websocket.receive()}")
        finally:
            left.put("left")

    @app.websocket("/refused")
    async def refused() -> None:
        abort(403)

    @app.websocket("/closes")
    async def closes() -> None:
        await websocket.accept()
        await websocket.close(4000, "enough")

    return app


def litestar() -> Any:
    @litestar_module.websocket("/echo/{name:str}")
    async def echo(socket: litestar_module.WebSocket[Any, Any, Any]) -> None:
        await socket.accept(subprotocols="talk")
        try:
            while True:
                text = await socket.receive_text()
                await socket.send_text(f"{socket.path_params['name']}: {text}")
        finally:
            left.put("left")

    @litestar_module.websocket("/refused")
    async def refused(socket: litestar_module.WebSocket[Any, Any, Any]) -> None:
        raise PermissionDeniedException

    @litestar_module.websocket("/closes")
    async def closes(socket: litestar_module.WebSocket[Any, Any, Any]) -> None:
        await socket.accept()
        await socket.close(4000, "enough")

    return litestar_module.Litestar([echo, refused, closes])


def blacksheep() -> Any:
    app = blacksheep_module.Application()

    @app.router.ws("/echo/{name}")
    async def echo(websocket: blacksheep_module.WebSocket, name: str) -> None:
        await websocket.accept(subprotocol="talk")
        try:
            while True:
                await websocket.send_text(f"{name}: {await websocket.receive_text()}")
        finally:
            left.put("left")

    @app.router.ws("/refused")
    async def refused(websocket: blacksheep_module.WebSocket) -> None:
        await websocket.close()

    @app.router.ws("/closes")
    async def closes(websocket: blacksheep_module.WebSocket) -> None:
        await websocket.accept()
        await websocket.close(4000, "enough")

    return app


# In a process of its own, because a process has one configuration of Django.
CHANNELS = """
from django.conf import settings

settings.configure(SECRET_KEY="test")

from channels.exceptions import DenyConnection
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.routing import URLRouter
from django.urls import path


class Echo(AsyncWebsocketConsumer):
    async def connect(self):
        await self.accept("talk")

    async def receive(self, text_data=None, bytes_data=None):
        name = self.scope["url_route"]["kwargs"]["name"]
        await self.send(text_data=f"{name}: {text_data}")

    async def disconnect(self, code):
        print("left", flush=True)


class Refused(AsyncWebsocketConsumer):
    async def connect(self):
        raise DenyConnection


class Closes(AsyncWebsocketConsumer):
    async def connect(self):
        await self.accept()
        await self.close(4000, "enough")


app = URLRouter(
    [
        path("echo/<str:name>", Echo.as_asgi()),
        path("refused", Refused.as_asgi()),
        path("closes", Closes.as_asgi()),
    ]
)
"""


@contextmanager
def in_this_process(app: Any) -> Iterator[Served]:
    with served_asgi(app) as live:
        yield f"ws://127.0.0.1:{live.port}", lambda: left.get(timeout=PATIENCE)


@contextmanager
def in_a_process(program: str, folder: Path) -> Iterator[Served]:
    (folder / "program.py").write_text(program)
    options = ("--port", "0", "--workers", "1")
    with Running("run", "program:app", *options, cwd=folder) as server:
        host, port = server.address()
        yield f"ws://{host}:{port}", lambda: server.line("left")


@pytest.fixture(scope="module", params=["quart", "litestar", "blacksheep", "channels"])
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    if request.param == "channels":
        pytest.importorskip("channels")
        serving = in_a_process(CHANNELS, tmp_path_factory.mktemp("channels"))
    else:
        serving = in_this_process(globals()[request.param]())
    with serving as found:
        yield found


@pytest.fixture
def address(served: Served) -> str:
    return served[0]


def test_messages_go_both_ways_and_the_end_is_noticed(served: Served) -> None:
    address, end = served
    with connect(
        f"{address}/echo/Ann", subprotocols=["talk", "other"], open_timeout=PATIENCE
    ) as websocket:
        assert websocket.subprotocol == "talk"
        for number in range(10):
            websocket.send(f"{number}" * 300)
            assert websocket.recv(PATIENCE) == "Ann: " + f"{number}" * 300
    end()


def test_a_handshake_is_refused_with_403(address: str) -> None:
    with pytest.raises(InvalidStatus) as caught:
        connect(f"{address}/refused", open_timeout=PATIENCE).__enter__()
    assert caught.value.response.status_code == 403


def test_the_code_and_reason_of_the_application_arrive(address: str) -> None:
    with (
        connect(f"{address}/closes", open_timeout=PATIENCE) as websocket,
        pytest.raises(ConnectionClosed) as caught,
    ):
        websocket.recv(PATIENCE)
    assert caught.value.rcvd is not None
    assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (4000, "enough")
