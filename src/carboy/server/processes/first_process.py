"""Process 1 of a container without a supervisor: it reaps orphans and passes signals on.

    process 1 ── fork ──▶ the server
        signals ────────▶
        ◀──────────────── the end: process 1 ends with the same code

A process whose parent has ended becomes a child of process 1, which has to wait for it. The server
itself cannot: it would take the results of child processes that the application waits for. A
supervisor has no such children, so it does this on its own (start_methods.py).

All signals are blocked in process 1 and taken one by one, so none of them has its default action,
which the kernel does not carry out in process 1.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import NoReturn

from carboy.server.signals import named

SI_KERNEL = 0x80  # sigaction(2): the terminal has sent the signal to all its processes
# Faults of this process itself must not wait.
FAULTS = frozenset(named("SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGABRT", "SIGTRAP", "SIGSYS"))
# The service manager means process 1, which does not serve.
PROCESS_ID_VARIABLES = ("LISTEN_PID", "WATCHDOG_PID")


def is_needed(ends_process: bool, supervised: bool) -> bool:
    """Whether this process is process 1, and nothing in it waits for orphans.

    Not in a program that goes on after serving, or that has threads: it cannot be forked safely.
    """
    if supervised or not ends_process or os.getpid() != 1 or not hasattr(signal, "sigwaitinfo"):
        return False
    return threading.active_count() == 1


def fork_server() -> None:
    """Return in a new process, which serves; this process becomes what the container needs."""
    sys.stdout.flush()
    sys.stderr.flush()
    taken = signal.valid_signals() - FAULTS
    before = signal.pthread_sigmask(signal.SIG_BLOCK, taken)
    server = os.fork()
    if server:
        _serve_the_container(server, taken)
    for name in PROCESS_ID_VARIABLES:
        if os.environ.get(name) == "1":
            os.environ[name] = str(os.getpid())
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve_the_container(server: int, taken: set[signal.Signals]) -> NoReturn:
    """The rest of process 1."""
    code = 1
    try:
        while True:
            found = signal.sigwaitinfo(taken)
            if found.si_signo != signal.SIGCHLD:
                _pass_on(server, found)
            elif (status := _reaped(server)) is not None:
                ended = os.waitstatus_to_exitcode(status)
                code = ended if ended >= 0 else 128 - ended
                break
    finally:
        os._exit(code)  # the kernel ends all other processes of the container


def _pass_on(server: int, found: signal.struct_siginfo) -> None:
    if found.si_code == SI_KERNEL:
        return  # the server has got it as well
    try:
        os.kill(server, found.si_signo)
    except ProcessLookupError:
        pass  # it has just ended


def _reaped(server: int) -> int | None:
    """Wait for all children that have ended; the status of the server if it is one of them."""
    status = None
    while True:
        try:
            pid, how = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return status
        if not pid:
            return status
        if pid == server:
            status = how
