"""Threads that a server cannot do without."""

from __future__ import annotations

import threading

__all__ = ["NoThread", "start_thread"]


class NoThread(RuntimeError):
    """The system has not started a thread that the server needs. The text says what to do."""

    def __init__(self) -> None:
        super().__init__(
            "No thread can be started to serve requests. Raise the limit of processes or memory."
        )


def start_thread(thread: threading.Thread) -> None:
    """Start a thread. Raises NoThread."""
    try:
        thread.start()
    except (RuntimeError, MemoryError) as problem:
        raise NoThread from problem
