"""What can be learned of a process that runs no Python code any more.

faulthandler's signal handlers are C code: they need no interpreter lock and write to a file
descriptor what each thread was doing.
"""

from __future__ import annotations

import faulthandler
import os
import signal
from pathlib import Path

# Neither the system nor libraries use this one. Where it does not exist there are no stacks.
ASK: int | None = getattr(signal, "SIGRTMAX", None)


def write_to(fd: int) -> None:
    """Have this process write its stacks to `fd` when it is asked for them or crashes."""
    if ASK is not None:
        faulthandler.register(ASK, file=fd, all_threads=True, chain=False)
    if not faulthandler.is_enabled():  # the user may have chosen another place for crashes
        faulthandler.enable(file=fd)


def ask(pid: int) -> None:
    """Have another process write its stacks; it must have called `write_to`."""
    if ASK is not None:
        try:
            os.kill(pid, ASK)
        except ProcessLookupError:
            pass


def is_stopped(pid: int) -> bool:
    """Whether a process has been stopped by a signal (SIGSTOP), where the system tells."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] in ("T", "t")
