"""A child process that was forked, with the methods of subprocess.Popen that wait for it."""

from __future__ import annotations

import os
import signal
import time
from typing import Protocol

from carboy.late import subprocess

PAUSE = 0.01  # seconds between two looks


class Process(Protocol):
    """A child process."""

    pid: int

    def kill(self) -> None: ...

    def wait(self, timeout: float | None = None) -> int: ...


class Forked:
    """The process `pid`, a child of this one that no other code waits for."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    def kill(self) -> None:
        """End the process at once, unless it has ended."""
        if self.returncode is None:
            os.kill(self.pid, signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, negative for a signal. Raises subprocess.TimeoutExpired."""
        end = None if timeout is None else time.monotonic() + timeout
        while self.returncode is None:
            found, status = os.waitpid(self.pid, 0 if end is None else os.WNOHANG)
            if found:
                self.returncode = os.waitstatus_to_exitcode(status)
            elif end is not None and time.monotonic() >= end:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
            elif end is not None:
                time.sleep(PAUSE)
        return self.returncode
