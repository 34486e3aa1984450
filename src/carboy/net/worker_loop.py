"""The event loop of this process, which everything that awaits in a worker shares.

ASGI applications and the coroutines of Carboy applications run on the same loop. It is made when it
is first used, so a worker without coroutines loads no asyncio. A server holds it while it serves;
when the last server releases it, the loop ends. Any thread may call this file; a lock orders the
calls.
"""

from __future__ import annotations

import os
import threading
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from carboy.net.loop import Loop

_lock = threading.Lock()
_kind = "auto"  # of the server that was started last
_loops: dict[str, Loop] = {}  # by kind; a worker has one
_holders: dict[str, int] = {}
_of_the_parent: list[Loop] = []  # never freed: freeing a loop that seems to run is an error


def hold(kind: str) -> str:
    """Use loops of this kind from now on, until `release` is called with the returned kind.

    "auto" is uvloop if it is installed. Raises ValueError if uvloop is needed and not installed.
    """
    global _kind
    found = resolved(kind)
    with _lock:
        _kind = found
        _holders[found] = _holders.get(found, 0) + 1
    return found


def release(kind: str, seconds: float) -> None:
    """End the loop of this kind within `seconds`, unless another server holds it."""
    with _lock:
        _holders[kind] -= 1
        loop = None if _holders[kind] else _loops.pop(kind, None)
    if loop is not None:
        loop.stop(seconds)


def worker_loop(kind: str = "") -> Loop:
    """The loop of this process; of the kind of the server, unless `kind` is another one."""
    global _kind
    loop = _loops.get(kind or _kind)
    if loop is None:
        with _lock:
            _kind = resolved(_kind)
            found = kind or _kind
            loop = _loops.get(found)
            if loop is None:
                from carboy.net.loop import Loop

                loop = _loops[found] = Loop(found)
    return loop


def look() -> None:
    """Have loops that make no progress reported. To be called twice a second, by any thread."""
    for loop in running_loops():
        loop.watch.look()


def running_loops() -> list[Loop]:
    """The loops of this process whose thread runs."""
    return [loop for loop in list(_loops.values()) if loop.running]


def resolved(kind: str) -> str:
    """The kind of loop that "auto" means here. Raises ValueError if uvloop is not installed."""
    if kind == "asyncio":
        return kind
    if PathFinder.find_spec("uvloop") is not None:
        return "uvloop"
    if kind == "uvloop":
        raise ValueError("The event loop uvloop is not installed. Use: pip install uvloop.")
    return "asyncio"


def _forget() -> None:
    """In a forked child: the threads of the loops exist only in the parent."""
    global _lock
    _lock = threading.Lock()
    _of_the_parent.extend(_loops.values())
    _loops.clear()
    _holders.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
