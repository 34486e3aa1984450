"""Testing applications: clients that call them, made-up requests, a server in a thread.

`EnvironBuilder` here is the application's; the one without an application is
`carboy.testing.environ.EnvironBuilder`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from carboy.testing.app_client import EnvironBuilder, FlaskClient
from carboy.testing.client import Client
from carboy.testing.cookies import Cookie
from carboy.testing.environ import create_environ
from carboy.testing.multipart import encode_multipart, stream_encode_multipart
from carboy.testing.response import ClientRedirectError, TestResponse
from carboy.testing.run import run_wsgi_app

if TYPE_CHECKING:
    from carboy.testing.cli_runner import FlaskCliRunner
    from carboy.testing.live import live_server

__all__ = [
    "Client",
    "ClientRedirectError",
    "Cookie",
    "EnvironBuilder",
    "FlaskCliRunner",
    "FlaskClient",
    "TestResponse",
    "create_environ",
    "encode_multipart",
    "live_server",
    "run_wsgi_app",
    "stream_encode_multipart",
]

_LATE = {"FlaskCliRunner": "cli_runner", "live_server": "live"}  # click; the server


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_LATE[name]}"), name)
