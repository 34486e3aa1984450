"""Ends a process that does not end after a stop; the log says what held it.

After its engine has stopped, a process can be held by a lock of the logs, by a thread of the
application that is not a daemon, or by a function registered with atexit. All of these run or
wait in Python, so a thread of our own gets its turn. During the interpreter's own end, which may
wait for a reader of standard output, no threads run; a timer of faulthandler ends it then. Below a
supervisor this is not needed, because the supervisor kills the process.
"""

from __future__ import annotations

import faulthandler
import os
import select
import threading
import time
from types import FrameType

from carboy.server.signals import start_thread
from carboy.thread_frames import thread_frames

LAST = 0.5  # seconds between the thread and the timer


class ForcedExit:
    """Ends this process `seconds` after `begin`, with exit code 1."""

    def __init__(self, seconds: float, timer: bool) -> None:
        self._seconds = seconds
        self._timer = timer
        self._begun = False
        self._over = threading.Event()

    def begin(self) -> None:
        """Start the clock; further calls do nothing. May be called by a signal handler."""
        if self._begun:
            return
        self._begun = True
        if self._timer:
            faulthandler.dump_traceback_later(self._seconds + LAST, exit=True, file=2)
        try:
            start_thread(self._wait)
        except RuntimeError:
            pass  # no thread can be started; the timer or the supervisor ends the process

    def cancel(self) -> None:
        """Do not end the process, because it continues with something else."""
        if self._begun:
            self._over.set()
            if self._timer:
                faulthandler.cancel_dump_traceback_later()

    def _wait(self) -> None:
        if not self._over.wait(self._seconds):
            _log(f"Not ended {self._seconds:g} s after the stop; ended now. Held by {held_by()}.")
            os._exit(1)


def held_by() -> str:
    """The threads that the exit of this process waits for, and where each of them is."""
    frames = thread_frames()
    main = threading.main_thread()
    found = []
    for thread in threading.enumerate():
        if thread is main or not thread.daemon:
            name = "the main thread" if thread is main else f"thread {thread.name!r}"
            found.append(f"{name} {_place(frames.get(thread.ident or 0))}")
    return "; ".join(found)


def _place(frame: FrameType | None) -> str:
    if frame is None:
        return "(has ended)"
    lines: list[str] = []
    while frame is not None and len(lines) < 4:
        code = frame.f_code
        lines.append(f"{code.co_name} ({code.co_filename}:{frame.f_lineno})")
        frame = frame.f_back
    return "in " + " called by ".join(lines)


def _log(text: str) -> None:
    """Write a line to standard error without any lock, unless its pipe is full."""
    moment = time.strftime("%Y-%m-%d %H:%M:%S")
    line = f"[{moment}] [{os.getpid()}] CRITICAL {text}\n".encode("utf-8", "backslashreplace")
    try:
        if select.select([], [2], [], LAST / 2)[1]:
            os.write(2, line[: select.PIPE_BUF])
    except OSError:
        pass
