"""Written by tools/write_stubs.py from the table NAMES in __init__.py."""

from carboy.http.forms.encoding import encode_multipart
from carboy.http.forms.encoding import stream_encode_multipart
from carboy.http.request.environ_builder import create_environ
from carboy.testing.app_client import EnvironBuilder
from carboy.testing.app_client import FlaskClient
from carboy.testing.cli_runner import FlaskCliRunner
from carboy.testing.client import Client
from carboy.testing.cookies import Cookie
from carboy.testing.lanes import run_wsgi_app
from carboy.testing.live import live_server
from carboy.testing.response import ClientRedirectError
from carboy.testing.response import TestResponse
from carboy.testing.test_app import TestApp
from carboy.testing.websocket import TestWebSocket
from carboy.testing.websocket import WebSocketRefused

__all__ = [
    "Client",
    "ClientRedirectError",
    "Cookie",
    "EnvironBuilder",
    "FlaskCliRunner",
    "FlaskClient",
    "TestApp",
    "TestResponse",
    "TestWebSocket",
    "WebSocketRefused",
    "create_environ",
    "encode_multipart",
    "live_server",
    "run_wsgi_app",
    "stream_encode_multipart",
]
