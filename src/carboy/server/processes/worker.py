"""One process that serves: it loads the application, runs the engine and handles signals.

It works the same with and without a supervisor above it. Without a supervisor, it handles all
signals itself, and SIGHUP makes it start again (load_check.py).
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any, NoReturn, Protocol

from carboy.gateway import for_application
from carboy.gateway.interface import Gateway, StartFailed
from carboy.net.threads import NoThread
from carboy.net.worker_jobs import jobs
from carboy.server import monkey_patching, systemd
from carboy.server.admin.alone import AloneAdmin
from carboy.server.admin.answering import questions_of_a_worker
from carboy.server.admin.listening import open_admin
from carboy.server.admin.operations import Served
from carboy.server.beside_tls import BesideTls, redirects
from carboy.server.bind import keep, remove_files, url
from carboy.server.engine import Engine
from carboy.server.gateways import in_front
from carboy.server.hooks import NAMES, Crash, Hook, HookFailed, Hooks, has_hooks, name_of
from carboy.server.listening import ListenerPolicy
from carboy.server.logs import Logs
from carboy.server.logs.error_log import ERROR_LOGGER
from carboy.server.machine import usable_cpus
from carboy.server.metrics.totals import Totals
from carboy.server.probes import probed
from carboy.server.processes import stacks
from carboy.server.processes.counting import Counting
from carboy.server.processes.drain_delay import DrainDelay
from carboy.server.processes.forced_exit import ForcedExit
from carboy.server.processes.generations import KILL_DELAY
from carboy.server.processes.heartbeat import Heartbeat
from carboy.server.processes.link import SupervisorLink
from carboy.server.processes.load_check import LoadCheck, this_program
from carboy.server.processes.orphan_timer import OrphanTimer
from carboy.server.processes.plan import Plan
from carboy.server.processes.stuck import beat_interval
from carboy.server.readiness import Readiness
from carboy.server.signals import (
    Handlers,
    Interrupts,
    Terminal,
    hold,
    named,
    noted,
    start_thread,
)
from carboy.server.tracing import traced

log = logging.getLogger(ERROR_LOGGER)

RETRY = 1.0  # seconds between two attempts to load new code, when the old code no longer runs
LAST_LINES = 0.2  # seconds to write lines of the log when the process is ended at once

Load = Callable[[], Any]


class LoadError(Exception):
    """The application cannot be served; the text is complete and for the user."""


class Announcer(Protocol):
    """Tells the user what happens. Must not block: `stopping` is called by a signal handler."""

    def ready(self, sockets: Sequence[socket.socket], plan: Plan) -> None: ...

    def stopping(self, running: int | None) -> None: ...  # None: the number is not known

    def stopped(self) -> None: ...


class Worker:
    """Runs the engine until a signal or `Engine.stop` ends it."""

    def __init__(
        self,
        plan: Plan,
        sockets: Sequence[socket.socket],
        load: Load,
        announcer: Announcer,
        restarted: bool = False,
    ) -> None:
        self.plan = plan
        self.sockets = sockets
        self.load = load
        self.announcer = announcer
        # The program has restarted itself, on SIGHUP without a supervisor.
        self.restarted = restarted
        self.clean_up: Callable[[], object] = lambda: remove_files(sockets)
        self.restart = False
        self.hooks = Hooks()
        self._preloaded: Any = None  # the application, loaded before the fork (--preload)
        self._load_check = LoadCheck(plan.settings.start_timeout, self._code_loads)
        # A second before a supervisor would kill this process, which logs less.
        patience = plan.settings.graceful_timeout + KILL_DELAY - 1.0
        self._forced_exit = ForcedExit(patience, timer=not plan.is_supervised())
        self._drain_delay = DrainDelay(plan.settings.operation.drain_delay)
        self._interrupts = Interrupts()
        self._terminal = Terminal()
        self.readiness = Readiness()
        self._logs: Logs | None = None
        self._admin: AloneAdmin | None = None
        totals = Totals(plan.settings.metrics.metrics_routes)
        self._counting = Counting(plan.settings, totals)
        self._engine: Engine | None = None  # None: the application is still being loaded
        self._stop_gateway: Callable[[float], None] | None = None
        self._hung_up_early = False  # SIGHUP arrived before the application was loaded

    def run_alone(self) -> int:
        """Serve without a supervisor; returns the exit code."""
        stay = self.plan.ends_process
        settings = self.plan.settings
        admin = AloneAdmin(open_admin(settings.operation), self.served(), self._counting.totals)
        try:
            return self._run_alone(admin, stay)
        finally:
            admin.stop()

    def _run_alone(self, admin: AloneAdmin, stay: bool) -> int:
        self._admin = admin
        with Handlers(self._handlers_alone(), stay):
            hold(False)
            try:
                engine, logs = self._prepare()
            except (LoadError, NoThread) as problem:
                sys.stderr.write(f"Error: {problem}\n")
                if not self.restarted:
                    return 1
                self._try_again()
            # Again: the application may have set handlers of its own while it was loaded.
            with Handlers(self._handlers_alone(), stay):
                self.announcer.ready(self.sockets, self.plan)
                systemd.notify("READY=1")
                watchdog = systemd.Watchdog()
                if watchdog.timeout:
                    Heartbeat(engine, beat_interval(watchdog.timeout), watchdog).start()
                questions = questions_of_a_worker(engine, self._counting.metrics, self.readiness)
                admin.start(engine, questions, self._load_check.ask, self.readiness)
                if self._hung_up_early:
                    self._load_check.ask()
                self._serve(engine, logs)
                admin.stop()
                self._load_check.cancel()
                self._start_again_if_asked()
        if not stay:
            self._forced_exit.cancel()
        self.announcer.stopped()
        return 0

    def run_supervised(self, link: SupervisorLink) -> int:
        """Serve below a supervisor; returns the exit code."""
        jobs().elect(False)  # until the supervisor elects this worker
        try:
            engine, logs = self._prepare(link)
            engine.stopping.left = link.left
            self._attend(engine, link)
        except LoadError as problem:
            link.failed(str(problem))
            return 1
        except NoThread as problem:  # another worker, later, may get its threads
            log.error("%s", problem)
            return 1
        with Handlers(self._handlers_supervised(engine, link), stay=True):
            self._serve(engine, logs, link.ready, ends=True)
        return 0

    def served(self) -> Served:
        """The application and its addresses, for the admin server."""
        scheme = self.plan.scheme()
        addresses = tuple(url(each, scheme) for each in self.sockets)
        return Served(self.plan.application, addresses, self.plan.settings.threads)

    def _attend(self, engine: Engine, link: SupervisorLink) -> None:
        """Start the threads that hear the supervisor and show it that this worker is alive."""
        timeout = self.plan.settings.graceful_timeout + KILL_DELAY
        metrics = self._counting.metrics
        link.ask = questions_of_a_worker(engine, metrics, self.readiness).take
        link.crashed = lambda crash: self.hooks.run_and_log(Hook.WORKER_CRASH, Crash(**crash))
        link.elected = jobs().elect
        link.attend(lambda: engine.stop(listeners=ListenerPolicy.DRAIN), timeout)
        if link.beat:
            # Later than the supervisor would end it, even if every processor computes for it.
            seconds = (self.plan.settings.worker_timeout + KILL_DELAY) * usable_cpus()
            Heartbeat(engine, link.beat, orphan_timer=OrphanTimer(seconds)).start()

    def _prepare(self, link: SupervisorLink | None = None) -> tuple[Engine, Logs]:
        gateway, logs = self._load()
        try:
            if link is not None:
                self.hooks.run(Hook.AFTER_FORK)
            self._start_gateway(gateway, logs)
            self.hooks.run(Hook.WORKER_START)
        except HookFailed as problem:
            logs.close()
            raise LoadError(str(problem)) from None
        logs.attach()
        self._counting.begin(link, logs.access)
        observing = self.plan.settings.observing
        gateway, access = traced(gateway, self._counting.access, observing)
        self._engine = engine = Engine(
            gateway,
            [each for each in self.sockets if not redirects(each)],
            self.plan.settings,
            access,
            processes=self.plan.workers > 1,
            wrap=self.plan.tls or self.plan.wrap,
            row=link.row if link else None,
            shown=link.in_flight if link else None,
            trace=self.plan.trace,
        )
        self._counting.start(engine, gateway)
        scoreboard = link.row.scoreboard if link else None
        # The stop of one worker, which another one replaces, is not that of the server.
        self.readiness.stopping = lambda: (
            engine.stopping.asked is not None if scoreboard is None else scoreboard.ending
        )
        self.readiness.start()
        return engine, logs

    def load_failure(self) -> str | None:
        """Load the application; returns why it cannot be served, or None if it can."""
        try:
            self._load()
        except LoadError as problem:
            return str(problem)
        return None

    def _load(self) -> tuple[Gateway, Logs]:
        """The application behind its gateway, and its logs. Raises LoadError."""
        try:
            self._logs = logs = Logs(self.plan)
        except OSError as problem:
            raise LoadError(
                f"The access log cannot be written to {self.plan.access_log_file}:"
                f" {problem.strerror}. Choose another --access-log-file."
            ) from None
        try:
            application = self._application()
            self.readiness.take_checks(application)
            return self._gateway_for(application), logs
        except BaseException:
            logs.close()
            raise

    def _application(self) -> Any:
        """The application, with its hooks. Raises LoadError."""
        if self._preloaded is not None:
            return self._preloaded
        module = self.plan.load_hooks() if self.plan.load_hooks else None
        if module is not None and not has_hooks(module):
            raise LoadError(
                f"{name_of(module)}, which was given as hooks, has none of the functions"
                f" {', '.join(NAMES)}. Correct the name of its functions, or leave out the hooks."
            )
        application = self.load()
        if package := monkey_patching.replaced_by():
            raise LoadError(monkey_patching.advice(package))
        self.hooks = Hooks(module, application)
        return application

    def preload(self) -> str | None:
        """Load the application for workers that will be forked; returns why it cannot be served."""
        try:
            self._preloaded = self._application()
        except LoadError as problem:
            return str(problem)
        return None

    def _gateway_for(self, application: Any) -> Gateway:
        settings = self.plan.settings
        if self.plan.gateway is not None:
            gateway = self.plan.gateway(application)
        else:
            gateway = for_application(application, settings.interface, settings.loop)
        gateway = in_front(gateway, settings)
        operation = settings.operation
        return probed(gateway, operation.livez, operation.readyz, self.readiness.reasons)

    def _start_gateway(self, gateway: Gateway, logs: Logs) -> None:
        start = getattr(gateway, "start", None)
        self._stop_gateway = getattr(gateway, "stop", None)
        try:
            if start is not None:
                start()
        except StartFailed as problem:
            logs.close()
            raise LoadError(str(problem)) from None

    def _serve(
        self,
        engine: Engine,
        logs: Logs,
        started: Callable[[], object] = lambda: None,
        ends: bool = False,
    ) -> None:
        plan = self.plan
        beside = None
        if plan.tls is not None:
            beside = BesideTls(
                plan.tls, self.sockets, plan.settings, self._counting.access, plan.acme
            )
        try:
            if beside is not None:
                beside.start()
            engine.run(started)
        except NoThread as problem:
            log.error("%s", problem)
            raise SystemExit(1) from None
        except Exception:
            log.exception("The engine has failed.")
            raise
        finally:
            if beside is not None:
                beside.stop(engine.stopping.asked)
            self.hooks.run_and_log(Hook.WORKER_STOP)
            if self._stop_gateway is not None:
                self._stop_gateway(engine.stopping.seconds_left())
            self._counting.stop()
            logs.close(ends=ends)

    # --- signals

    def _handlers_alone(self) -> dict[signal.Signals, Any]:
        handlers: dict[signal.Signals, Any] = {
            signal.SIGTERM: self._stop,
            signal.SIGINT: self._interrupted,
        }
        handlers |= dict.fromkeys(named("SIGHUP"), self._hung_up)
        handlers |= dict.fromkeys(named("SIGQUIT"), self._end_at_once)
        return handlers | self._handlers_for_logs()

    def _handlers_supervised(
        self, engine: Engine, link: SupervisorLink
    ) -> dict[signal.Signals, Any]:
        # The terminal also sends its signals to the supervisor, which then tells the workers.
        handlers: dict[signal.Signals, Any] = dict.fromkeys(named("SIGHUP", "SIGQUIT"), noted)

        def stop(number: int, frame: FrameType | None) -> None:
            engine.stop(listeners=ListenerPolicy.DRAIN)
            self._forced_exit.begin()
            link.leaves()

        handlers[signal.SIGINT] = lambda number, frame: engine.stopping.hurry()
        handlers[signal.SIGTERM] = stop
        return handlers | self._handlers_for_logs()

    def _handlers_for_logs(self) -> dict[signal.Signals, Any]:
        handlers: dict[signal.Signals, Any] = {}
        handlers |= dict.fromkeys(named("SIGUSR1"), self._reopen)
        handlers |= dict.fromkeys(named("SIGUSR2"), self._log_stacks)
        # An application that has a handler of its own for one of them keeps it.
        free = (signal.SIG_DFL, noted, self._reopen, self._log_stacks)
        return {n: handler for n, handler in handlers.items() if signal.getsignal(n) in free}

    def _reopen(self, number: int, frame: FrameType | None) -> None:
        if self._logs is not None:
            self._logs.reopen()

    def _log_stacks(self, number: int, frame: FrameType | None) -> None:
        stacks.log_own(self._engine)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        systemd.notify("STOPPING=1")
        if self._engine is None:
            self._leave(0)
        if number == signal.SIGTERM and self._drain_delay.begin(time.monotonic()):
            self.readiness.draining = True
            start_thread(self._stop_later)
            return
        self._forced_exit.begin()
        self._engine.stop(listeners=ListenerPolicy.CLOSE)

    def _stop_later(self) -> None:
        """Stop after --drain-delay, on a thread."""
        self._drain_delay.announce()
        time.sleep(self._drain_delay.seconds)
        os.kill(os.getpid(), signal.SIGTERM)

    def _interrupted(self, number: int, frame: FrameType | None) -> None:
        before = self._interrupts.count
        if self._interrupts.another(time.monotonic()) > 1:
            self._end_at_once(number, frame)
        if self._engine is not None:
            if not before and not self._engine.stopping.over:
                self.announcer.stopping(len(self._engine.in_flight()))
            self._engine.stopping.hurry()
        self._stop(number, frame)

    def _hung_up(self, number: int, frame: FrameType | None) -> None:
        if self._terminal.has_gone():
            if self._engine is not None:
                self._engine.stopping.hurry()
            self._stop(number, frame)
        elif self._engine is None:
            self._hung_up_early = True  # the code that is being loaded may be old
        elif self._engine.stopping.asked is None:
            self._load_check.ask()

    def _code_loads(self) -> None:
        """The new code has been checked: stop, and start again with it. On a thread."""
        assert self._engine is not None
        self.restart = True
        self._forced_exit.begin()
        # A stop has precedence, even if it was requested just now.
        self._engine.stop(listeners=ListenerPolicy.RESTART)

    def _end_at_once(self, number: int, frame: FrameType | None) -> NoReturn:
        self._leave(128 + number)

    def _leave(self, code: int) -> NoReturn:
        """End at once, whatever other threads do, and whatever locks they hold."""
        self._load_check.cancel()
        self.clean_up()
        if self._admin is not None:
            self._admin.remove_files()
        if self._logs is not None:
            try:
                closed = threading.Event()
                start_thread(self._close_logs, closed)
                closed.wait(2 * LAST_LINES)
            except RuntimeError:
                pass  # no thread can be started
        os._exit(code)

    def _close_logs(self, closed: threading.Event) -> None:
        assert self._logs is not None
        self._logs.close(LAST_LINES, True)
        closed.set()

    # --- starting again

    def _start_again_if_asked(self) -> None:
        hold(True)  # signals wait until the new program has handlers
        assert self._engine is not None
        # Handlers of several signals may interrupt each other at any point, so the strongest
        # request that the engine keeps decides, not the handler that wrote `restart` last.
        if self.restart and self._engine.stopping.asked in (None, ListenerPolicy.RESTART):
            self._start_again()
        hold(False)

    def _try_again(self) -> NoReturn:
        """Load the new code again: it was checked but cannot be loaded, and clients are waiting."""
        log.error("The application will be loaded again in %g s.", RETRY)
        time.sleep(RETRY)  # a stop ends the process meanwhile
        self._start_again()

    def _start_again(self) -> NoReturn:
        """Become a new program on the same sockets; clients wait in their queues meanwhile."""
        keep(self.sockets)
        systemd.notify_reloading()
        sys.stdout.flush()
        sys.stderr.flush()
        os.execv(sys.executable, this_program())
