"""The application on BlackSheep."""

from __future__ import annotations

import asyncio
from typing import Any

from blacksheep import (
    Application,
    Request,
    Response,
    Router,
    StreamedContent,
    WebSocket,
    json,
    text,
)
from blacksheep.server.websocket import WebSocketDisconnectError

from frameworks.witness import Witness


def application(witness: Witness) -> Application:
    app = Application(router=Router())  # the default one serves one application a process
    tasks: set[asyncio.Task[None]] = set()

    @app.lifespan
    async def lifespan(app: Application) -> Any:
        witness.startup()
        app.services.add_instance("ready", str)
        yield
        witness.shutdown()

    @app.router.get("/state")
    async def state() -> Response:
        return text(app.services.resolve(str))

    @app.router.get("/stream")
    async def stream() -> Response:
        return Response(200, content=StreamedContent(b"text/plain", witness.pieces))

    @app.router.get("/endless")
    async def endless() -> Response:
        return Response(200, content=StreamedContent(b"text/event-stream", witness.endless))

    @app.router.get("/waiting")
    async def waiting() -> Response:
        return Response(200, content=StreamedContent(b"text/event-stream", witness.waiting))

    @app.router.ws("/echo")
    async def echo(socket: WebSocket) -> None:
        witness.events.append("connected")
        offered = socket.scope["subprotocols"]
        await socket.accept(subprotocol="b" if "b" in offered else None)
        try:
            while True:
                message: Any = await socket.receive()
                if message.get("text") == "close":
                    await socket.close(4001, "asked")
                elif message.get("text") is not None:
                    await socket.send_text(message["text"])
                else:
                    await socket.send_bytes(message["bytes"])
        except WebSocketDisconnectError as ended:
            witness.events.append(f"closed {ended.code}")

    @app.router.ws("/refuses")
    async def refuses(socket: WebSocket) -> None:
        await socket.close()

    @app.router.ws("/breaks")
    async def breaks(socket: WebSocket) -> None:
        await socket.accept()
        raise ValueError("broken socket")

    @app.router.post("/upload")
    async def upload(request: Request) -> Response:
        (file,) = await request.files("file")
        data: Any = file.data if isinstance(file.data, bytes) else file.file.read()
        name: Any = file.file_name
        name = name.decode() if isinstance(name, bytes) else name
        return json({"name": name, "size": len(data), "sum": sum(data)})

    @app.router.post("/body")
    async def body(request: Request) -> Response:
        size = 0
        async for piece in request.stream():
            size += len(piece)
        return json({"size": size})

    @app.router.get("/fails")
    async def fails() -> Response:
        raise ValueError("broken")

    @app.router.get("/later")
    async def later() -> Response:
        task = asyncio.get_running_loop().create_task(witness.background())
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        return text("answered")

    return app
