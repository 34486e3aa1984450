"""The frame that each thread of this process runs, without a deadlock in Python 3.11.

`sys._current_frames` holds the interpreter's lock on the list of threads while it makes frame
objects. In Python 3.11 each new object may start a garbage collection, and what a collection calls
(finalizers, `close` of a socket, the end of a threading.local) may need the same lock, or let
another thread run that needs it. Then no thread of the process runs again, not even for a signal
(python/cpython#106883, not fixed in 3.11). From 3.12 on, collections start between two bytecodes.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
from types import FrameType
from typing import Any

COLLECTS_INSIDE = sys.version_info < (3, 12)

# One thread at a time, so that none switches collections on while another one is inside. Reentrant,
# because a signal handler may look at the frames while its own thread does.
_lock = threading.RLock()


def thread_frames() -> dict[int, FrameType]:
    """The innermost frame of each thread, by the thread's identifier."""
    if not COLLECTS_INSIDE:
        return sys._current_frames()
    with _lock:
        enabled = gc.isenabled()
        gc.disable()
        try:
            return sys._current_frames()
        finally:
            if enabled:
                gc.enable()


def _after_fork() -> None:
    """In a forked child: a thread that exists only in the parent may have held the lock."""
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def task_frames(task: Any) -> list[FrameType]:
    """The frames of a task that waits, outermost first; what is not written in Python ends them.

    A task is one of asyncio, or None, which has no frames. Any thread may ask: the frames may be
    those of a moment ago.
    """
    frames: list[FrameType] = []
    coroutine = None if task is None else task.get_coro()
    while coroutine is not None:
        frame = getattr(coroutine, "cr_frame", None) or getattr(coroutine, "gi_frame", None)
        if frame is None:
            break
        frames.append(frame)
        coroutine = getattr(coroutine, "cr_await", None) or getattr(coroutine, "gi_yieldfrom", None)
    return frames
