"""The application on Starlette."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from frameworks.witness import Witness


async def upload(request: Request) -> Response:
    async with request.form() as form:
        file: Any = form["file"]
        content = await file.read()
        return JSONResponse({"name": file.filename, "size": len(content), "sum": sum(content)})


async def body(request: Request) -> Response:
    size = 0
    async for piece in request.stream():
        size += len(piece)
    return JSONResponse({"size": size})


async def fails(request: Request) -> Response:
    raise ValueError("broken")


async def state(request: Request) -> Response:
    return PlainTextResponse(request.state.pool)


def websockets(witness: Witness) -> list[WebSocketRoute]:
    """The endpoints of WebSockets, which FastAPI uses as well."""

    async def echo(websocket: WebSocket) -> None:
        witness.events.append("connected")
        await websocket.accept(subprotocol="b" if "b" in websocket.scope["subprotocols"] else None)
        try:
            while True:
                message = await websocket.receive()
                if message["type"] == "websocket.disconnect":
                    raise WebSocketDisconnect(message["code"])
                if message.get("text") == "close":
                    await websocket.close(4001, "asked")
                elif message.get("text") is not None:
                    await websocket.send_text(message["text"])
                else:
                    await websocket.send_bytes(message["bytes"])
        except WebSocketDisconnect as ended:
            witness.events.append(f"closed {ended.code}")

    async def refuses(websocket: WebSocket) -> None:
        await websocket.close()

    async def breaks(websocket: WebSocket) -> None:
        await websocket.accept()
        raise ValueError("broken socket")

    return [
        WebSocketRoute("/echo", echo),
        WebSocketRoute("/refuses", refuses),
        WebSocketRoute("/breaks", breaks),
    ]


def application(witness: Witness) -> Starlette:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, str]]:
        witness.startup()
        yield {"pool": "ready"}
        witness.shutdown()

    async def stream(request: Request) -> Response:
        return StreamingResponse(witness.pieces())

    async def endless(request: Request) -> Response:
        return StreamingResponse(witness.endless(), media_type="text/event-stream")

    async def waiting(request: Request) -> Response:
        return StreamingResponse(witness.waiting(), media_type="text/event-stream")

    async def later(request: Request) -> Response:
        return PlainTextResponse("answered", background=BackgroundTask(witness.background))

    routes = [
        Route("/state", state),
        Route("/stream", stream),
        Route("/endless", endless),
        Route("/waiting", waiting),
        Route("/upload", upload, methods=["POST"]),
        Route("/body", body, methods=["POST"]),
        Route("/fails", fails),
        Route("/later", later),
        *websockets(witness),
    ]
    return Starlette(routes=routes, lifespan=lifespan)
