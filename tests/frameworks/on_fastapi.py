"""The application on FastAPI."""

# No `from __future__ import annotations`: FastAPI reads the types of functions inside a function.

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import BackgroundTasks, FastAPI, Request, UploadFile
from fastapi.responses import PlainTextResponse, StreamingResponse

from frameworks.on_starlette import websockets
from frameworks.witness import Witness


def application(witness: Witness) -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, str]]:
        witness.startup()
        yield {"pool": "ready"}
        witness.shutdown()

    app = FastAPI(lifespan=lifespan)

    @app.get("/state", response_class=PlainTextResponse)
    async def state(request: Request) -> str:
        return str(request.state.pool)

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        return StreamingResponse(witness.pieces())

    @app.get("/endless")
    async def endless() -> StreamingResponse:
        return StreamingResponse(witness.endless(), media_type="text/event-stream")

    @app.get("/waiting")
    async def waiting() -> StreamingResponse:
        return StreamingResponse(witness.waiting(), media_type="text/event-stream")

    for route in websockets(witness):
        app.websocket(route.path)(route.endpoint)

    @app.post("/upload")
    async def upload(file: UploadFile) -> dict[str, Any]:
        content = await file.read()
        return {"name": file.filename, "size": len(content), "sum": sum(content)}

    @app.post("/body")
    async def body(request: Request) -> dict[str, int]:
        size = 0
        async for piece in request.stream():
            size += len(piece)
        return {"size": size}

    @app.get("/fails")
    async def fails() -> None:
        raise ValueError("broken")

    @app.get("/later", response_class=PlainTextResponse)
    async def later(tasks: BackgroundTasks) -> str:
        tasks.add_task(witness.background)
        return "answered"

    return app
