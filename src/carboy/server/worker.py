"""One process that serves: loads the application, runs the engine, obeys signals.

It is the same alone and below a supervisor; only whom it listens to differs.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, NoReturn, Protocol

from carboy.gateway import for_application
from carboy.gateway.interface import Gateway
from carboy.server import patched, systemd
from carboy.server.bind import Address, keep, remove_files
from carboy.server.door import Wrap
from carboy.server.engine import Engine
from carboy.server.fleet import MERCY
from carboy.server.heartbeat import Heartbeat
from carboy.server.log import ERROR_LOGGER
from carboy.server.logs import Logs
from carboy.server.port import Port
from carboy.server.post import Post
from carboy.server.settings import Settings
from carboy.server.signals import Handlers, Interrupts, Terminal, hold_hangup, named

log = logging.getLogger(ERROR_LOGGER)

Load = Callable[[], Any]


class LoadError(Exception):
    """There is nothing to serve, or no way to; the text is complete and for the user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to serve on, with how many processes, and what to log."""

    addresses: tuple[Address, ...]
    workers: int = 1
    supervisor: bool = False  # also above a single worker
    settings: Settings = field(default_factory=Settings)
    access_log: bool = True
    access_log_format: str = "auto"
    access_log_file: str = "stdout"
    access_log_skip: str | None = None  # paths that begin so are not logged
    socket_mode: int | None = None
    socket_group: str | None = None
    umask: int | None = None
    wrap: Wrap | None = None  # makes TLS streams of accepted sockets
    gateway: Callable[[Any], Gateway] = for_application


class Watcher(Protocol):
    """Who tells the user what is going on. Must not block: two are called by a signal."""

    def ready(self, sockets: Sequence[socket.socket], plan: Plan) -> None: ...

    def stopping(self, running: int | None) -> None: ...  # None: nobody knows how many

    def stopped(self) -> None: ...


class Worker:
    """Runs the engine until a signal or `Engine.stop` ends it."""

    def __init__(
        self, plan: Plan, sockets: Sequence[socket.socket], load: Load, watcher: Watcher
    ) -> None:
        self.plan = plan
        self.sockets = sockets
        self.load = load
        self.watcher = watcher
        self.restart = False
        self._interrupts = Interrupts()
        self._terminal = Terminal()
        self._logs: Logs
        self._engine: Engine

    def run_alone(self) -> int:
        """Serve as the only process; the exit code."""
        try:
            self._prepare()
        except LoadError as problem:
            sys.stderr.write(f"{problem}\n")
            return 1
        with Handlers(self._handlers_alone()):
            hold_hangup(False)
            self.watcher.ready(self.sockets, self.plan)
            systemd.notify("READY=1")
            self._serve()
        if self.restart:
            self._start_again()
        self.watcher.stopped()
        return 0

    def run_below(self, post: Post) -> int:
        """Serve as one of several; the exit code."""
        try:
            self._prepare(post)
        except LoadError as problem:
            post.failed(str(problem))
            return 1
        timeout = self.plan.settings.graceful_timeout + MERCY
        post.when_orphaned(lambda: self._engine.stop(port=Port.TAKEN), timeout)
        if post.beat:
            Heartbeat(self._engine, post.beat).start()
        with Handlers(self._handlers_below(post)):
            post.ready()
            self._serve(ends=True)
        return 0

    def _prepare(self, post: Post | None = None) -> None:
        try:
            self._logs = Logs(self.plan)
        except OSError as problem:
            raise LoadError(
                f"Error: The access log cannot be written to {self.plan.access_log_file}:"
                f" {problem.strerror}. Choose another --access-log-file."
            ) from None
        try:
            application = self.load()
            if package := patched.replaced_by():
                raise LoadError(f"Error: {patched.advice(package)}")
        except BaseException:
            self._logs.close()
            raise
        self._logs.attach()
        self._engine = Engine(
            self.plan.gateway(application),
            self.sockets,
            self.plan.settings,
            self._logs.access,
            processes=self.plan.workers > 1,
            wrap=self.plan.wrap,
            row=post.row if post else None,
            shown=post.in_flight if post else None,
        )

    def _serve(self, ends: bool = False) -> None:
        try:
            self._engine.run()
        except Exception:
            log.exception("The engine has failed.")
            raise
        finally:
            self._logs.close(ends=ends)

    # --- signals

    def _handlers_alone(self) -> dict[signal.Signals, Any]:
        handlers: dict[signal.Signals, Any] = {
            signal.SIGTERM: self._stop,
            signal.SIGINT: self._interrupted,
        }
        handlers |= dict.fromkeys(named("SIGHUP"), self._hung_up)
        return handlers | dict.fromkeys(named("SIGQUIT"), self._end_at_once)

    def _handlers_below(self, post: Post) -> dict[signal.Signals, Any]:
        # What a terminal sends, it sends to the supervisor too, which then tells us.
        handlers: dict[signal.Signals, Any] = dict.fromkeys(
            named("SIGHUP", "SIGQUIT"), lambda number, frame: None
        )

        def stop(number: int, frame: FrameType | None) -> None:
            self._engine.stop(port=Port.TAKEN)
            post.leaves()

        handlers[signal.SIGINT] = lambda number, frame: self._engine.stopping.hurry()
        handlers[signal.SIGTERM] = stop
        return handlers

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.restart = False
        systemd.notify("STOPPING=1")
        self._engine.stop(port=Port.CLOSED)

    def _interrupted(self, number: int, frame: FrameType | None) -> None:
        before = self._interrupts.count
        if self._interrupts.another(time.monotonic()) > 1:
            self._end_at_once(number, frame)
        if not before:
            self.watcher.stopping(len(self._engine.in_flight()))
        self._engine.stopping.hurry()
        self._stop(number, frame)

    def _hung_up(self, number: int, frame: FrameType | None) -> None:
        if self._terminal.has_gone():
            self._engine.stopping.hurry()
            self._stop(number, frame)
        elif self._engine.stopping.asked is None:
            self.restart = True
            self._engine.stop(port=Port.BACK)

    def _end_at_once(self, number: int, frame: FrameType | None) -> NoReturn:
        remove_files(self.sockets)
        self._logs.close(0.2)
        os._exit(128 + number)

    def _start_again(self) -> NoReturn:
        """Become a fresh process on the same sockets; clients wait in their queues meanwhile."""
        keep(self.sockets)
        systemd.notify_reloading()
        hold_hangup(True)  # until it has handlers again: another one would end the new program
        sys.stdout.flush()
        sys.stderr.flush()
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
