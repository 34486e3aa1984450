"""Ctrl+C for a process that is recorded.

An exception that is raised inside of a hook ends the recording of its thread. So a signal that
arrives there is sent again a moment later, until it arrives in other code.
"""

from __future__ import annotations

import _thread
import os
import signal
import time
from types import FrameType

from carboy.dev.explain import start_recorder

PAUSE = 0.002  # seconds


def interrupt(number: int, frame: FrameType | None) -> None:
    """A handler of SIGINT: raises KeyboardInterrupt, but not in the recorder."""
    each = frame
    while each is not None:
        if each.f_globals is vars(start_recorder):
            # A thread of the threading module would be recorded.
            _thread.start_new_thread(_send_again, (number,))
            return
        each = each.f_back
    signal.default_int_handler(number, frame)


def _send_again(number: int) -> None:
    time.sleep(PAUSE)
    os.kill(os.getpid(), number)
