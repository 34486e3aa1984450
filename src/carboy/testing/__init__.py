"""Testing applications: clients, requests without a server, a server in a thread.

`EnvironBuilder` is the builder of an application, which knows its configuration. The builder
without an application is in `carboy.http.request.environ_builder`.
"""

from __future__ import annotations

from carboy.lazy import lazy_names

# module: the names it defines. tools/write_stubs.py writes __init__.pyi from this table.
NAMES = {
    "carboy.http.forms.encoding": "encode_multipart stream_encode_multipart",
    "carboy.http.request.environ_builder": "create_environ",
    "carboy.testing.app_client": "EnvironBuilder FlaskClient",
    "carboy.testing.cli_runner": "FlaskCliRunner",
    "carboy.testing.client": "Client",
    "carboy.testing.cookies": "Cookie",
    "carboy.testing.live": "live_server",
    "carboy.testing.response": "ClientRedirectError TestResponse",
    "carboy.testing.lanes": "run_wsgi_app",
    "carboy.testing.test_app": "TestApp",
    "carboy.testing.websocket": "TestWebSocket WebSocketRefused",
}

__all__, __getattr__, __dir__ = lazy_names(__name__, NAMES)
