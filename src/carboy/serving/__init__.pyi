"""Written by tools/write_stubs.py from the table NAMES in __init__.py."""

from carboy.serving.development import is_running_from_reloader
from carboy.serving.development import run_simple
from carboy.serving.handler import WSGIRequestHandler
from carboy.serving.wsgi_server import BaseWSGIServer
from carboy.serving.wsgi_server import make_server

__all__ = [
    "BaseWSGIServer",
    "WSGIRequestHandler",
    "is_running_from_reloader",
    "make_server",
    "run_simple",
]
