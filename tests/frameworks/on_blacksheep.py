"""The application on BlackSheep."""

from __future__ import annotations

import asyncio
from typing import Any

from blacksheep import Application, Request, Response, StreamedContent, json, text

from frameworks.witness import Witness


def application(witness: Witness) -> Application:
    app = Application()
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
