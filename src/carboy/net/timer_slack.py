"""How late the kernel may wake a thread that waits for some time: usually 50 µs.

A new thread has the slack of the thread that starts it.
"""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["set_timer_slack"]

NANOSECONDS = 50_000  # the usual slack of a thread


def set_timer_slack(nanoseconds: int = NANOSECONDS) -> bool:
    """Set the slack of this thread; False if the system does not allow that, or is not Linux."""
    try:
        # The number of the thread as this /proc has it, which may be of another PID namespace.
        thread = Path("/proc/thread-self").readlink().name
        descriptor = os.open(f"/proc/{thread}/timerslack_ns", os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        os.write(descriptor, str(nanoseconds).encode())
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True
