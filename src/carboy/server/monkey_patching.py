"""Detects applications that have replaced Python's threads (gevent, eventlet).

The threads of a server would become coroutines of a single thread. The first coroutine that waits
for the kernel would stop all others, and the server would never answer.
"""

from __future__ import annotations

import threading

# The functions that threading starts threads with: the second one from Python 3.13 on.
STARTERS = ("_start_new_thread", "_start_joinable_thread")
REPLACERS = ("gevent", "eventlet")


def replaced_by() -> str | None:
    """The package whose coroutines `threading` makes instead of threads, if there is one."""
    for name in STARTERS:
        module = getattr(getattr(threading, name, None), "__module__", None) or ""
        package: str = module.partition(".")[0]
        if package in REPLACERS:
            return package
    return None


def refuse() -> None:
    """Raise RuntimeError if the threads are coroutines."""
    if package := replaced_by():
        raise RuntimeError(advice(package))


def advice(package: str) -> str:
    """The problem and how to fix it, for the user."""
    return (
        f"The application has replaced Python's threads with coroutines of {package}"
        " (monkey-patching), and this server needs real threads. Remove the call that does this."
        " Requests that wait do not need it, because each has a thread of its own."
    )
