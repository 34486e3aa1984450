"""The application on Litestar."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from litestar import Litestar, Request, WebSocket, get, post, websocket
from litestar.background_tasks import BackgroundTask
from litestar.datastructures import State, UploadFile
from litestar.enums import RequestEncodingType
from litestar.params import Body
from litestar.response import Response, Stream

from frameworks.witness import Witness


def application(witness: Witness) -> Litestar:
    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        witness.startup()
        app.state.pool = "ready"
        yield
        witness.shutdown()

    @get("/state")
    async def state(state: State) -> str:
        return str(state.pool)

    @get("/stream")
    async def stream() -> Stream:
        return Stream(witness.pieces())

    @get("/endless")
    async def endless() -> Stream:
        return Stream(witness.endless(), media_type="text/event-stream")

    @get("/waiting")
    async def waiting() -> Stream:
        return Stream(witness.waiting(), media_type="text/event-stream")

    @websocket("/echo")
    async def echo(socket: WebSocket[Any, Any, Any]) -> None:
        witness.events.append("connected")
        offered = socket.scope["subprotocols"]
        await socket.accept(subprotocols="b" if "b" in offered else None)
        while True:
            message: Any = await socket.receive()
            if message["type"] == "websocket.disconnect":
                witness.events.append(f"closed {message['code']}")
                return
            if message.get("text") == "close":
                await socket.close(4001, "asked")
            elif message.get("text") is not None:
                await socket.send_text(message["text"])
            else:
                await socket.send_bytes(message["bytes"])

    @websocket("/refuses")
    async def refuses(socket: WebSocket[Any, Any, Any]) -> None:
        await socket.close()

    @websocket("/breaks")
    async def breaks(socket: WebSocket[Any, Any, Any]) -> None:
        await socket.accept()
        raise ValueError("broken socket")

    @post("/upload")
    async def upload(
        data: Annotated[UploadFile, Body(media_type=RequestEncodingType.MULTI_PART)],
    ) -> dict[str, Any]:
        content = await data.read()
        return {"name": data.filename, "size": len(content), "sum": sum(content)}

    @post("/body")
    async def body(request: Request[Any, Any, Any]) -> dict[str, int]:
        size = 0
        async for piece in request.stream():
            size += len(piece)
        return {"size": size}

    @get("/fails")
    async def fails() -> None:
        raise ValueError("broken")

    @get("/later")
    async def later() -> Response[str]:
        return Response("answered", background=BackgroundTask(witness.background))

    handlers = [state, stream, endless, waiting, upload, body, fails, later,
                echo, refuses, breaks]  # fmt: skip
    return Litestar(
        handlers,
        lifespan=[lifespan],
        after_exception=[logged],
        request_max_body_size=None,
        logging_config=None,  # the tests read the log
    )


async def logged(error: Exception, scope: Any) -> None:
    """Litestar logs exceptions only in debug mode."""
    logging.getLogger("litestar").error("An exception:", exc_info=error)
