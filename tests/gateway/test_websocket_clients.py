"""WebSocket clients and frameworks that people use, against a real engine."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest
import websocket as websocket_client
import websockets.asyncio.client
import websockets.exceptions
import websockets.sync.client
from fastapi import Depends, FastAPI, WebSocket, WebSocketDisconnect, WebSocketException
from starlette.applications import Starlette
from starlette.endpoints import WebSocketEndpoint
from starlette.responses import PlainTextResponse
from starlette.routing import WebSocketRoute

from live_asgi import served_asgi
from live_engine import eventually

PATIENCE = 30
gone: list[Any] = []


@contextlib.asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, str]]:
    yield {"greeting": "Hello"}


api = FastAPI(lifespan=lifespan)


@api.websocket("/echo")
async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    try:
        while True:
            message = await websocket.receive()
            if message["type"] == "websocket.disconnect":
                gone.append(message["code"])
                return
            if message.get("text") is not None:
                await websocket.send_text(message["text"])
            else:
                await websocket.send_bytes(message["bytes"])
    except WebSocketDisconnect as error:
        gone.append(error.code)


@api.websocket("/state/{name}")
async def state(websocket: WebSocket, name: str, word: str = "") -> None:
    await websocket.accept(subprotocol="json", headers=[(b"x-name", name.encode())])
    await websocket.send_json({"text": f"{websocket.state.greeting}, {name}", "word": word})
    await websocket.close(3000, "enough")


def known(token: str = "") -> str:
    if token != "secret":
        raise WebSocketException(1008, "Unknown.")
    return token


@api.websocket("/guarded")
async def guarded(websocket: WebSocket, token: str = Depends(known)) -> None:
    await websocket.accept()
    await websocket.send_text(token)


@api.websocket("/denied")
async def denied(websocket: WebSocket) -> None:
    await websocket.send_denial_response(PlainTextResponse("Log in first.", 401))


@api.websocket("/raises")
async def raises(websocket: WebSocket) -> None:
    await websocket.accept()
    raise ValueError("broken")


@api.websocket("/numbers")
async def numbers(websocket: WebSocket) -> None:
    await websocket.accept()
    with contextlib.suppress(WebSocketDisconnect):
        for number in range(1_000_000):
            await websocket.send_text(f"{number} " + "x" * 10_000)
    gone.append("numbers")


@pytest.fixture(scope="module")
def served() -> Any:
    with served_asgi(api) as live:
        yield live


@pytest.fixture(autouse=True)
def forget() -> None:
    gone.clear()


def url(live: Any, path: str) -> str:
    return f"ws://127.0.0.1:{live.port}{path}"


def connect(live: Any, path: str, **options: Any) -> Any:
    return websockets.sync.client.connect(url(live, path), open_timeout=PATIENCE, **options)


@pytest.mark.parametrize("compression", ["deflate", None])
def test_websockets_with_asyncio(served: Any, compression: str | None) -> None:
    messages: list[Any] = ["grüße", b"\0\xff", "", "x" * 100_000, b"y" * (1 << 20)]

    async def talk() -> list[Any]:
        async with websockets.asyncio.client.connect(
            url(served, "/echo"), compression=compression, max_size=None, open_timeout=PATIENCE
        ) as websocket:
            found = []
            for message in messages:
                await websocket.send(message)
                found.append(await websocket.recv())
            await websocket.send(["in ", "fragments"])
            found.append(await websocket.recv())
            waiter = await websocket.ping()
            await waiter
            return found

    assert asyncio.run(talk()) == [*messages, "in fragments"]
    eventually(lambda: gone[-1:] == [1000])  # those of other tests may come late


@pytest.mark.parametrize("compression", ["deflate", None])
def test_websockets_with_threads(served: Any, compression: str | None) -> None:
    with connect(served, "/echo", compression=compression) as websocket:
        for number in range(100):
            websocket.send(f"{number}" * 100)
            assert websocket.recv(PATIENCE) == f"{number}" * 100


def test_websocket_client(served: Any) -> None:
    websocket = websocket_client.create_connection(url(served, "/echo"), timeout=PATIENCE)
    websocket.send("text")
    assert websocket.recv() == "text"
    websocket.send_binary(b"\x00" * 70_000)
    assert websocket.recv() == b"\x00" * 70_000
    websocket.ping("now")
    opcode, frame = websocket.recv_data_frame(control_frame=True)
    assert (opcode, frame.data) == (websocket_client.ABNF.OPCODE_PONG, b"now")
    websocket.close(4000)
    eventually(lambda: gone[-1:] == [4000])  # those of other tests may come late


def test_a_hundred_clients_at_once(served: Any) -> None:
    async def one(number: int) -> None:
        async with websockets.asyncio.client.connect(
            url(served, "/echo"), open_timeout=PATIENCE, ping_timeout=None
        ) as websocket:
            for turn in range(5):
                await websocket.send(f"{number} {turn}")
                assert await websocket.recv() == f"{number} {turn}"

    async def all_of_them() -> None:
        await asyncio.gather(*(one(number) for number in range(100)))

    asyncio.run(all_of_them())
    eventually(lambda: gone == [1000] * 100)


def test_fastapi_has_path_query_state_subprotocol_and_headers(served: Any) -> None:
    with connect(served, "/state/Ann?word=yes", subprotocols=["json"]) as websocket:
        assert websocket.subprotocol == "json"
        assert websocket.response.headers["x-name"] == "Ann"
        assert websocket.recv(PATIENCE) == '{"text":"Hello, Ann","word":"yes"}'
        with pytest.raises(websockets.exceptions.ConnectionClosed) as caught:
            websocket.recv(PATIENCE)
        assert caught.value.rcvd is not None
        assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (3000, "enough")


def test_a_dependency_of_fastapi_refuses_before_the_accept(served: Any) -> None:
    with pytest.raises(websockets.exceptions.InvalidStatus) as caught:
        connect(served, "/guarded?token=wrong")
    assert caught.value.response.status_code == 403
    with connect(served, "/guarded?token=secret") as websocket:
        assert websocket.recv(PATIENCE) == "secret"


def test_a_path_that_does_not_exist_is_a_403(served: Any) -> None:
    with pytest.raises(websockets.exceptions.InvalidStatus) as caught:
        connect(served, "/nothing")
    assert caught.value.response.status_code == 403


def test_a_denial_response_of_starlette_is_sent(served: Any) -> None:
    with pytest.raises(websockets.exceptions.InvalidStatus) as caught:
        connect(served, "/denied")
    assert caught.value.response.status_code == 401
    assert caught.value.response.body == b"Log in first."


def test_an_exception_of_an_endpoint_is_1011(served: Any) -> None:
    with (
        connect(served, "/raises") as websocket,
        pytest.raises(websockets.exceptions.ConnectionClosedError) as caught,
    ):
        websocket.recv(PATIENCE)
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 1011


def test_an_endpoint_that_sends_ends_when_its_client_leaves(served: Any) -> None:
    with connect(served, "/numbers", compression=None) as websocket:
        assert str(websocket.recv(PATIENCE)).startswith("0 ")
        websocket.socket.shutdown(socket.SHUT_RDWR)
    eventually(lambda: gone == ["numbers"])


def test_an_endpoint_class_of_starlette() -> None:
    class Upper(WebSocketEndpoint):
        encoding = "text"

        async def on_receive(self, websocket: Any, data: str) -> None:
            await websocket.send_text(data.upper())

        async def on_disconnect(self, websocket: Any, close_code: int) -> None:
            gone.append(close_code)

    app = Starlette(routes=[WebSocketRoute("/", Upper)])
    with served_asgi(app) as live:
        with connect(live, "/") as websocket:
            websocket.send("abc")
            assert websocket.recv(PATIENCE) == "ABC"
            websocket.close(4321)
        eventually(lambda: gone[-1:] == [4321])  # those of other tests may come late


def test_a_chat_reaches_all_members() -> None:
    members: set[Any] = set()

    async def chat(websocket: WebSocket) -> None:
        await websocket.accept()
        members.add(websocket)
        try:
            async for text in websocket.iter_text():
                for member in list(members):
                    await member.send_text(text)
        finally:
            members.discard(websocket)

    app = Starlette(routes=[WebSocketRoute("/", chat)])
    with served_asgi(app) as live, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connect(live, "/")) for _ in range(5)]
        eventually(lambda: len(members) == 5)
        threads = [
            threading.Thread(target=client.send, args=(f"from {number}",))
            for number, client in enumerate(clients)
        ]
        for thread in threads:
            thread.start()
        expected = {f"from {number}" for number in range(5)}
        for client in clients:
            assert {client.recv(PATIENCE) for _ in range(5)} == expected
