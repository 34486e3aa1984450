"""ASGI frameworks mounted at /api: their routes, links, redirects and documentation pages."""

from __future__ import annotations

import json
from typing import Any

import pytest

from carboy.gateway import mount
from live_asgi import served_mounts
from running import in_a_fresh_process

pytest.importorskip("fastapi")
pytest.importorskip("litestar")
# Both look for the types of parameters in the module.
import fastapi  # noqa: E402
import litestar  # noqa: E402
import litestar.params  # noqa: E402

ITEM = "http://example.test/api/items/7"


def seen(live: Any, path: str) -> Any:
    reply = live.get(path)
    assert reply.status == 200, reply.body
    return json.loads(reply.body)


def location(live: Any, path: str) -> Any:
    reply = live.get(path)
    assert reply.status in (301, 307, 308), reply.status
    return reply.headers["Location"].removeprefix("http://example.test")


def test_starlette() -> None:
    pytest.importorskip("starlette")
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Mount, Route

    async def index(request: Request) -> Response:
        return JSONResponse([str(request.url), str(request.url_for("item", id=7))])

    async def item(request: Request) -> Response:
        return JSONResponse(request.path_params["id"])

    inner = Starlette(routes=[Route("/", index)])
    routes = [
        Route("/", index), Route("/items/{id:int}", item, name="item"), Mount("/inner", inner),
    ]  # fmt: skip
    with served_mounts(mount(None, {"/api": Starlette(routes=routes)})) as live:
        assert seen(live, "/api/?a=1") == ["http://example.test/api/?a=1", ITEM]
        assert seen(live, "/api/items/7") == 7
        assert seen(live, "/api/inner/")[0] == "http://example.test/api/inner/"
        assert location(live, "/api") == "/api/"
        assert live.get("/items/7").status == 404


def test_fastapi_and_its_documentation_pages() -> None:
    app = fastapi.FastAPI()

    @app.get("/")
    async def index(request: fastapi.Request) -> list[str]:
        return [str(request.url), str(request.url_for("item", id=7))]

    @app.get("/items/{id}")
    async def item(id: int) -> int:
        return id

    @app.get("/folder/")
    async def folder() -> None: ...

    with served_mounts(mount(None, {"/api": app})) as live:
        assert seen(live, "/api/items/7") == 7
        assert location(live, "/api/folder") == "/api/folder/"
        assert b"url: '/api/openapi.json'" in live.get("/api/docs").body
        assert seen(live, "/api/openapi.json")["servers"] == [{"url": "/api"}]


def test_litestar() -> None:
    @litestar.get("/")
    async def index(request: litestar.Request[Any, Any, Any]) -> list[str]:
        return [str(request.url), str(request.url_for("item", id=7))]

    @litestar.get("/items/{id:int}", name="item")
    async def item(id: litestar.params.FromPath[int]) -> int:
        return id

    with served_mounts(mount(None, {"/api": litestar.Litestar([index, item])})) as live:
        assert seen(live, "/api") == ["http://example.test/api/", ITEM]
        assert seen(live, "/api/items/7") == 7


def test_quart() -> None:
    pytest.importorskip("quart")
    from quart import Quart, request, url_for

    app = Quart(__name__)

    @app.get("/")
    async def index() -> Any:
        return [request.url, url_for("item", id=7, _external=True)]

    @app.get("/items/<int:id>")
    async def item(id: int) -> Any:
        return [id]

    @app.get("/folder/")
    async def folder() -> str:
        return ""

    with served_mounts(mount(None, {"/api": app})) as live:
        assert seen(live, "/api/") == ["http://example.test/api/", ITEM]
        assert seen(live, "/api/items/7") == [7]
        assert location(live, "/api/folder") == "/api/folder/"


def test_blacksheep() -> None:
    pytest.importorskip("blacksheep")
    from blacksheep import Application, Router

    app = Application(router=Router())

    @app.router.get("/items/{id}")
    async def item(id: int) -> int:
        return id

    with served_mounts(mount(None, {"/api": app})) as live:
        assert seen(live, "/api/items/7") == 7


# A process can have one configuration of Django.
@in_a_fresh_process
def test_django_over_both_interfaces() -> None:
    import django
    from django.conf import settings
    from django.core.asgi import get_asgi_application
    from django.core.wsgi import get_wsgi_application
    from django.http import HttpRequest, HttpResponse, JsonResponse
    from django.urls import path, reverse

    def index(request: HttpRequest) -> HttpResponse:
        return JsonResponse([request.build_absolute_uri(), reverse("item", args=[7])], safe=False)

    def item(request: HttpRequest, id: int) -> HttpResponse:
        return JsonResponse(id, safe=False)

    urls = (path("", index), path("items/<int:id>/", item, name="item"))
    settings.configure(
        ALLOWED_HOSTS=["*"], ROOT_URLCONF=urls, SECRET_KEY="x",
        MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
    )  # fmt: skip
    django.setup()
    apps = {"/api": get_asgi_application(), "/admin": get_wsgi_application()}
    with served_mounts(mount(None, apps)) as live:
        for prefix in apps:
            assert seen(live, f"{prefix}/") == [
                f"http://example.test{prefix}/", f"{prefix}/items/7/",
            ]  # fmt: skip
            assert location(live, f"{prefix}/items/7") == f"{prefix}/items/7/"
            assert seen(live, f"{prefix}/items/7/") == 7
