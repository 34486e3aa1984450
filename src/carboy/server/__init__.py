"""The HTTP server: `serve`; `run_simple` and `make_server` under Werkzeug's names."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from carboy.protocol.limits import Limits
from carboy.server.bind import BindError
from carboy.server.engine import Engine
from carboy.server.processes.supervisor import CannotFork, Supervisor
from carboy.server.processes.worker import LoadError
from carboy.server.serve import serve
from carboy.server.settings import Settings

if TYPE_CHECKING:
    from carboy.server.development import run_simple
    from carboy.server.simple import BaseWSGIServer, make_server

__all__ = [
    "BaseWSGIServer",
    "BindError",
    "CannotFork",
    "Engine",
    "Limits",
    "LoadError",
    "Settings",
    "Supervisor",
    "make_server",
    "run_simple",
    "serve",
]

# They bring TLS and http.server with them, which serving in production does without.
_WHERE = {"BaseWSGIServer": "simple", "make_server": "simple", "run_simple": "development"}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"carboy.server.{_WHERE[name]}"), name)
