"""The steps of the leader's turn that run: those of the engine, or their compiled twins.

The compiled ones (carboy/_speedups/turn.pyx) rely on the interpreter lock, so an interpreter
without it keeps the steps in Python.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any

from carboy.speedups import MODULES, speedups

if TYPE_CHECKING:
    from carboy.server.connection import Connection
    from carboy.server.engine import Engine

# Receives from a connection; None: the request that came has been read.
Read = Callable[["Connection"], bytes | None]
Reader = Read | None

compiled: ModuleType | None = None  # read once a turn


def steps_of(
    engine: Engine,
) -> tuple[ModuleType | None, Reader, Callable[..., None], Callable[..., None]]:
    """The module that `compiled` is now, and what the engine calls to read and to dispatch.

    The last function reads and runs one more request that was received already.
    """
    module, dispatcher = compiled, engine.dispatcher
    if module is None:
        engine.crew.quick_watch = None
        return None, None, dispatcher.dispatch, engine._read_deferred
    steps: Any = module.Turn(engine, dispatcher, engine.settings.read_size)
    engine.crew.quick_watch = steps.watch
    return module, steps.read, steps.dispatch, steps.read_next


def _choose(module: ModuleType | None) -> None:
    global compiled
    compiled = module


if "turn" in MODULES:
    speedups.twins("turn", _choose)
