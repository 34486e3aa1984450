"""The application on Quart."""

from __future__ import annotations

import asyncio
from typing import Any

from quart import Quart, abort, request, websocket

from frameworks.witness import Witness


def application(witness: Witness) -> Quart:
    app = Quart(__name__)

    @app.before_serving
    async def before() -> None:
        witness.startup()
        app.config["POOL"] = "ready"

    @app.after_serving
    async def after() -> None:
        witness.shutdown()

    @app.get("/state")
    async def state() -> str:
        return str(app.config["POOL"])

    @app.get("/stream")
    async def stream() -> Any:
        return witness.pieces()

    @app.get("/endless")
    async def endless() -> Any:
        return witness.endless(), {"Content-Type": "text/event-stream"}

    @app.get("/waiting")
    async def waiting() -> Any:
        return witness.waiting(), {"Content-Type": "text/event-stream"}

    @app.websocket("/echo")
    async def echo() -> None:
        witness.events.append("connected")
        offered = websocket.requested_subprotocols
        await websocket.accept(subprotocol="b" if "b" in offered else None)
        try:
            while True:
                message = await websocket.receive()
                if message == "close":
                    await websocket.close(4001, "asked")
                else:
                    await websocket.send(message)
        except asyncio.CancelledError:  # as Quart tells that the client has closed
            witness.events.append("closed")
            raise

    @app.websocket("/refuses")
    async def refuses() -> Any:
        abort(403)

    @app.websocket("/breaks")
    async def breaks() -> None:
        await websocket.accept()
        raise ValueError("broken socket")

    @app.post("/upload")
    async def upload() -> dict[str, Any]:
        file = (await request.files)["file"]
        content = file.read()
        return {"name": file.filename, "size": len(content), "sum": sum(content)}

    @app.post("/body")
    async def body() -> dict[str, int]:
        size = 0
        async for piece in request.body:
            size += len(piece)
        return {"size": size}

    @app.get("/fails")
    async def fails() -> None:
        raise ValueError("broken")

    @app.get("/later")
    async def later() -> str:
        app.add_background_task(witness.background)
        return "answered"

    return app
