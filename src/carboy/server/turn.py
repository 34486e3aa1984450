"""The steps of the leader's turn that run: those of the engine, or their compiled twins.

The compiled ones (carboy/_speedups/turn.pyx) rely on the interpreter lock, so an interpreter
without it keeps the steps in Python.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from carboy.speedups import MODULES, speedups

if TYPE_CHECKING:
    from carboy.net.poller import Ready
    from carboy.server.connection import Connection
    from carboy.server.crew import Lead
    from carboy.server.engine import Engine

# Receives from a connection; None: the request that came has been read.
Read = Callable[["Connection"], bytes | None]
Reader = Read | None

compiled: ModuleType | None = None  # read once a turn


class ReadSteps(NamedTuple):
    """The steps that read from several connections, and from one whose next request has come."""

    # Reads from idle connections; returns the events of all others. None: the engine does it.
    read_idle: Callable[[Lead, Ready], Ready] | None
    read_next: Callable[[Lead, Connection], None]  # runs one more request that was received


def steps_of(
    engine: Engine,
) -> tuple[ModuleType | None, Reader, Callable[..., None], ReadSteps]:
    """The module that `compiled` is now, and what the engine calls to read and to dispatch."""
    module, dispatcher = compiled, engine.dispatcher
    if module is None:
        engine.crew.quick_watch = engine.crew.close_watch = None
        return None, None, dispatcher.dispatch, ReadSteps(None, engine._read_deferred)
    made: Any = module.Turn(engine, dispatcher, engine.settings.read_size)
    engine.crew.quick_watch, engine.crew.close_watch = made.watch, made.watch_closely
    return module, made.read, made.dispatch, ReadSteps(made.read_idle, made.read_next)


def _choose(module: ModuleType | None) -> None:
    global compiled
    compiled = module


if "turn" in MODULES:
    speedups.twins("turn", _choose)
