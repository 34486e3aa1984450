"""The start, the end and the signals of a process that was forked to do one piece of work."""

from __future__ import annotations

import atexit
import logging
import os
import signal
import sys
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from carboy.server.logs.error_log import ERROR_LOGGER
from carboy.server.signals import named, noted

log = logging.getLogger(ERROR_LOGGER)

PR_SET_PDEATHSIG = 1  # linux/prctl.h
PR_SET_CHILD_SUBREAPER = 36
PR_GET_CHILD_SUBREAPER = 37


def live(
    work: Callable[[], int], what: str = "Worker", keeps_exit_functions: bool = False
) -> NoReturn:
    """Do `work` and end the process with its result; never return into the parent's frames.

    `keeps_exit_functions`: those of the parent are called here, because the parent does not.
    """
    code = 1
    try:
        if not keeps_exit_functions:
            forget_exit_functions()
        code = work()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        log.exception("%s %d ends because of an error.", what, os.getpid())
    finally:
        try:
            # As at the end of every Python process, except that it does not wait for threads. Pools
            # of processes end first.
            for call in reversed(getattr(threading, "_threading_atexits", ())):
                call()
            atexit._run_exitfuncs()
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)


def forget_exit_functions() -> None:
    """Forget the parent's exit functions, which the parent itself calls.

    Modules of the standard library have registered functions for every process; these stay.
    """
    atexit._clear()
    atexit.register(logging.shutdown)
    if pools := sys.modules.get("multiprocessing.util"):
        atexit.register(pools._exit_function)
    finalize: Any = weakref.finalize
    finalize._registry.clear()
    finalize._registered_with_atexit = False


@contextmanager
def blocked(numbers: Iterable[signal.Signals]) -> Iterator[None]:
    """Hold signals back: a signal between a fork and the child's own handlers would be lost."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def reset_signals(numbers: Iterable[signal.Signals]) -> None:
    """Reset signals as in a new process, except that the parent handles Ctrl+C."""
    signal.set_wakeup_fd(-1)  # the thread that forked is the main thread here
    for number in numbers:
        signal.signal(number, signal.SIG_DFL)
    # Not SIG_IGN: programs that the application starts would inherit it.
    signal.signal(signal.SIGINT, noted)
    # Their default action would end a process that cannot yet do what they ask for.
    for number in named("SIGUSR1", "SIGUSR2"):
        signal.signal(number, noted)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)


def find_prctl() -> Callable[..., int] | None:
    """prctl(2), loaded before the fork, because each child would have to load it again."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        import ctypes

        return ctypes.CDLL(None).prctl
    except (ImportError, OSError, AttributeError):
        return None


def is_subreaper() -> bool:
    """Whether orphans below this process become its children although it is not process 1."""
    prctl = find_prctl()
    if prctl is None:
        return False
    import ctypes

    answer = ctypes.c_int(0)
    return prctl(PR_GET_CHILD_SUBREAPER, ctypes.byref(answer), 0, 0, 0) == 0 and bool(answer.value)


def become_subreaper() -> None:
    """Make orphans below this process its children; raises OSError where the system cannot."""
    prctl = find_prctl()
    if prctl is None or prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError("This system does not support PR_SET_CHILD_SUBREAPER (prctl).")


def die_with_parent(prctl: Callable[..., int] | None) -> None:
    """Have the kernel send SIGTERM when the thread that forked us has ended."""
    if prctl is not None:
        prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
