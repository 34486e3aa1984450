"""The route of a request, behind each gateway, when its record is made."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import bottle
import fastapi
import flask
import pytest
from litestar import Litestar
from litestar import get as litestar_get
from litestar.params import FromPath
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route, WebSocketRoute

from carboy import Carboy
from carboy.gateway import for_application, mount
from carboy.gateway.entrance import entered
from carboy.gateway.https_redirect import HttpsRedirect
from carboy.middleware.proxy_fix import ProxyFix
from carboy.server.response_cache.setup import ResponseCache, with_cache
from carboy.server.static_files import StaticFiles, with_static_files
from live_engine import Live, eventually, served
from websocket_client import connected


class Routes(list[str]):
    """Takes the records of a server."""

    def record(self, record: Any) -> None:
        self.append(record[7].route)


@contextmanager
def routes_of(app: Any, gateway: Any = None) -> Iterator[tuple[Live, Routes]]:
    found = Routes()
    gateway = gateway or for_application(app)
    start = getattr(gateway, "start", None)
    if start is not None:
        start()
    try:
        with served(app, gateway=gateway, access=found.record) as live:
            yield live, found
    finally:
        if start is not None:
            gateway.stop(5.0)


def routes(app: Any, *paths: str, gateway: Any = None) -> list[str]:
    """The routes of one request for each path."""
    with routes_of(app, gateway) as (live, found):
        for path in paths:
            live.get(path)
        eventually(lambda: len(found) == len(paths))
    return list(found)


def carboy() -> Carboy:
    app = Carboy("a", static_folder=None)

    @app.get("/users/<int:number>")
    def user(number: int) -> str:
        return str(number)

    @app.get("/fixed")
    def fixed() -> str:
        return "fixed"

    return app


PATHS = ("/users/3", "/users/4", "/fixed", "/missing/5")
RULES = ["/users/<int:number>", "/users/<int:number>", "/fixed", ""]


def test_a_carboy_application_has_its_rules() -> None:
    assert routes(carboy(), *PATHS) == RULES


def test_a_carboy_application_inside_middleware_has_its_rules() -> None:
    app = carboy()
    app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]
    assert routes(app, *PATHS) == RULES
    assert routes(ProxyFix(carboy()), *PATHS) == RULES


def test_a_request_with_another_method_has_no_rule() -> None:
    app = carboy()
    with routes_of(app) as (live, found):
        with live.client() as client:
            client.request("POST", "/fixed")
            assert client.reply().status == 405
        eventually(lambda: found)
    assert found == [""]


def test_a_coroutine_and_a_stream_keep_their_rule() -> None:
    app = carboy()

    @app.get("/later/<name>")
    async def later(name: str) -> str:
        return name

    @app.get("/stream/<name>")
    def stream(name: str) -> Any:
        return iter([b"a", name.encode()])

    assert routes(app, "/later/x", "/stream/y") == ["/later/<name>", "/stream/<name>"]


def test_flask_has_its_rules() -> None:
    app = flask.Flask("b")

    @app.get("/users/<int:number>")
    def user(number: int) -> str:
        return str(number)

    @app.get("/stream")
    def stream() -> Any:
        return iter([b"a", b"b"])

    paths = ("/users/3", "/missing", "/stream")
    assert routes(app, *paths) == ["/users/<int:number>", "", "/stream"]


def test_bottle_has_its_rules() -> None:
    app = bottle.Bottle()
    app.get("/users/<number>")(lambda number: number)
    assert routes(app, "/users/3", "/missing") == ["/users/<number>", ""]


def test_any_wsgi_application_can_name_its_route() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"] == "/named":
            environ["carboy.route"] = "the name"
        start_response("200 OK", [])
        return [b"x"]

    assert routes(app, "/named", "/other") == ["the name", ""]


async def hello(request: Any) -> PlainTextResponse:
    return PlainTextResponse("hello")


def starlette() -> Starlette:
    inner = [Route("/users/{number:int}", hello)]
    return Starlette(routes=[Route("/a/{name}", hello), Mount("/m/{tenant}", routes=inner)])


def test_starlette_has_its_rules_with_those_of_its_mounts() -> None:
    paths = ("/a/1", "/m/acme/users/4", "/missing")
    assert routes(starlette(), *paths) == ["/a/{name}", "/m/{tenant}/users/{number:int}", ""]


def test_fastapi_has_the_rules_of_routers_and_mounted_applications() -> None:
    app, below = fastapi.FastAPI(), fastapi.FastAPI()
    router = fastapi.APIRouter(prefix="/pre")

    @router.get("/x/{y}")
    def x(y: str) -> str:
        return y

    @below.get("/deep/{z}")
    def deep(z: int) -> int:
        return z

    app.include_router(router, prefix="/api")
    app.mount("/sub", below)
    assert routes(app, "/api/pre/x/1", "/sub/deep/3", "/nothing") == [
        "/api/pre/x/{y}", "/sub/deep/{z}", "",
    ]  # fmt: skip


def test_litestar_has_its_rules() -> None:
    @litestar_get("/l/{name:str}")
    async def view(name: FromPath[str]) -> str:
        return name

    assert routes(Litestar([view]), "/l/x", "/missing") == ["/l/{name}", ""]


def test_any_asgi_application_can_name_its_route() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            scope["carboy.route"] = "the name"
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"x"})

    assert routes(app, "/x") == ["the name"]


def test_a_websocket_has_its_rule() -> None:
    app = carboy()

    @app.websocket("/ws/<name>")
    def talk(ws: Any, name: str) -> None:
        ws.send(name)

    async def echo(websocket: Any) -> None:
        await websocket.accept()
        await websocket.send_text("hello")
        await websocket.close()

    for each, route in (
        (app, "/ws/<name>"),
        (Starlette(routes=[WebSocketRoute("/ws/{name}", echo)]), "/ws/{name}"),
    ):
        with routes_of(each) as (live, found):
            with connected(live, "/ws/x") as websocket:
                assert websocket.reply.status == 101
            eventually(lambda: found)
        assert found == [route]


def test_a_mounted_application_has_its_prefix() -> None:
    app = mount(carboy(), {"/api": carboy(), "/star": starlette()})
    paths = ("/fixed", "/api/users/3", "/api/missing", "/star/a/1")
    assert routes(app, *paths) == ["/fixed", "/api/users/<int:number>", "", "/star/a/{name}"]


def test_the_prefix_of_a_proxy_is_not_in_the_route() -> None:
    app = carboy()
    gateway = entered(for_application(app), "/public", ())
    assert routes(app, "/public/users/3", "/users/3", gateway=gateway) == RULES[:2]


def test_a_refused_host_has_a_name() -> None:
    app = carboy()
    gateway = entered(for_application(app), "", ("shop.example",))
    assert routes(app, "/fixed", gateway=gateway) == ["(refused host)"]


def test_files_of_a_folder_have_one_name(tmp_path: Path) -> None:
    (tmp_path / "a.css").write_text("x")
    (tmp_path / "b.css").write_text("x")
    app = carboy()
    gateway = with_static_files(for_application(app), StaticFiles(static=(f"/s={tmp_path}",)))
    paths = ("/s/a.css", "/s/b.css", "/s/c.css", "/fixed")
    assert routes(app, *paths, gateway=gateway) == ["/s/(files)", "/s/(files)", "", "/fixed"]


def test_redirects_and_challenges_have_names() -> None:
    gateway = HttpsRedirect(lambda host: True, 443, lambda token: b"x" if token == "t" else None)
    paths = ("/fixed", "/.well-known/acme-challenge/t")
    names = ["(redirect to HTTPS)", "(certificate challenge)"]
    assert routes(None, *paths, gateway=gateway) == names


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_kept_response_has_the_rule_of_the_first_one(wrapped: bool) -> None:
    app = carboy()
    calls = []

    @app.get("/kept/<name>")
    def kept(name: str) -> Any:
        calls.append(name)
        return name, {"Cache-Control": "max-age=60"}

    inner: Any = ProxyFix(app) if wrapped else app
    gateway = with_cache(for_application(inner), ResponseCache(cache=1024 * 1024))
    assert routes(inner, "/kept/a", "/kept/a", gateway=gateway) == ["/kept/<name>"] * 2
    assert calls == ["a"]
