"""Copies of a serving process, made by application code that calls os.fork: they do not serve.

A copy has the sockets and pollers of the server, but only the thread that forked. It may do what
the application made it for. It must not serve: no supervisor knows it, and it would take requests
from the workers and outlive them.
"""

from __future__ import annotations

import os
import sys
import traceback
from typing import TYPE_CHECKING, NoReturn
from weakref import WeakSet

if TYPE_CHECKING:
    from carboy.server.engine import Engine

_running: WeakSet[Engine] = WeakSet()


def watch(engine: Engine) -> None:
    """Make copies of this process not serve, from now on."""
    _running.add(engine)


def forget(engine: Engine) -> None:
    """Forget the engine: it no longer runs."""
    _running.discard(engine)


def _after_fork() -> None:
    for engine in list(_running):
        engine.responder.disown(_leave)
        # The original keeps its own descriptors. If the copy kept these, connections would not end
        # for the clients, and the port would stay in use, for as long as the copy lives.
        for listener in engine.listeners.sockets.values():
            listener.close()
        for connection in list(engine.connections.values()):
            leave = getattr(connection.sock, "leave", None)
            if leave is not None:
                leave()  # or TLS would write its end into the connection of the original
            connection.sock.close()
    _running.clear()


def _leave(*args: object) -> NoReturn:
    """End the copy when the application has returned, instead of answering."""
    error = args[-1] if isinstance(args[-1], BaseException) else None
    code = 0
    try:
        if isinstance(error, SystemExit):
            code = error.code if isinstance(error.code, int) else int(error.code is not None)
        elif error is not None:
            code = 1
            traceback.print_exception(error)
        else:
            sys.stderr.write(
                f"Process {os.getpid()}, which the application has forked, has returned from the"
                " application and is ended, because only its parent can answer."
                " Call os._exit() in the forked process.\n"
            )
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
