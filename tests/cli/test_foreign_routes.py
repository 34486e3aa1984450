"""`carboy routes` of applications of other frameworks."""

from pathlib import Path
from typing import Any

import pytest

from carboy.cli import matched
from carboy.cli.foreign_routes import ForeignRoute, routes_of, without_groups
from carboy.cli.routes import as_objects, routes
from carboy.gateway import mount
from running import carboy


async def view(*args: Any, **kwargs: Any) -> Any: ...


def rows(app: Any) -> set[str]:
    """The rows of the table, with single spaces."""
    return {" ".join(line.split()) for line in routes(app)[2:]}


def test_starlette_has_routes_mounts_and_hosts() -> None:
    pytest.importorskip("starlette")
    from starlette.applications import Starlette
    from starlette.routing import Host, Mount, Route, WebSocketRoute
    from starlette.staticfiles import StaticFiles

    inner = Starlette(routes=[Route("/inner", view, methods=["POST"], name="inner")])
    app = Starlette(
        routes=[
            Route("/notes/{number:int}", view, name="note"),
            WebSocketRoute("/ws", view, name="ws"),
            Mount("/sub", app=inner),
            Mount("/files", app=StaticFiles(directory="."), name="files"),
            Host("x.example", app=inner),
        ]
    )
    assert rows(app) == {
        "note GET /notes/{number:int}", "ws WEBSOCKET /ws", "inner POST /sub/inner",
        "files any /files/{path}", "inner POST x.example /inner",
    }  # fmt: skip


def test_fastapi_has_the_routes_of_included_routers() -> None:
    pytest.importorskip("fastapi")
    from fastapi import APIRouter, FastAPI

    app = FastAPI(openapi_url=None)
    router = APIRouter(prefix="/r")
    router.add_api_route("/deep/{name}", view, name="deep", response_model=None)
    app.include_router(router, prefix="/v1")
    app.add_api_websocket_route("/ws", view, name="ws")
    assert rows(app) == {"deep GET /v1/r/deep/{name}", "ws WEBSOCKET /ws"}


def test_litestar_has_the_routes_of_its_handlers() -> None:
    litestar = pytest.importorskip("litestar")

    @litestar.get("/notes/{number:int}", name="note")
    async def note() -> str:
        return ""

    @litestar.post("/notes")
    async def add() -> str:
        return ""

    @litestar.websocket("/ws")
    async def chat(socket: litestar.WebSocket) -> None: ...

    app = litestar.Litestar([note, add, chat], openapi_config=None)
    assert rows(app) == {"note GET /notes/{number:int}", "add POST /notes", "chat WEBSOCKET /ws"}


def test_blacksheep_has_the_routes_that_are_registered() -> None:
    blacksheep = pytest.importorskip("blacksheep")
    app = blacksheep.Application(router=blacksheep.Router())
    app.router.get("/notes/{int:number}")(view)
    app.router.ws("/chat/:room")(view)
    assert [route.arguments for route in routes_of(app) or ()] == [{"number"}, {"room"}]
    assert {row.split()[1] for row in rows(app)} == {"GET", "WEBSOCKET"}


def test_quart_has_a_url_map() -> None:
    quart = pytest.importorskip("quart")
    app = quart.Quart("app", static_folder=None)
    app.add_url_rule("/notes/<int:number>", "note", view)
    app.add_websocket("/ws", "ws", view)
    assert rows(app) == {"note GET /notes/<int:number>", "ws WEBSOCKET /ws"}


def test_a_rule_of_quart_is_not_matched_because_it_cannot_be_copied() -> None:
    quart = pytest.importorskip("quart")
    app = quart.Quart("app", static_folder=None)
    app.add_url_rule("/notes/<int:number>", "note", view)
    assert matched.lines(app, "GET", "/notes/3") == []
    found = matched.of_request(mount(None, {"/q": app}), "GET", "/q/notes/3")
    assert [line.partition("  ")[0] for line in found] == ["GET /q/notes/3", "/q"]


