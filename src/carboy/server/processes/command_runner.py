"""The process of the commands of --with: it starts them, reads their output and starts them again.

The state of a command is what its fields say:

process   due        state
-         a time     waits to be started, for the first time or again
a process -          runs
a process a time     was told to stop, and is killed at that time

One thread does everything. A reader of the log that stops reading delays the commands that write,
and nothing else.
"""

from __future__ import annotations

import contextlib
import logging
import os
import selectors
import signal
import time
from collections.abc import Callable, Iterable, Sequence
from typing import IO, Any

from carboy.late import subprocess
from carboy.server.logs.error_log import ERROR_LOGGER, DirectErrorHandler, ErrorLog
from carboy.server.signals import death

FIRST_DELAY, LONGEST_DELAY = 1.0, 60.0  # seconds until a command that has ended is started again
STEADY = 60.0  # seconds after which an end is no longer one of a row of failures
LOOK = 0.5  # seconds between two looks at whether commands have ended
LONGEST_LINE = 64 * 1024  # bytes; longer lines are written in pieces

log = logging.getLogger(ERROR_LOGGER)


class Running:
    """One command."""

    def __init__(self, name: str, words: Sequence[str], now: float) -> None:
        self.name = name
        self.words = words
        self.process: subprocess.Popen[bytes] | None = None
        self.due: float | None = now
        self.delay = FIRST_DELAY
        self.began = now
        self.again = False  # it was told to stop so that it is started again
        self.line = b""

    def start(self, now: float, prctl: Callable[..., int] | None) -> IO[bytes] | None:
        """Start the command and return its output; if that fails, it waits longer."""
        self.due, self.again, self.began = None, False, now
        try:
            self.process = subprocess.Popen(
                self.words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl+C in the terminal is for the supervisor
                preexec_fn=lambda: _ends_with_parent(prctl),
            )
        except OSError as problem:
            self._wait(now)
            log.error(
                "%s cannot be started: %s. The next attempt is in %g s.",
                self.name, problem.strerror, self.delay / 2,
            )  # fmt: skip
            return None
        log.info("%s runs beside the workers (pid %d).", self.name, self.process.pid)
        return self.process.stdout

    def _wait(self, now: float) -> None:
        self.due = now + self.delay
        self.delay = min(LONGEST_DELAY, self.delay * 2)

    def tell_to_stop(self, until: float, again: bool) -> None:
        """Send SIGTERM; the command is killed at `until`."""
        if self.process is None:
            self.due = 0.0 if again else None
            return
        self.due, self.again = until, again
        with contextlib.suppress(ProcessLookupError):
            self.process.terminate()

    def kill(self) -> None:
        """End the command and the processes that it has started."""
        if self.process is not None:
            log.error("%s does not stop and is killed.", self.name)
            self.due = None
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)

    def ended(self, code: int, now: float, stopping: bool) -> None:
        """The command has ended: say so, and plan its next start."""
        self.process, told = None, self.due is not None or self.again
        if stopping:
            self.due = None
        elif self.again or told:
            self.due, self.delay = now, FIRST_DELAY
        else:
            if now - self.began > STEADY:
                self.delay = FIRST_DELAY
            log.error("%s %s; it is started again in %g s.", self.name, death(code), self.delay)
            self._wait(now)


def _ends_with_parent(prctl: Callable[..., int] | None) -> None:
    if prctl is not None:
        prctl(1, int(signal.SIGTERM), 0, 0, 0)  # PR_SET_PDEATHSIG


class Runner:
    """All commands. `reader` is a pipe that ends with the supervisor."""

    def __init__(
        self,
        commands: Iterable[tuple[str, Sequence[str]]],
        seconds: float,
        reader: int,
        prctl: Callable[..., int] | None,
    ) -> None:
        now = time.monotonic()
        self._commands = [Running(name, words, now) for name, words in commands]
        self._seconds = seconds
        self._prctl = prctl
        self._selector = selectors.DefaultSelector()
        self._reader = reader
        self._selector.register(reader, selectors.EVENT_READ)
        self._stopping = False
        self._restart = False
        self._asked = False  # by a signal, or because the supervisor has gone

    def run(self) -> int:
        """Run the commands until the supervisor says to stop, or has gone."""
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGQUIT, self._quit)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the supervisor passes the stop on
        signal.signal(signal.SIGHUP, self._hung_up)
        while not (self._stopping and self._all_ended()):
            self._step()
        return 0

    def _stop(self, *_: Any) -> None:
        self._asked = True

    def _quit(self, *_: Any) -> None:
        self._seconds = 0.0
        self._stopping, self._asked = False, True  # tell them again, with no time left

    def _hung_up(self, *_: Any) -> None:
        self._restart = True

    def _tell_all(self, again: bool) -> None:
        until = time.monotonic() + self._seconds
        for each in self._commands:
            each.tell_to_stop(until, again)

    def _all_ended(self) -> bool:
        return all(each.process is None for each in self._commands)

    def _step(self) -> None:
        if self._asked and not self._stopping:
            self._stopping = True
            self._tell_all(again=False)
        if self._restart and not self._stopping:
            self._restart = False
            self._tell_all(again=True)
        now = time.monotonic()
        for each in self._commands:
            self._look_after(each, now)
        for key, _ in self._selector.select(LOOK):
            if key.fd == self._reader:
                self._selector.unregister(self._reader)  # the supervisor has gone
                self._stop()
            else:
                self._read(key.data, key.fd)

    def _look_after(self, each: Running, now: float) -> None:
        if each.process is None:
            if each.due is not None and now >= each.due and not self._stopping:
                output = each.start(now, self._prctl)
                if output is not None:
                    os.set_blocking(output.fileno(), False)
                    self._selector.register(output, selectors.EVENT_READ, each)
            return
        if each.due is not None and now >= each.due:
            each.kill()
        process = each.process
        code = process.poll()
        if code is not None:
            if process.stdout is not None:
                self._read(each, process.stdout.fileno())
                with contextlib.suppress(KeyError):
                    self._selector.unregister(process.stdout)
                process.stdout.close()
            _write(each, each.line)
            each.line = b""
            each.ended(code, now, self._stopping)

    def _read(self, each: Running, fd: int) -> None:
        try:
            data = os.read(fd, LONGEST_LINE)
        except BlockingIOError:
            return
        if not data:
            with contextlib.suppress(KeyError):
                self._selector.unregister(fd)
            return
        *lines, each.line = (each.line + data).split(b"\n")
        for line in lines:
            _write(each, line)
        if len(each.line) > LONGEST_LINE:
            _write(each, each.line)
            each.line = b""


def _write(each: Running, line: bytes) -> None:
    """Write a line to standard error, after the name of its command."""
    if line:
        rest = f"{each.name} | ".encode() + line + b"\n"
        with contextlib.suppress(OSError):
            while rest:
                rest = rest[os.write(2, rest) :]


def run_commands(
    commands: Iterable[tuple[str, Sequence[str]]],
    seconds: float,
    reader: int,
    prctl: Callable[..., int] | None,
) -> int:
    """Run commands beside the workers; returns the exit code of this process."""
    ErrorLog(DirectErrorHandler())
    return Runner(commands, seconds, reader, prctl).run()
