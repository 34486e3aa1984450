"""The kind of an application is found before a server starts; what is not one is an error."""

from __future__ import annotations

import functools
import subprocess
import sys
from typing import Any

import pytest

from carboy import Flask
from carboy.gateway import INTERFACES, WsgiGateway, check, for_application
from carboy.gateway.asgi import AsgiGateway
from carboy.http.local import LocalProxy
from carboy.server import serve


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


def test_what_cannot_be_called_is_refused() -> None:
    with pytest.raises(TypeError, match="3 is not a WSGI application"):
        check(3)
    for interface in INTERFACES:
        with pytest.raises(TypeError, match=r"3 is not an? (WSGI )?application"):
            for_application(3, interface)
        with pytest.raises(TypeError, match=r"3 is not an? (WSGI )?application"):
            serve(3, port=0, interface=interface)


@pytest.mark.parametrize("app", [asgi, Object(), Object().__call__, functools.partial(asgi)])
def test_the_gateway_of_an_asgi_application_is_found(app: Any) -> None:
    assert isinstance(for_application(app), AsgiGateway)


def test_an_interface_can_be_forced() -> None:
    def any_parameters(*args: Any) -> Any: ...

    assert isinstance(for_application(any_parameters), WsgiGateway)
    assert isinstance(for_application(any_parameters, "asgi"), AsgiGateway)
    assert isinstance(for_application(asgi, "wsgi"), WsgiGateway)


def test_wsgi_applications_do_not_load_asyncio() -> None:
    code = "import sys, carboy.gateway; carboy.gateway.for_application(lambda e, s: [])"
    code += "; import carboy.server.engine; print('asyncio' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


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