DJANGO = """
import django
from channels.auth import AuthMiddlewareStack
from channels.generic.websocket import WebsocketConsumer
from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings
from django.http import HttpResponse
from django.urls import include, path, re_path
from django.views import View

def start(request):
    return HttpResponse("hello")

class Note(View):
    def get(self, request, year): ...
    def post(self, request, year): ...

users = ([path("<int:pk>/", start, name="detail")], "users")
urlpatterns = [
    path("", start, name="home"),
    path("users/", include(users)),
    re_path(r"^old/(?P<year>(19|20)[0-9]{2})/$", Note.as_view()),
]
settings.configure(ROOT_URLCONF=__name__, SECRET_KEY="test", ALLOWED_HOSTS=["*"])
django.setup()

from django.core.asgi import get_asgi_application

http = get_asgi_application()
rooms = [path("ws/<str:room>", WebsocketConsumer.as_asgi(), name="room")]
app = ProtocolTypeRouter({"http": http, "websocket": AuthMiddlewareStack(URLRouter(rooms))})
"""


@pytest.mark.parametrize("name", ["site_:http", "site_:app"])
def test_django_and_channels_have_the_patterns_of_the_settings(tmp_path: Path, name: str) -> None:
    pytest.importorskip("channels")
    (tmp_path / "site_.py").write_text(DJANGO)
    lines = carboy(tmp_path, "routes", name).splitlines()[2:]
    assert [" ".join(line.split()) for line in lines] == [
        "home any /", *(["room WEBSOCKET /ws/<str:room>"] if name == "site_:app" else []),
        "site_.Note GET, POST /old/<year>/", "users:detail any /users/<int:pk>/",
    ]  # fmt: skip


def test_a_urlconf_that_cannot_be_imported_is_shown_with_its_line(tmp_path: Path) -> None:
    pytest.importorskip("channels")
    (tmp_path / "site_.py").write_text(DJANGO.replace("ROOT_URLCONF=__name__", "ROOT_URLCONF='x'"))
    (tmp_path / "x.py").write_text("urlpatterns = [pathh()]\n")
    said = carboy(tmp_path, "routes", "site_:http", code=1)
    assert "ROOT_URLCONF could not be loaded." in said
    assert 'x.py", line 1' in said
    assert "NameError: name 'pathh' is not defined" in said
    assert "importlib" not in said


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("notes/<int:year>/", "notes/<int:year>/"),
        (r"^notes/(?P<year>\d{4})/$", "notes/<year>/"),
        (r"^(?P<a>\(x)-(?P<b>((x)))$", "<a>-<b>"),
        (r"^notes/(\d+)$", r"notes/(\d+)"),
    ],
)
def test_a_regular_expression_of_django_is_shown_with_its_names(pattern: str, path: str) -> None:
    assert without_groups(pattern) == path


def test_the_objects_for_programs_have_the_parameters() -> None:
    starlette = pytest.importorskip("starlette.applications")
    app = starlette.Starlette()
    app.add_route("/notes/{number:int}/{rest:path}", view, ["GET"], "note")
    assert as_objects(app) == [
        {"rule": "/notes/{number:int}/{rest:path}", "endpoint": "note", "methods": ["GET", "HEAD"],
         "websocket": False, "subdomain": "", "host": "", "arguments": ["number", "rest"]}
    ]  # fmt: skip


@pytest.mark.parametrize(
    "rule", ["/{name}", "/{name:int}", "/{int:name}", "/<name>", "/<int:name>", "/:name"]
)
def test_the_parameter_of_a_path_is_found_however_it_is_written(rule: str) -> None:
    assert ForeignRoute(rule, "", None).arguments == {"name"}


def test_the_routes_of_a_plain_application_are_not_known() -> None:
    assert routes_of(view) is None
