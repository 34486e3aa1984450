"""The application on Litestar."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from litestar import Litestar, Request, get, post
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

    handlers = [state, stream, endless, upload, body, fails, later]
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
