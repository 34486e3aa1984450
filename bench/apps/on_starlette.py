"""Broadcasts with Starlette, as its users write them: the subscribers are kept in a set."""

import asyncio
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from bench.apps import payload

sockets: set[WebSocket] = set()
queues: set[asyncio.Queue[str]] = set()


async def hello(request: Request) -> Response:
    return PlainTextResponse(payload.HELLO)


async def subscribe(websocket: WebSocket) -> None:
    await websocket.accept()
    sockets.add(websocket)
    try:
        while True:  # the clients of the benchmark ask each connection for an echo at the end
            await websocket.send_text(await websocket.receive_text())
    except WebSocketDisconnect:
        pass
    finally:
        sockets.discard(websocket)


async def events(request: Request) -> Response:
    async def stream() -> AsyncIterator[str]:
        queue: asyncio.Queue[str] = asyncio.Queue()
        queues.add(queue)
        yield ": connected\n\n"  # Daphne sends the head with the first part
        try:
            while True:
                yield f"data: {await queue.get()}\n\n"
        finally:
            queues.discard(queue)

    return StreamingResponse(stream(), media_type="text/event-stream")


async def publish(request: Request) -> Response:
    text = (await request.body()).decode()
    for websocket in list(sockets):
        await websocket.send_text(text)
    for queue in queues:
        queue.put_nowait(text)
    return Response(status_code=204)


async def subscribers(request: Request) -> Response:
    return PlainTextResponse(str(len(sockets) + len(queues)))


app = Starlette(
    routes=[
        Route("/", hello),
        Route("/events", events),
        Route("/publish", publish, methods=["POST"]),
        Route("/subscribers", subscribers),
        WebSocketRoute("/subscribe", subscribe),
    ]
)
