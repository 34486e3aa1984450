"""The HTTP server: `serve` runs an application until a signal ends it."""

from carboy.protocol.limits import Limits
from carboy.server.bind import BindError
from carboy.server.engine import Engine
from carboy.server.processes.start_methods import CannotFork
from carboy.server.processes.supervisor import Supervisor
from carboy.server.processes.worker import LoadError
from carboy.server.serve import serve
from carboy.server.settings import Settings

__all__ = [
    "BindError",
    "CannotFork",
    "Engine",
    "Limits",
    "LoadError",
    "Settings",
    "Supervisor",
    "serve",
]
