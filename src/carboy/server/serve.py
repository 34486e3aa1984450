"""Serving an application from Python, until a signal ends it."""

from __future__ import annotations

import logging
import os
import socket
import sys
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from carboy.acme.settings import acme_settings, state_folder
from carboy.gateway import interface_of
from carboy.log_fields import install
from carboy.net.listener import Listener
from carboy.server import bind as binding
from carboy.server import descriptors, signals
from carboy.server.admin.listening import open_admin
from carboy.server.admin.supervised import SupervisorAdmin
from carboy.server.beside_tls import HTTPS, redirects
from carboy.server.bind import Address, from_host, parse_bind
from carboy.server.crashes.folder import FOLDER
from carboy.server.logs.error_log import ERROR_LOGGER
from carboy.server.machine import usable_cpus
from carboy.server.memory_pools import limit_pools
from carboy.server.metrics.statsd import statsd_of
from carboy.server.metrics.totals import Totals
from carboy.server.passed_sockets import PassedSockets, store
from carboy.server.process_setup import set_up
from carboy.server.processes import child, first_process, load_check
from carboy.server.processes.commands import Command, Commands
from carboy.server.processes.crashes import CrashReports
from carboy.server.processes.generations import Generations
from carboy.server.processes.health import Health
from carboy.server.processes.plan import Plan
from carboy.server.processes.relay import SupervisorRelay, export
from carboy.server.processes.rollout import Rollout
from carboy.server.processes.start_methods import Fork
from carboy.server.processes.supervisor import Supervisor
from carboy.server.processes.wear import Wear
from carboy.server.processes.worker import Announcer, Load, LoadError, Worker
from carboy.server.queueing import most_stuck
from carboy.server.settings import Settings, with_values
from carboy.server.tls_setup import tls_fields
from carboy.user_sockets import project

if TYPE_CHECKING:
    from carboy.server.processes.preload import Preload

NO_PRELOAD = (
    "serve() gets an application that is loaded already: all workers are forked from this process,"
    " and share its memory. Leave out preload, or use `carboy run --preload`, which can load the"
    " application again."
)
HOST = "127.0.0.1"
PORT = 8000
HTTP = 80
FORCED = 128  # exit codes above it: a signal has ended the server at once

log = logging.getLogger(ERROR_LOGGER)


def serve(
    app: Any,
    *,
    host: str | None = None,
    port: int | None = None,
    bind: str | Iterable[str] = (),
    fd: int | None = None,
    workers: int | str = 1,
    threads: int | None = None,
    access_log: bool = True,
    access_log_format: str = "auto",
    access_log_file: str = "stdout",
    socket_mode: int | None = None,
    socket_group: str | None = None,
    umask: int | None = None,
    cert: str | Iterable[str] = (),
    key: str | Iterable[str] = (),
    key_password_file: str | None = None,
    domain: str | Iterable[str] = (),
    acme_email: str | None = None,
    acme_directory: str | None = None,
    acme_staging: bool = False,
    acme_ca: str | None = None,
    state: str | None = None,
    ssl_context: Any = None,
    redirect_http: int | None = None,
    hooks: Any = None,
    settings: Settings | None = None,
    **more: Any,
) -> None:
    """Serve a Carboy application or any WSGI or ASGI callable, by default on 127.0.0.1:8000.

    `bind` is one or more of "host:port", "[::1]:8000", "unix:/path", "fd://3" and "fd://name".
    `workers` is a number of processes, or "auto". With `cert`, one or more files of certificates,
    it serves HTTPS; `key` has their keys, and clients of the port `redirect_http` are sent there.
    With `domain`, it orders the certificate itself (docs/https.md). `ssl_context` is as in
    Werkzeug. `hooks` has functions (docs/workers.md). `more` are fields of Settings and, with
    "limit_", of Limits. Returns when a signal has stopped it. Raises BindError and ValueError.
    """
    chosen = chosen_settings(settings, threads, more)
    interface_of(app, chosen.interface)
    acme = acme_settings(domain, acme_email, acme_directory, acme_staging, acme_ca, state)
    plan = Plan(
        addresses=addresses(host, port, bind, fd, acme is not None),
        workers=count_workers(workers),
        supervisor=chosen.worker_limits.needs_supervisor(),
        settings=chosen,
        access_log=access_log,
        access_log_format=access_log_format,
        access_log_file=access_log_file,
        socket_mode=socket_mode,
        socket_group=socket_group,
        umask=umask,
        state=Path(state).absolute() if state else None,
        **tls_fields(ssl_context, cert, key, chosen, key_password_file, acme),
        redirect_http=redirect_http,
        load_hooks=None if hooks is None else partial(hooks_of, hooks),
    )
    if code := start(named(plan, app), lambda: app):
        sys.exit(code)


