"""Signals that a process waits for, instead of handlers that interrupt its code.

A handler that runs Python code in the middle of other Python code can do very little safely. So the
interpreter writes the number of a signal to a pipe, and the process reads it when it is ready to.
"""

from __future__ import annotations

import _thread
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

STOP = (signal.SIGTERM, signal.SIGINT)


def named(*names: str) -> tuple[signal.Signals, ...]:
    """Those of the signals that this system has."""
    return tuple(getattr(signal, name) for name in names if hasattr(signal, name))


def in_main_thread() -> bool:
    """Whether signal handlers can be set here: only the main thread may do that."""
    return threading.current_thread() is threading.main_thread()


HELD = (*STOP, *named("SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGTTIN", "SIGTTOU"))

# The signals that a supervisor handles.
SUPERVISED = (
    *STOP,
    *named("SIGQUIT", "SIGHUP", "SIGTTIN", "SIGTTOU", "SIGCHLD", "SIGUSR1", "SIGUSR2"),
)


class Handlers:
    """Signal handlers for the time of a `with` block; outside of the main thread it does nothing.

    With `stay` the handlers stay afterwards, in a process that is about to end: a signal that comes
    a moment too late must neither kill it nor raise KeyboardInterrupt.
    """

    def __init__(self, handlers: dict[signal.Signals, Any], stay: bool = False) -> None:
        self.handlers = handlers
        self.stay = stay
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Handlers:
        if in_main_thread():
            for number, handler in self.handlers.items():
                self._before[number] = signal.signal(number, handler)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.stay:
            return
        for number, handler in self._before.items():
            # None: set by code that is not Python, and cannot be set again from here
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


@contextmanager
def waking(fd: int) -> Iterator[None]:
    """Have every signal write a byte to `fd` for the time of a `with` block.

    Handlers run in the main thread, but the kernel may interrupt another thread, or the main thread
    just before it waits. In these cases, only a descriptor that it waits for wakes it.
    """
    if not in_main_thread():
        yield
        return
    before = signal.set_wakeup_fd(fd, warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)


def noted(number: int, frame: FrameType | None) -> None:
    """A handler that does nothing: the interpreter has written the number of the signal to the
    wake-up descriptor already, if there is one."""


def start_thread(run: Callable[..., object], *args: Any) -> None:
    """Start a thread from a signal handler; RuntimeError when none can be started.

    `threading.Thread.start` takes locks, and the code that the handler interrupts may hold them.
    """
    _thread.start_new_thread(run, args)


class Inbox:
    """The signals of a process, in the order of their arrival, behind a descriptor."""

    def __init__(self, numbers: tuple[signal.Signals, ...], stay: bool = False) -> None:
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.reader, False)
        os.set_blocking(self.writer, False)
        self._handlers = Handlers(dict.fromkeys(numbers, noted), stay)
        self._wakeup_before: int | None = None

    def __enter__(self) -> Inbox:
        if in_main_thread():
            self._wakeup_before = signal.set_wakeup_fd(self.writer, warn_on_full_buffer=False)
        self._handlers.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._handlers.__exit__(kind, error, trace)
        if self._wakeup_before is not None:
            signal.set_wakeup_fd(self._wakeup_before)
        self.close()

    def fileno(self) -> int:
        """Readable when signals have arrived."""
        return self.reader

    def post(self, number: int) -> None:
        """Act as if the signal had arrived; from any thread."""
        try:
            os.write(self.writer, bytes([number]))
        except (BlockingIOError, OSError):
            pass  # full: the process is awake anyway; closed: it has ended

    def take(self) -> list[int]:
        """The signals that have arrived since the last call."""
        try:
            return list(os.read(self.reader, 4096))
        except BlockingIOError:
            return []

    def close(self) -> None:
        """Close both ends. In a forked process this does not touch the parent's handlers."""
        os.close(self.reader)
        os.close(self.writer)


def hold(held: bool) -> None:
    """Hold signals back until their handlers are set (True), or let them through (False).

    When the process executes another program, a mask stays but handlers do not; signals that are
    held back are not lost. `carboy.__main__` holds them while the command line is imported.
    """
    if in_main_thread() and hasattr(signal, "pthread_sigmask"):
        how = signal.SIG_BLOCK if held else signal.SIG_UNBLOCK
        signal.pthread_sigmask(how, HELD)


def ignore() -> None:
    """Ignore all signals: for the end of a process, after its last `atexit` function.

    The interpreter then removes handlers, and a signal would kill the process. It leaves ignored
    signals alone. A mask would hold them in one thread only.
    """
    if in_main_thread():
        for number in HELD:
            signal.signal(number, signal.SIG_IGN)


class Interrupts:
    """Counts how often the user has pressed Ctrl+C.

    Wrappers such as timeout(1) send the terminal's signal a second time. A signal within a tenth of
    a second of another one was not sent by the user.
    """

    ECHO = 0.1

    def __init__(self) -> None:
        self.count = 0
        self._last = float("-inf")

    def another(self, now: float) -> int:
        """Note an interrupt at `now` (monotonic seconds); returns how many there have been."""
        if now - self._last > self.ECHO:
            self.count += 1
            self._last = now
        return self.count


class Terminal:
    """Distinguishes the SIGHUP of a closed terminal from a SIGHUP that asks for a reload.

    The first means that the user has gone, so the server stops.
    """

    def __init__(self) -> None:
        hangup = named("SIGHUP")
        # nohup(1): the user leaves and wants the server to stay.
        stays = any(signal.getsignal(number) is signal.SIG_IGN for number in hangup)
        self.there = not stays and self._open()

    @staticmethod
    def _open() -> bool:
        try:
            fd = os.open("/dev/tty", os.O_RDWR | getattr(os, "O_NOCTTY", 0))
        except OSError:
            return False
        os.close(fd)
        return True

    def has_gone(self) -> bool:
        """Whether the process had a controlling terminal and has lost it."""
        return self.there and not self._open()


def death(code: int) -> str:
    """How a process ended, from its exit code (negative: a signal): "was killed by SIGKILL (…)"."""
    if code >= 0:
        return f"exited with code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    hint = {
        "SIGKILL": " (by hand, or by the kernel because memory ran out)",
        "SIGSEGV": " (a fault in a compiled extension module)",
    }.get(name, "")
    return f"was killed by {name}{hint}"
