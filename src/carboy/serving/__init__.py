"""Servers started from Python, under Werkzeug's names: `run_simple` and `make_server`.

`carboy.server.serve` is the server of `carboy run`.
"""

from __future__ import annotations

from carboy.lazy import lazy_names

# module: the names it defines. tools/write_stubs.py writes __init__.pyi from this table.
NAMES = {
    "carboy.serving.development": "is_running_from_reloader run_simple",
    "carboy.serving.handler": "WSGIRequestHandler",
    "carboy.serving.wsgi_server": "BaseWSGIServer make_server",
}

__all__, __getattr__, __dir__ = lazy_names(__name__, NAMES)