def chosen_settings(
    settings: Settings | None, threads: int | None, more: dict[str, Any]
) -> Settings:
    """The settings with the arguments of `serve`. Raises ValueError and TypeError."""
    if more.pop("preload", False):
        raise ValueError(NO_PRELOAD)
    values = more if threads is None else {"threads": threads, **more}
    return with_values(settings or Settings(), values)


def hooks_of(hooks: Any) -> Any:
    """The object with the functions. Raises LoadError for a module that cannot be imported."""
    if not isinstance(hooks, str):
        return hooks
    try:
        return import_module(hooks)
    except Exception:
        text = traceback.format_exc().rstrip()
        raise LoadError(f"The module {hooks!r} of hooks cannot be imported.\n{text}") from None


def named(plan: Plan, app: Any) -> Plan:
    """The plan with a name of the application, for people."""
    return replace(plan, application=getattr(app, "__qualname__", "") or type(app).__qualname__)


def addresses(
    host: str | None,
    port: int | None,
    bind: str | Iterable[str] = (),
    fd: int | None = None,
    public: bool = False,
) -> tuple[Address, ...]:
    """All addresses that were asked for, or the default address; `public`: every one, port 443."""
    wanted = [parse_bind(text) for text in ([bind] if isinstance(bind, str) else bind)]
    if fd is not None:
        wanted.append(Address(fd=fd))
    if host is not None or port is not None or not wanted:
        usual = ("", HTTPS) if public else (HOST, PORT)
        chosen = usual[0] if host is None else host, usual[1] if port is None else port
        wanted.insert(0, from_host(*chosen))
    return tuple(wanted)


def count_workers(workers: int | str) -> int:
    """A number of processes; "auto" is one for each processor that this process may use."""
    if workers == "auto":
        return usable_cpus()
    count = int(workers)
    if count < 1:
        raise ValueError(f"The number of workers must be at least 1, or 'auto', not {workers!r}.")
    return count


class LogAnnouncer:
    """Logs the start in the error log."""

    def ready(self, sockets: Sequence[socket.socket], plan: Plan) -> None:
        places = " and ".join(binding.url(sock, plan.scheme()) for sock in sockets)
        log.info("Serving on %s (Ctrl+C stops it).", places)

    def stopping(self, running: int | None) -> None:
        pass

    def stopped(self) -> None:
        pass


class Silent(LogAnnouncer):
    """Logs nothing."""

    def ready(self, sockets: Sequence[socket.socket], plan: Plan) -> None:
        pass


def start(
    plan: Plan,
    load: Load,
    announcer: Announcer | None = None,
    commands: Sequence[Command] = (),
) -> int:
    """Listen, then serve the result of `load` until stopped; returns the exit code.

    Each worker below a supervisor calls `load` itself, so that new workers run new code. A
    supervisor runs `commands` beside the workers.
    """
    announcer = announcer or LogAnnouncer()
    if first_process.is_needed(plan.ends_process, plan.is_supervised()):
        first_process.fork_server()
    install()  # also where the application is loaded before workers are forked
    descriptors.open_standard()
    descriptors.raise_limit(plan.settings.connections)
    limit_pools()
    if plan.umask is not None:
        os.umask(plan.umask)
    if link := load_check.asked_for():
        load_check.run(Worker(plan, (), load, announcer).load_failure, link)
    file = binding.SocketFile(plan.socket_mode, plan.socket_group)
    restarted = binding.KEPT_FDS in os.environ
    sockets = binding.inherited() or first_sockets(plan, file)
    store(sockets)
    clean_up: Callable[[], object] = partial(binding.remove_files, sockets)
    try:
        clean_up = set_up(plan, sockets)
        worker = Worker(plan, sockets, load, announcer, restarted)
        worker.clean_up = clean_up
        export(plan.settings)
        return supervise(worker, commands) if plan.is_supervised() else worker.run_alone()
    finally:
        clean_up()
        for sock in sockets:
            sock.close()


