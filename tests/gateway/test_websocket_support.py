"""Whether applications serve WebSockets without a socket of their own."""

from __future__ import annotations

from typing import Any

import flask

from carboy import Carboy
from carboy.gateway import for_application
from carboy.gateway.entrance import entered
from carboy.gateway.mounts import mount
from carboy.gateway.websocket_support import Support, support_of
from carboy.middleware.proxy_fix import ProxyFix
from carboy.serving.gateway import WerkzeugGateway


def carboy_app(websocket: bool = True) -> Carboy:
    app = Carboy(__name__)
    if websocket:
        app.add_websocket("/ws", "ws", lambda ws: None)
    return app


async def asgi(scope: Any, receive: Any, send: Any) -> None: ...


def wsgi(environ: Any, start_response: Any) -> list[bytes]:
    return []


def support(app: Any) -> Support:
    return support_of(for_application(app))


def test_the_kind_of_application_decides() -> None:
    assert support(asgi) is Support.SERVED
    assert support(wsgi) is Support.WITH_SOCKET
    assert support(flask.Flask(__name__)) is Support.WITH_SOCKET
    assert support(carboy_app()) is Support.SERVED
    assert support(carboy_app(websocket=False)) is Support.NONE


def test_a_view_of_a_rule_for_websockets_counts_as_well() -> None:
    app = carboy_app(websocket=False)
    app.add_url_rule("/news", view_func=lambda: "news", websocket=True)
    assert support(app) is Support.SERVED


def test_middleware_around_an_application_changes_nothing() -> None:
    app = carboy_app()
    app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]
    assert support(app) is Support.SERVED
    assert support(ProxyFix(carboy_app())) is Support.SERVED


def test_gateways_before_an_application_answer_for_it() -> None:
    inner = for_application(carboy_app())
    assert support_of(entered(inner, "/prefix", ())) is Support.SERVED
    assert support_of(WerkzeugGateway(inner)) is Support.SERVED


def test_one_mounted_application_that_may_need_the_socket_decides() -> None:
    assert support(mount(asgi, {"/a": carboy_app(websocket=False)})) is Support.SERVED
    assert support(mount(None, {"/a": carboy_app()})) is Support.SERVED
    assert support(mount(carboy_app(), {"/a": wsgi})) is Support.WITH_SOCKET
    assert support(mount(carboy_app(False), {"/a": carboy_app(False)})) is Support.NONE


def test_extensions_that_take_the_socket_are_known() -> None:
    app = carboy_app()
    app.extensions["socketio"] = object()
    assert support(app) is Support.WITH_SOCKET
    app = carboy_app()
    view: dict[str, Any] = {"__name__": "flask_sock"}
    exec("def websocket_route(): ...", view)
    app.add_url_rule("/sock", view_func=view["websocket_route"], websocket=True)
    assert support(app) is Support.WITH_SOCKET
