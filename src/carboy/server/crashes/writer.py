"""A process that writes one report: a disk may be slow, and the supervisor must not wait for it.

The supervisor forks it, and gets its exit code: 0, or the number of the error (errno).
"""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn

from carboy.server.crashes import folder as files
from carboy.server.processes.child import blocked

LONGEST = 30  # seconds after which the process is ended by the kernel
UNKNOWN = 255  # exit code of an error without a number


def start(
    folder: Path, name: str, content: bytes, keep: int, handled: Iterable[signal.Signals]
) -> int:
    """Begin to write a report; returns the process id. Raises OSError if there is no process."""
    with blocked(handled):  # also in the new process, which ends when it has written
        pid = os.fork()
        if pid == 0:
            _write(folder, name, content, keep)
    return pid


def _write(folder: Path, name: str, content: bytes, keep: int) -> NoReturn:
    code = UNKNOWN
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGALRM])
        signal.alarm(LONGEST)
        # A process that hangs must not keep the sockets of the server open.
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))
        files.write(folder, name, content, keep)
        code = 0
    except OSError as problem:
        code = problem.errno or UNKNOWN
    finally:
        os._exit(code)


def problem(status: int) -> str:
    """The reason why a report was not written, from the status of the process; "" if it was."""
    code = os.waitstatus_to_exitcode(status)
    if not code:
        return ""
    if code == -signal.SIGALRM:
        return f"The disk has not answered within {LONGEST} s"
    return os.strerror(code) if code in errno.errorcode else "The process that writes has failed"
