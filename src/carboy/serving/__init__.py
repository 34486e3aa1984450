"""Servers started from Python, under Werkzeug's names: `run_simple` and `make_server`.

`carboy.server.serve` is the server of `carboy run`.
"""

from carboy.serving.development import is_running_from_reloader, run_simple
from carboy.serving.handler import WSGIRequestHandler
from carboy.serving.wsgi_server import BaseWSGIServer, make_server

__all__ = [
    "BaseWSGIServer",
    "WSGIRequestHandler",
    "is_running_from_reloader",
    "make_server",
    "run_simple",
]
