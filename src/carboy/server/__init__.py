"""The HTTP server: `serve`; `run_simple` and `make_server` under Werkzeug's names."""

from carboy.protocol.limits import Limits
from carboy.server.bind import BindError
from carboy.server.engine import Engine
from carboy.server.serve import serve
from carboy.server.settings import Settings
from carboy.server.simple import Server, make_server, run_simple
from carboy.server.supervisor import CannotFork, Supervisor
from carboy.server.worker import LoadError

__all__ = [
    "BindError",
    "CannotFork",
    "Engine",
    "Limits",
    "LoadError",
    "Server",
    "Settings",
    "Supervisor",
    "make_server",
    "run_simple",
    "serve",
]
