"""The same application on five ASGI frameworks, served as their users serve it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import httpx
import pytest

from carboy.gateway.asgi import AsgiGateway
from carboy.gateway.interface import StartFailed
from frameworks.witness import STREAMED, Witness
from live_asgi import served_asgi
from live_engine import Live, eventually
from running import PATIENCE

FRAMEWORKS = ("blacksheep", "fastapi", "litestar", "quart", "starlette")
SPOOLED = 3_000_000  # bytes: above what the frameworks and the server keep in memory
PAUSE = 60_000  # bytes that the server keeps while the application does not read


def made(framework: str, witness: Witness) -> Any:
    pytest.importorskip(framework)
    return import_module(f"frameworks.on_{framework}").application(witness)


@dataclass
class Served:
    """An application that is served, and its witness."""

    live: Live
    witness: Witness
    client: httpx.Client

    def get(self, path: str) -> httpx.Response:
        return self.client.get(path)


@pytest.fixture(scope="module", params=FRAMEWORKS)
def app(request: Any) -> Iterator[Served]:
    witness = Witness()
    with served_asgi(made(request.param, witness), high_water=PAUSE, record=True) as live:
        address = f"http://127.0.0.1:{live.port}"
        with httpx.Client(base_url=address, timeout=PATIENCE) as client:
            yield Served(live, witness, client)
        witness.allow_background()
    assert witness.events[0] == "startup"
    assert witness.events[-1] == "shutdown"


def test_the_lifespan_prepares_what_requests_use(app: Served) -> None:
    assert app.get("/state").text == "ready"


def test_a_stream_is_sent(app: Served) -> None:
    assert app.get("/stream").content == STREAMED


@pytest.mark.parametrize("size", [0, 5, SPOOLED])
def test_a_file_is_uploaded_by_multipart(app: Served, size: int) -> None:
    content = (bytes(range(256)) * (size // 256 + 1))[:size]
    reply = app.client.post("/upload", files={"file": ("ä b.bin", io.BytesIO(content))})
    assert reply.json() == {"name": "ä b.bin", "size": size, "sum": sum(content)}


def test_a_body_without_a_length_is_read_as_it_comes(app: Served) -> None:
    reply = app.client.post("/body", content=(b"x" * 10_000 for _ in range(100)))
    assert reply.json() == {"size": 1_000_000}


def test_an_exception_is_answered_with_a_500_and_logged(
    app: Served, caplog: pytest.LogCaptureFixture
) -> None:
    assert app.get("/fails").status_code == 500
    eventually(lambda: "ValueError: broken" in caplog.text)
    assert app.get("/state").status_code == 200


def test_an_unknown_path_is_answered_with_a_404(app: Served) -> None:
    assert app.get("/nowhere").status_code == 404


def test_a_head_request_has_no_body(app: Served) -> None:
    reply = app.client.head("/state")
    assert reply.content == b""


def test_a_background_task_delays_neither_its_response_nor_the_next_request(app: Served) -> None:
    assert app.get("/later").text == "answered"
    assert app.get("/state").status_code == 200
    assert "background" not in app.witness.events
    app.witness.allow_background()
    eventually(lambda: "background" in app.witness.events)


@pytest.mark.parametrize("path", ["/endless", "/waiting"])
def test_a_stream_ends_when_its_client_leaves(app: Served, path: str) -> None:
    ended = app.witness.events.count("left")
    with app.client.stream("GET", path) as reply:
        assert next(reply.iter_bytes())
    eventually(lambda: app.witness.events.count("left") == ended + 1)
    eventually(lambda: not app.live.engine.in_flight())


def test_an_upload_whose_client_leaves_ends(app: Served) -> None:
    with app.live.client() as client:
        client.send(b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nx")
        eventually(app.live.engine.in_flight)
    eventually(lambda: not app.live.engine.in_flight())
    assert app.get("/state").status_code == 200


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_startup_that_fails_is_reported(framework: str, caplog: pytest.LogCaptureFixture) -> None:
    witness = Witness(fails=True)
    gateway = AsgiGateway(made(framework, witness), "asyncio")
    with pytest.raises(StartFailed, match="The application failed to start: ") as failure:
        gateway.start()
    # BlackSheep logs the reason instead of sending it.
    assert "There is no database." in f"{failure.value}{caplog.text}"
    assert witness.events == ["startup"]
