"""SIGHUP without a supervisor: a child process checks that the new code loads.

    server ── starts the same program with CARBOY_LOAD_CHECK ──▶ child: loads the application
           ◀── ready, or the error ── (processes/link.py)

The server process itself becomes the new program (`exec`), so its process id stays, but it cannot
return to the old code. So the child loads the application first. Meanwhile, and if that fails, the
old code serves.

function    thread
ask         main, even in a signal handler: it takes no lock, unless no thread can be started
cancel      main, even in a signal handler: it takes no lock
_run        one thread for each call of `ask`; a later one ends the child of an earlier one
"""

from __future__ import annotations

import logging
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import NoReturn

from carboy.late import subprocess
from carboy.server import systemd
from carboy.server.dataclass import dataclass
from carboy.server.logs.error_log import ERROR_LOGGER
from carboy.server.processes import child, stacks
from carboy.server.processes.forked import Forked, Process
from carboy.server.processes.generations import KILL_DELAY, STACKS_DELAY
from carboy.server.processes.link import READY, SupervisorLink, WorkerLink
from carboy.server.signals import death, hold, in_main_thread, start_thread

log = logging.getLogger(ERROR_LOGGER)

VARIABLE = "CARBOY_LOAD_CHECK"  # for the child: pid of the server, descriptor and inode of the pipe


def this_program() -> list[str]:
    """The command line that started this process, with all the interpreter's options."""
    return [sys.executable, *sys.orig_argv[1:]]


# --- in the child


def asked_for() -> SupervisorLink | None:
    """The link to the server that has started this process to check the code, if one has."""
    parent, _, pipe = os.environ.pop(VARIABLE, "").partition(":")
    number, _, inode = pipe.partition(":")
    try:
        if not inode or os.fstat(int(number)).st_ino != int(inode):
            return None  # started by the application, which has passed the variable on
    except OSError:
        return None
    if int(parent) != os.getppid():
        sys.exit(1)  # the server has ended meanwhile
    os.set_inheritable(int(number), False)
    return SupervisorLink(-1, int(number))


def run(load: Callable[[], str | None], link: SupervisorLink) -> NoReturn:
    """Call `load`, report whether it succeeds (None) or why it fails, and end the process.

    The process ends as a forked worker does: it runs nothing that the program does at its own end,
    such as removing a file, because the program continues.
    """

    def work() -> int:
        if in_main_thread():
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # the server logs what Ctrl+C does
            hold(False)
        child.die_with_parent(child.find_prctl())
        stacks.write_to(link.tells)
        failure = load()
        if failure is None:
            link.ready()
            return 0
        link.failed(failure)
        return 1

    child.live(work, "The check")


# --- in the server