def first_sockets(plan: Plan, file: binding.SocketFile) -> list[socket.socket]:
    """All sockets of a plan: those that systemd has passed, and new ones."""
    passed = binding.passed_sockets()
    by_name = any(each.fd_name for each in plan.addresses)
    sockets = [] if by_name else passed.take_units()
    sockets = sockets or binding.open_sockets(plan.addresses, plan.settings.backlog, file, passed)
    if not any(map(redirects, sockets)):
        sockets += plain_listeners(plan, sockets, passed)
    passed.forget_rest()
    return sockets


def plain_listeners(
    plan: Plan, sockets: Sequence[socket.socket], passed: PassedSockets
) -> list[Listener]:
    """The listeners of --redirect-http. With --domain, port 80 is used if that is possible."""
    if plan.redirect_http is not None:
        return redirects_or_close(plan.redirect_http, sockets, plan.settings.backlog, passed)
    if plan.acme is None:
        return []
    try:
        return binding.open_redirects(HTTP, sockets, plan.settings.backlog, passed)
    except binding.BindError as problem:
        log.warning(
            "%s The plain port is not served, and the challenge http-01 cannot be answered, only"
            " tls-alpn-01 on port 443. --redirect-http names another plain port.", problem,
        )  # fmt: skip
        return []


def redirects_or_close(
    port: int, sockets: Sequence[socket.socket], backlog: int, passed: PassedSockets
) -> list[Listener]:
    """The listeners of --redirect-http. If there can be none, the others are closed."""
    try:
        return binding.open_redirects(port, sockets, backlog, passed)
    except OSError:
        binding.remove_files(sockets)
        for sock in sockets:
            sock.close()
        raise


def supervise(worker: Worker, beside: Sequence[Command] = ()) -> int:
    """Run as many worker processes as the plan says; returns the exit code."""
    settings = worker.plan.settings
    totals = Totals(settings.metrics.metrics_routes)
    statsd = statsd_of(settings.metrics, totals)
    commands = Commands(beside, settings.graceful_timeout)
    commands.start(worker.sockets)
    code = 0
    try:
        admin = SupervisorAdmin(open_admin(settings.operation), worker.served(), totals, statsd)
        code = supervisor_for(worker, admin, commands).run()
    finally:
        commands.join(at_once=code > FORCED)
    if code == 0:
        worker.announcer.stopped()
    return code


def supervisor_for(
    worker: Worker, admin: SupervisorAdmin | None = None, commands: Commands | None = None
) -> Supervisor:
    """The supervisor of a plan with several workers, not yet running. Raises CannotFork."""
    plan = worker.plan
    commands = commands or Commands((), 0.0)
    settings = plan.settings
    # If this process ends after serving, no other code in it waits for children.
    adopts = plan.ends_process and (os.getpid() == 1 or child.is_subreaper())
    preload = preload_of(worker) if plan.preload else None
    patience = settings.graceful_timeout
    generations = Generations(plan.workers, patience, start_timeout=settings.start_timeout)
    return Supervisor(
        preload or Fork(worker.run_supervised, adopts=adopts),
        generations,
        Health(settings.worker_timeout, settings.threads),
        sockets=worker.sockets,
        on_ready=lambda: worker.announcer.ready(worker.sockets, plan),
        on_slow_stop=worker.announcer.stopping,
        stay=plan.ends_process,
        relay=SupervisorRelay(settings),
        wear=Wear(settings.worker_limits, log.warning, most_stuck=most_stuck(settings.threads)),
        admin=admin,
        rollout=Rollout(generations, settings.worker_limits.canary, preload),
        drain_delay=settings.operation.drain_delay,
        crash_reports=crash_reports(plan),
        on_replace=lambda: _reload(plan, commands),
        on_stop=commands.stop,
    )


def _reload(plan: Plan, commands: Commands) -> None:
    """Load certificates again, and restart the commands beside the workers."""
    if plan.tls is not None:
        plan.tls.reload()
    commands.restart()


def crash_reports(plan: Plan, forks: bool = True) -> CrashReports:
    """The reports of workers that crash, in the state folder.

    `forks`: processes of their own write them, which a process with threads cannot start.
    """
    try:
        folder = (plan.state or state_folder()) / FOLDER
    except RuntimeError:  # this user has no home
        return CrashReports()
    keep = plan.settings.operation.crash_reports
    return CrashReports(folder, keep, plan.application, str(project()), forks)


def preload_of(worker: Worker) -> Preload:
    """The start method of --preload. Raises ValueError where it does not work."""
    from carboy.server.processes.preload import Preload

    try:
        return Preload(worker, worker.plan.settings.start_timeout, signals.SUPERVISED)
    except OSError as problem:
        raise ValueError(f"--preload requires Linux. {problem}") from None
