"""FastAPI and Starlette on the asgi gateway, as their users use them."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from live_asgi import served_asgi
from live_engine import Live, eventually
from running import in_a_fresh_process

fastapi = pytest.importorskip("fastapi")
from fastapi import BackgroundTasks, Depends, FastAPI, Request, UploadFile  # noqa: E402
from starlette.applications import Starlette  # noqa: E402
from starlette.middleware import Middleware  # noqa: E402
from starlette.middleware.base import BaseHTTPMiddleware  # noqa: E402
from starlette.middleware.gzip import GZipMiddleware  # noqa: E402
from starlette.responses import (  # noqa: E402
    FileResponse,
    JSONResponse,
    StreamingResponse,
)
from starlette.routing import Mount, Route  # noqa: E402
from starlette.staticfiles import StaticFiles  # noqa: E402

events: list[str] = []
closed: list[str] = []
late = threading.Event()


@asynccontextmanager
async def lifespan(app: Any) -> AsyncIterator[dict[str, int]]:
    events.append("startup")
    yield {"pool": 7}
    events.append("shutdown")


def thread_name() -> str:
    return threading.current_thread().name


def fastapi_application() -> FastAPI:
    app = FastAPI(lifespan=lifespan)

    @app.get("/items/{item}")
    async def item(item: int, q: str | None = None) -> dict[str, Any]:
        return {"item": item, "q": q}

    @app.get("/sync")
    def sync(thread: str = Depends(thread_name)) -> dict[str, bool]:
        return {"another": thread != "carboy-loop"}

    @app.get("/state")
    async def state(request: Request) -> int:
        return int(request.state.pool)

    @app.post("/upload")
    async def upload(file: UploadFile) -> dict[str, Any]:
        return {"name": file.filename, "size": len(await file.read())}

    # Under Starlette's BaseHTTPMiddleware, is_disconnected() is always false.
    @app.get("/polls")
    async def polls(request: Request) -> None:
        while not await request.is_disconnected():
            await asyncio.sleep(0.01)
        events.append("disconnected")

    @app.get("/fails")
    async def fails() -> None:
        raise ValueError("broken")

    @app.get("/later")
    async def later(tasks: BackgroundTasks) -> str:
        async def run() -> None:
            await asyncio.get_running_loop().run_in_executor(None, late.wait, 20)
            events.append("background")

        tasks.add_task(run)
        return "answered"

    return app


async def echo(request: Any) -> Any:
    size = 0
    async for piece in request.stream():
        size += len(piece)
    return JSONResponse({"size": size, "url": str(request.url), "host": request.client.host})


async def stream(request: Any) -> Any:
    async def pieces() -> AsyncIterator[bytes]:
        for number in range(100):
            yield b"%d," % number

    return StreamingResponse(pieces())


async def endless(request: Any) -> Any:
    async def pieces() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"data: x\n\n"
                await asyncio.sleep(0.01)
        finally:
            closed.append("closed")

    return StreamingResponse(pieces(), media_type="text/event-stream")


async def sends_file(request: Any) -> Any:
    return FileResponse(__file__)


def starlette_application() -> Starlette:
    async def marked(request: Any, call_next: Any) -> Any:
        response = await call_next(request)
        response.headers["X-Marked"] = "yes"
        return response

    routes = [
        Route("/echo", echo, methods=["POST"]),
        Route("/stream", stream),
        Route("/endless", endless),
        Route("/file", sends_file),
        Mount("/static", StaticFiles(directory=Path(__file__).parent)),
    ]
    middleware = [Middleware(BaseHTTPMiddleware, dispatch=marked), Middleware(GZipMiddleware)]
    return Starlette(routes=routes, middleware=middleware)


def django_application() -> Any:
    from django.conf import settings
    from django.core.asgi import get_asgi_application
    from django.http import HttpResponse, StreamingHttpResponse
    from django.urls import path

    async def pieces(request: Any) -> Any:
        async def make() -> AsyncIterator[str]:
            for number in range(3):
                yield f"{number},"

        return StreamingHttpResponse(make())

    async def waits(request: Any) -> Any:
        events.append("django waits")
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            closed.append("django")
            raise

    def fails(request: Any) -> Any:
        raise ValueError("broken")

    urls = [
        path("sync", lambda request: HttpResponse(request.META["HTTP_HOST"])),
        path("upload", lambda request: HttpResponse(request.FILES["file"].size)),
        path("pieces", pieces),
        path("waits", waits),
        path("fails", fails),
    ]
    module = type("urls", (), {"urlpatterns": urls})
    settings.configure(SECRET_KEY="key", ALLOWED_HOSTS=["*"], ROOT_URLCONF=module)
    return get_asgi_application()


@pytest.fixture(scope="module", params=["asyncio", "uvloop"])
def fast(request: Any) -> Iterator[Live]:
    if request.param == "uvloop":
        pytest.importorskip("uvloop")
    events.clear()
    late.clear()
    with served_asgi(fastapi_application(), loop=request.param) as live:
        yield live
    assert (events[0], events[-1]) == ("startup", "shutdown")


@pytest.fixture(scope="module")
def star() -> Iterator[Live]:
    with served_asgi(starlette_application()) as live:
        yield live


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=20) as client:
        yield client


def url(live: Live, path: str) -> str:
    return f"http://127.0.0.1:{live.port}{path}"


def test_fastapi_parameters_and_their_validation(fast: Live, client: httpx.Client) -> None:
    assert client.get(url(fast, "/items/3?q=é")).json() == {"item": 3, "q": "é"}
    assert client.get(url(fast, "/items/x")).status_code == 422
    assert client.get(url(fast, "/openapi.json")).json()["openapi"]


def test_fastapi_plain_functions_run_in_threads(fast: Live, client: httpx.Client) -> None:
    assert client.get(url(fast, "/sync")).json() == {"another": True}


def test_fastapi_has_the_state_of_its_lifespan(fast: Live, client: httpx.Client) -> None:
    assert client.get(url(fast, "/state")).json() == 7


def test_fastapi_uploads(fast: Live, client: httpx.Client) -> None:
    for size in (3, 2_000_000):
        files = {"file": ("ä.bin", io.BytesIO(b"x" * size))}
        reply = client.post(url(fast, "/upload"), files=files)
        assert reply.json() == {"name": "ä.bin", "size": size}


def test_fastapi_exceptions_are_answered_and_logged(
    fast: Live, client: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    assert client.get(url(fast, "/fails")).status_code == 500
    # Not only the record: its text is made after that, on the thread of the loop.
    eventually(lambda: "ValueError: broken" in caplog.text)


def test_fastapi_background_tasks_do_not_delay_the_next_request(
    fast: Live, client: httpx.Client
) -> None:
    assert client.get(url(fast, "/later")).json() == "answered"
    assert client.get(url(fast, "/items/1")).status_code == 200  # on the same connection
    assert "background" not in events
    late.set()
    eventually(lambda: "background" in events)


def test_starlette_reads_a_body_as_it_comes(star: Live, client: httpx.Client) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(100):
            yield b"x" * 10_000

    reply = client.post(url(star, "/echo?a=1"), content=pieces())
    assert reply.json() == {"size": 1_000_000, "url": url(star, "/echo?a=1"), "host": "127.0.0.1"}
    assert reply.headers["X-Marked"] == "yes"


def test_starlette_streams(star: Live, client: httpx.Client) -> None:
    expected = "".join(f"{number}," for number in range(100))
    assert client.get(url(star, "/stream")).text == expected


def test_starlette_sends_files(star: Live, client: httpx.Client) -> None:
    text = Path(__file__).read_bytes()
    assert client.get(url(star, "/file")).content == text
    reply = client.get(url(star, f"/static/{Path(__file__).name}"), headers={"Range": "bytes=0-9"})
    assert (reply.status_code, reply.content) == (206, text[:10])


def test_starlette_streams_end_when_the_client_leaves(star: Live, client: httpx.Client) -> None:
    with client.stream("GET", url(star, "/endless")) as reply:
        next(reply.iter_bytes())
    eventually(lambda: closed)


def test_fastapi_asks_whether_the_client_is_there(fast: Live) -> None:
    with fast.client() as raw:
        raw.request("GET", "/polls")
        eventually(fast.engine.in_flight)
    eventually(lambda: "disconnected" in events)
    events.remove("disconnected")


# A process can have one configuration of Django.
@in_a_fresh_process
def test_django_views_of_both_kinds_and_a_view_whose_client_has_gone() -> None:
    with served_asgi(django_application()) as live, httpx.Client(timeout=20) as client:
        assert client.get(url(live, "/sync")).text == f"127.0.0.1:{live.port}"
        assert client.get(url(live, "/pieces")).text == "0,1,2,"
        assert client.get(url(live, "/fails")).status_code == 500
        files = {"file": ("name", io.BytesIO(b"x" * 3_000_000))}
        assert client.post(url(live, "/upload"), files=files).text == "3000000"
        with live.client() as raw:
            raw.request("GET", "/waits")
            eventually(lambda: "django waits" in events)
        eventually(lambda: "django" in closed)