class LoadCheck:
    """Checks the code when `ask` is called, and calls `succeeded` if it loads.

    A check that takes longer than `timeout` seconds has failed (0: it may take any time).
    """

    def __init__(
        self,
        timeout: float,
        succeeded: Callable[[], object],
        program: Sequence[str] | None = None,
    ) -> None:
        self._timeout = timeout
        self._succeeded = succeeded
        self._program = program or this_program()
        self._number = 0  # number of the latest check; written by the main thread
        self._lock = threading.Lock()  # held while a child is started, and for _child
        self._child: subprocess.Popen[bytes] | None = None

    def ask(self) -> None:
        """Check the code as it is now. A check that is still running is ended."""
        self._number = number = self._number + 1
        try:
            start_thread(self._run, number)
        except RuntimeError:
            log.error("The new code was not loaded, because no thread can be started. Try again.")

    def cancel(self) -> None:
        """End a check that is still running, because this process ends."""
        self._number += 1
        self._end_child()

    def _run(self, number: int) -> None:
        started = self._start(number)
        if started is None:
            return
        process, link = started
        failure = outcome(process, link, self._timeout, NEW)
        link.close()
        if number != self._number:
            return  # cancelled, or a later check has taken over
        if failure is None:
            self._succeeded()
            return
        log.error("%s", failure.rstrip("\n"))
        log.error("The new code is not used. The old code continues to serve.")
        systemd.notify("READY=1")  # the reload is over

    def _start(self, number: int) -> tuple[subprocess.Popen[bytes], WorkerLink] | None:
        with self._lock:
            if number != self._number:
                return None
            again = self._end_child()
            log.info("%s whether the new code loads.", "Checking again" if again else "Checking")
            systemd.notify_reloading()
            link = WorkerLink()
            inode = os.fstat(link.tells).st_ino
            variables = {**os.environ, VARIABLE: f"{os.getpid()}:{link.tells}:{inode}"}
            try:
                self._child = process = subprocess.Popen(
                    self._program, env=variables, pass_fds=[link.tells]
                )
            except OSError as problem:
                link.handed_over()
                link.close()
                log.error("The new code was not loaded: %s. Try again.", problem.strerror)
                systemd.notify("READY=1")
                return None
            link.handed_over()
            if number != self._number:  # `cancel` may have come too early to see the child
                self._end_child()
        return process, link

    def _end_child(self) -> bool:
        """Kill the child, if there is one, and wait until it has ended. Takes no lock."""
        process = self._child
        if process is None or process.poll() is not None:
            return False
        process.kill()
        if hasattr(os, "waitid"):
            try:
                os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
            except ChildProcessError:
                pass  # the thread that waits for it was quicker
        return True


@dataclass(frozen=True, slots=True)
class Words:
    """How the messages of a check name what is loaded."""

    code: str
    process: str


NEW = Words("The new code", "the new process")
FIRST = Words("The application", "the process")


def outcome(process: Process, link: WorkerLink, timeout: float, words: Words) -> str | None:
    """Wait for the child; returns why the code cannot be used, or None if it can."""
    end = time.monotonic() + timeout if timeout else None
    late = (
        f"{words.code} has not been loaded within {timeout:g} s. If the application needs more"
        " time, use a longer --start-timeout."
    )
    if (ready := _read_until(link, end)) is None:
        stacks.ask(process.pid)
        _read_until(link, time.monotonic() + STACKS_DELAY)
        process.kill()
        process.wait()
        did = link.take_stacks()
        return f"{late}\nStacks of the threads of {words.process}:\n{did}" if did else late
    if ready:
        # Resources that the application holds while it is loaded must be free for this process.
        _read_until(link, time.monotonic() + KILL_DELAY)
        process.kill()
    elif not _ends_until(process, end):  # the application has closed the pipe and goes on
        process.kill()
        process.wait()
        return late
    code = process.wait()
    if ready:
        return None
    return link.failure() or (
        f"The process that loaded {words.code.lower()} {death(code)} before it was ready."
    )


def failure_in_child(load: Callable[[], str | None], timeout: float) -> str | None:
    """Call `load` in a forked process; returns why it fails, or None if it succeeds.

    The standard output of the process is standard error. Where processes cannot fork, `load` is
    called here.
    """
    if not hasattr(os, "fork"):
        return load()
    link = WorkerLink()
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        os.dup2(2, 1)
        run(load, SupervisorLink(-1, link.tells))
    link.handed_over()
    try:
        return outcome(Forked(pid), link, timeout, FIRST)
    finally:
        link.close()


def _ends_until(process: Process, end: float | None) -> bool:
    """Whether the child ends until `end`."""
    try:
        process.wait(None if end is None else max(0.0, end - time.monotonic()))
    except subprocess.TimeoutExpired:
        return False
    return True


def _read_until(link: WorkerLink, end: float | None) -> bool | None:
    """Read what the child sends until it is ready or has ended; None if neither until `end`."""
    while True:
        left = None if end is None else max(0.0, end - time.monotonic())
        if not select.select([link.reader], [], [], left)[0]:
            return None
        received = link.read()
        if READY in received:
            return True
        if not received:
            return False
