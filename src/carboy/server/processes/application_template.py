"""The process that has loaded the application once, and forks the workers (--preload).

    supervisor ── fork ───────────────────────▶ template: loads the application, freezes its objects
               ◀─ READY, or FAILED and why ────
               ── row and three descriptors ──▶ forks a worker (told, tells, requests in flight)
               ◀─ process id ──────────────────

Workers share the memory of what was loaded until one of them writes to it. The supervisor's side is
in preload.py.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Iterable
from typing import Any, NoReturn, Protocol

from carboy.server import signals
from carboy.server.hooks import Hook, Hooks
from carboy.server.in_flight import InFlight
from carboy.server.logs.error_log import ERROR_LOGGER, DirectErrorHandler, ErrorLog
from carboy.server.processes import child, stacks
from carboy.server.processes.link import SupervisorLink
from carboy.server.scoreboard import Scoreboard

log = logging.getLogger(ERROR_LOGGER)

LONGEST = 65536  # bytes of a message


class Preloads(Protocol):
    """The work of a worker (worker.py) whose application is loaded before the fork."""

    hooks: Hooks

    def preload(self) -> str | None:
        """Load the application; returns why it cannot be served, or None."""

    def run_supervised(self, link: SupervisorLink) -> int: ...


class ApplicationTemplate:
    """The template process: loads the application, then forks workers until it is told to end."""

    def __init__(
        self,
        worker: Preloads,
        scoreboard: Scoreboard,
        commands: socket.socket,
        handled: Iterable[signal.Signals],
        beat: float,
    ) -> None:
        self._worker = worker
        self._scoreboard = scoreboard
        self._commands = commands
        self._beat = beat
        self._handled = tuple(handled)
        self._supervisor = os.getppid()
        self._own_handlers: dict[signal.Signals, Any] = {}

    def run(self, link: SupervisorLink) -> NoReturn:
        """Run the rest of the process. Functions of atexit run in the workers, not here."""
        code = 1
        try:
            self._ignore_signals()
            failure = self._worker.preload()
            if failure is not None:
                link.failed(failure)
            else:
                self._warn_of_threads()
                self._take_handlers()
                gc.collect()
                gc.freeze()
                link.ready()
                self._obey()
                code = 0
        except BaseException:
            log.exception("The template process %d ends because of an error.", os.getpid())
        finally:
            os._exit(code)

    def _ignore_signals(self) -> None:
        """Ctrl+C goes to every process, and the supervisor decides."""
        signal.set_wakeup_fd(-1)
        for number in self._handled:
            signal.signal(number, signal.SIG_DFL if number == signal.SIGCHLD else signals.noted)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, self._handled)

    def _take_handlers(self) -> None:
        """Keep the handlers that the application has set for the workers."""
        for number in signals.named("SIGUSR1", "SIGUSR2"):
            if signal.getsignal(number) is not signals.noted:
                self._own_handlers[number] = signal.getsignal(number)
        self._ignore_signals()

    def _warn_of_threads(self) -> None:
        others = [
            each.name for each in threading.enumerate() if each is not threading.main_thread()
        ]
        if not others:
            return
        errors = ErrorLog(DirectErrorHandler())
        log.warning(
            "The application has started threads while it was loaded, which workers forked from it"
            " do not have: %s. Start them in a hook, worker_start or after_fork, or leave out"
            " --preload.", ", ".join(sorted(others)),
        )  # fmt: skip
        errors.close()

    def _obey(self) -> None:
        while True:
            try:
                message, fds, _, _ = socket.recv_fds(self._commands, LONGEST, 3)
            except ConnectionResetError:
                return
            if not message:
                return
            pid = self._fork(json.loads(message)["row"], fds)
            for fd in fds:
                os.close(fd)
            try:
                self._commands.send(b"%d" % pid)
            except OSError:
                return  # the supervisor has gone

    def _fork(self, row: int, fds: list[int]) -> int:
        """Fork a worker whose parent ends at once; its process id, 0 if the system cannot fork."""
        errors = ErrorLog(DirectErrorHandler())
        self._worker.hooks.run_and_log(Hook.BEFORE_FORK)
        errors.close()
        reader, writer = os.pipe()
        with child.blocked(self._handled):
            try:
                between = os.fork()
            except OSError:
                os.close(reader)
                os.close(writer)
                return 0
            if between == 0:
                self._fork_and_end(reader, writer, row, fds)
        os.close(writer)
        pid = int(os.read(reader, 20) or b"0")
        os.close(reader)
        os.waitpid(between, 0)
        return pid

    def _fork_and_end(self, reader: int, writer: int, row: int, fds: list[int]) -> NoReturn:
        try:
            pid = os.fork()
            if pid == 0:
                os.close(reader)
                os.close(writer)
                child.live(lambda: self._work(row, fds), keeps_exit_functions=True)
            os.write(writer, b"%d" % pid)
        finally:
            os._exit(0)

    def _work(self, row: int, fds: list[int]) -> int:
        """The work of a new worker."""
        self._commands.close()
        child.reset_signals(self._handled)
        for number, handler in self._own_handlers.items():
            signal.signal(number, handler)
        while os.getppid() != self._supervisor and os.getppid() != 1:
            time.sleep(0.001)  # until the process between has ended
        child.die_with_parent(child.find_prctl())
        told, tells, memory = fds
        link = SupervisorLink(
            told, tells, self._scoreboard.row(row), InFlight(fd=memory), self._beat
        )
        os.close(memory)
        stacks.write_to(tells)
        return self._worker.run_supervised(link)
