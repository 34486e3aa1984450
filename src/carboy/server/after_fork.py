"""Copies of a serving process, made by application code that calls os.fork.

A copy has our sockets, our poll and our wake-ups, and of our threads only the one that
forked. It may do what it was made for; it must not go on as a second server that nobody
knows, takes others' requests and outlives everything.
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
    """From now on copies of this process do not serve."""
    _running.add(engine)


def forget(engine: Engine) -> None:
    """The engine does not run any more."""
    _running.discard(engine)


def _after_fork() -> None:
    for engine in list(_running):
        engine.answering.disown(_leave)
        # Closing takes nothing from the original; without it a client would wait for the end of
        # its connection, and the port stay taken, for as long as the copy lives.
        for listener in engine.listeners.sockets.values():
            listener.close()
        for connection in list(engine.connections.values()):
            connection.sock.close()
    _running.clear()


def _leave(*args: object) -> NoReturn:
    """What a copy does instead of answering: it ends where the application has returned."""
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
                f"Process {os.getpid()}, forked by the application, has returned from it and is"
                " ended: only its parent can answer. Let it call os._exit().\n"
            )
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
