"""An object that is not a WSGI application is an error before a server starts."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest

from carboy import Flask
from carboy.gateway import check, for_application
from carboy.http.local import LocalProxy
from carboy.server import serve
from carboy.serving import make_server, run_simple
from running import Running


async def asgi(scope: Any, receive: Any, send: Any) -> None: ...


class Object:
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...


class Wsgi:
    def __call__(self, environ: Any, start_response: Any) -> list[bytes]:
        return []

    def method(self, environ: Any, start_response: Any) -> list[bytes]:
        return []

    def with_scope(self, scope: Any, environ: Any, start_response: Any) -> list[bytes]:
        return []


def missing() -> Any:
    raise RuntimeError("nothing there")


@pytest.mark.parametrize("app", [asgi, Object(), Object().__call__, functools.partial(asgi)])
@pytest.mark.parametrize(
    "start",
    [
        for_application,
        lambda app: serve(app, port=0),
        lambda app: serve(app, port=0, workers=2),
        lambda app: make_server("127.0.0.1", 0, app),
        lambda app: make_server("127.0.0.1", 0, app, processes=2),
        lambda app: run_simple("127.0.0.1", 0, app),
        lambda app: run_simple("127.0.0.1", 0, app, use_debugger=True, static_files={"/a": "/b"}),
    ],
)
def test_an_asgi_application_is_refused_by_every_server(start: Any, app: Any) -> None:
    with pytest.raises(TypeError, match=r"is an ASGI application\. Carboy does not serve ASGI yet"):
        start(app)


def test_what_cannot_be_called_is_refused() -> None:
    with pytest.raises(TypeError, match="3 is not a WSGI application"):
        check(3)


@pytest.mark.parametrize(
    "app",
    [
        Wsgi(),
        Wsgi().method,
        functools.partial(Wsgi().with_scope, 1),
        lambda *args: [],
        lambda environ, start_response: [],
        Flask("app"),
        Flask("app").wsgi_app,
    ],
)
def test_a_wsgi_application_is_accepted(app: Any) -> None:
    check(app)


def test_the_object_behind_a_proxy_is_not_looked_at() -> None:
    check(LocalProxy(missing))


APP = "class App:\n    async def __call__(self, scope, receive, send): ...\napp = App()\n"


@pytest.mark.parametrize("command", [("run",), ("run", "--workers", "2"), ("dev",)])
def test_the_commands_say_so_and_fail(command: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP)
    with Running(*command, "--port", "0", cwd=tmp_path) as server:
        assert server.wait() == 1
        assert "app:app is an ASGI application (app.App)." in server.text()
        assert "Traceback" not in server.text()
