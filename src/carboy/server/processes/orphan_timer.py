"""Ends a worker whose supervisor has gone while its interpreter lock is held.

An orphaned worker stops because a thread of it notices (link.py) and because the kernel sends it
SIGTERM (child.py). Both need Python code to run, and none runs while compiled code holds the
interpreter lock. This timer of the kernel needs no Python code: its signal, SIGPROF, keeps its
default action, which ends the process. Each sign of life sets the timer back.

It counts the processor time of the process, so a suspended or idle worker is never ended. Programs
that the application starts do not inherit it. An application that uses SIGPROF or the timer
itself, as some profilers do, keeps both.
"""

from __future__ import annotations

import signal

TIMER = getattr(signal, "ITIMER_PROF", None)


class OrphanTimer:
    """Ends the process after `seconds` of processor time without `set_back`."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._armed = TIMER is not None and signal.getitimer(TIMER) == (0.0, 0.0)

    def set_back(self) -> None:
        """Begin to count again; from any thread."""
        if not self._armed or TIMER is None:
            return
        if signal.getsignal(signal.SIGPROF) is not signal.SIG_DFL:
            self._armed = False
            signal.setitimer(TIMER, 0.0)  # the application's handler must not be called for it
            return
        signal.setitimer(TIMER, self._seconds)
