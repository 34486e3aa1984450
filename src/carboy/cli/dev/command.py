"""The command `carboy dev`: reads its options and starts the server that reloads."""

from __future__ import annotations

import os
import ssl
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from socket import socket
from typing import Any, TypeVar

import click

from carboy.cli.application import chosen_app
from carboy.cli.banner import network_addresses
from carboy.cli.completion import complete
from carboy.cli.config import Environment
from carboy.cli.dev import portable, requests_folder
from carboy.cli.dev.file_changes import FileChangeHandler
from carboy.cli.dev.operating import admin_of
from carboy.cli.dev.port import listen
from carboy.cli.dev.serving import development_settings, serving_options
from carboy.cli.dev.terminal import Terminal
from carboy.cli.dev.tools import Tools
from carboy.cli.dev.worker import DevelopmentWorker
from carboy.cli.development_options import (
    OneLineCert,
    with_certificate,
    with_watched_files,
)
from carboy.cli.mounts import mounting, shown
from carboy.cli.option_types import PORT, Host
from carboy.cli.options import ADDRESS, RELOAD, TOOLS, SectionedCommand, SectionOption
from carboy.cli.run import FROM_CLI, as_flask, as_flask_in_children
from carboy.dev.debugger import settle_pin
from carboy.dev.requests import Store
from carboy.engine_url import VARIABLE, check_channels
from carboy.net.certificates import AuthorityError, how_to_trust, local_context, validity_problem
from carboy.net.tls import context_of, load_ssl_context, problem_of, wrapper
from carboy.net.tls_alpn import offer
from carboy.server.bind import BindError
from carboy.server.processes.development import DevelopmentSupervisor
from carboy.server.processes.plan import Plan
from carboy.server.processes.template import Templates
from carboy.server.serve import crash_reports
from carboy.server.setting import CHANNELS
from carboy.server.settings import Settings

F = TypeVar("F", bound=Callable[..., Any])
DEBUG = "FLASK_DEBUG"
OTHER_DEBUG = ("LITESTAR_DEBUG",)  # Litestar neither raises nor logs exceptions without it
PIN = "WERKZEUG_DEBUG_PIN"
ENVIRON = "carboy.environ"  # in the context's meta: variables before dotenv files were read
# It is not safe to fork a process that has used frameworks of macOS, and Windows has no fork.
CAN_FORK = sys.platform.startswith("linux")
GRACEFUL = 5.0  # seconds that requests of the old code may take to finish
EVERYWHERE = "0.0.0.0"


def _option(section: str, *names: str, **more: Any) -> Callable[[F], F]:
    """An option under a heading of the help."""
    return click.option(*names, cls=SectionOption, section=section, **more)


OPTIONS = (
    _option(
        ADDRESS, "--host", "-h", default="127.0.0.1", type=Host(), metavar="HOST",
        help="Address or host name to listen on.  [default: 127.0.0.1]",
    ),
    _option(
        ADDRESS, "--port", "-p", default=8000, type=PORT, metavar="PORT",
        help="Port to listen on; 0 chooses a free port. Without this option, 8000 or the next port"
        " that is free.",
    ),
    _option(ADDRESS, "--lan", is_flag=True, help="Access from other devices in the network."),
    _option(
        ADDRESS, "--tls", is_flag=True,
        help="HTTPS with a certificate of a local authority, which is created when needed.",
    ),
    partial(with_certificate, kind=OneLineCert),
    _option(
        RELOAD, "--reload/--no-reload", default=True,
        help="Reload of the application when a file changes.  [default: yes]",
    ),
    _option(
        RELOAD, "--warm/--no-warm", default=CAN_FORK,
        help="Reuse of imported packages for faster reloads.  [default: yes on Linux]",
    ),
    _option(
        RELOAD, "--live/--no-live", default=True,
        help="Refresh of open pages in the browser when a file changes.  [default: yes]",
    ),
    _option(
        TOOLS, "--requests/--no-requests", default=True,
        help="List of the last requests at /__carboy__/.  [default: yes]",
    ),
    _option(
        TOOLS, "--calls", is_flag=True,
        help="Function calls of each request, recorded in the list at /__carboy__/. Slows requests"
        " down.",
    ),
    _option(
        TOOLS, "--debugger/--no-debugger", default=True,
        help="Interactive debugger on error pages.  [default: yes]",
    ),
    with_watched_files,
    _option(
        CHANNELS, "--channels", metavar="URL", envvar=VARIABLE,
        help="System that carries messages of channels.  [default: this process]",
    ),
)  # fmt: skip


def _with_options(command: F) -> F:
    for each in reversed(OPTIONS):
        command = each(command)
    return command


@click.command("dev", cls=SectionedCommand, short_help="Serve an application while you write it.")
@click.argument("app", required=False, shell_complete=complete)
@_with_options
@click.pass_context
def command(ctx: click.Context, /, app: str | None, **options: Any) -> None:
    """Serve the application APP in debug mode while you write it.

    A file that is saved is served at once, and an error is shown as a page with a debugger. APP
    is named as for `carboy run`. Only this machine has access, unless --lan or --host is given.
    """
    given = portable.passed()
    try:
        name = chosen_app(ctx, app, optional=bool(options["mount"]))
    except click.ClickException:
        if not given:
            raise
        name = given["name"]  # its file is gone, and may come again
    settings = development_settings(options, GRACEFUL)
    environment = _environment(ctx, options["channels"])
    os.environ.update(environment.ours)
    host = EVERYWHERE if options["lan"] else options["host"]
    tools = Tools(options["debugger"], options["live"], host, _requests_folder(ctx, options, given))
    insisted = ctx.get_parameter_source("port") is not click.core.ParameterSource.DEFAULT
    port = options["port"]
    trust = _add_certificate(options) if options["tls"] else []
    if isinstance(options["cert"], tuple):
        options["cert"] = _load_certificate(*options["cert"])
    if given:
        _child(name, [], tools, environment, options, given["trust"]).serve(host, port, None)
        return
    try:
        address, sockets = listen(host, port, insisted)
    except (BindError, ValueError) as problem:
        raise click.ClickException(str(problem)) from None
    if options["warm"]:
        run = f"{os.getpid()}-{time.time_ns()}"
        plan = Plan(
            addresses=(address,),
            application=shown(name, options["mount"]),
            settings=settings,
            access_log_format="pretty",
            access_log_skip="/__carboy__/",  # requests of the tools, not of the application
            wrap=_wrap(options["cert"], settings),
            trace=tools.trace if tools.requests else None,
        )
        sys.exit(
            keep(
                DevelopmentWorker(name, run, plan, sockets, tools, environment, options["mount"]),
                options,
                trust,
            )
        )
    child = _child(name, sockets, tools, environment, options, trust)
    if options["reload"]:
        state = {"name": name, "trust": trust, "requests": str(tools.requests or "")}
        portable.keep(portable.ChildStarter(environment, sockets, state), child.terminal.stopped)
    else:
        child.serve(host, address.port or 0, sockets[0].fileno())


def _requests_folder(
    ctx: click.Context, options: dict[str, Any], given: dict[str, Any]
) -> Path | None:
    """The folder for the list of requests while the program runs; None without that list."""
    if not options["requests"]:
        if options["calls"]:
            raise click.UsageError(
                "--calls requires the list of requests. Leave out --no-requests."
            )
        return None
    if given:
        return Path(given["requests"])
    folder, remove = requests_folder.make()
    ctx.call_on_close(remove)
    Store(folder).records_calls = options["calls"]
    return folder


def _environment(ctx: click.Context, channels: str | None) -> Environment:
    ours = {FROM_CLI: "true"}
    if channels:
        try:
            check_channels(channels)
        except ValueError as problem:
            raise click.UsageError(f"--channels: {problem}", ctx) from None
        ours[VARIABLE] = channels
    for name in (DEBUG, *OTHER_DEBUG):
        ours[name] = os.environ.get(name, "1")
    ours[PIN] = settle_pin()
    before = ctx.meta.get(ENVIRON, dict(os.environ))
    return Environment(before, ours, ctx.find_root().params.get("env_file"))


def _add_certificate(options: dict[str, Any]) -> list[str]:
    """Set `cert` to a context of the local authority; returns lines about how to trust it."""
    if options["cert"] is not None:
        raise click.UsageError("--tls creates a certificate itself. Leave out --cert.")
    everywhere = options["lan"] or options["host"] in ("0.0.0.0", "::")
    names = network_addresses() if everywhere else [options["host"]]
    try:
        options["cert"], authority = local_context(names)
    except AuthorityError as problem:
        raise click.ClickException(str(problem)) from None
    place = str(authority.certificate).replace(str(Path.home()), "~", 1)
    if not authority.created:
        return [f"certificate signed by {place}"]
    return [f"Created {place}. To trust it in browsers, run:", *how_to_trust(authority.certificate)]


def _load_certificate(certificate: str, key: str) -> ssl.SSLContext:
    try:
        context = load_ssl_context(certificate, key)
    except OSError as problem:
        told = problem_of((certificate, key), problem)
        raise click.BadParameter(told, param_hint="--cert") from None
    if ended := validity_problem(certificate):
        click.secho(ended, err=True, fg="yellow")
    return context


def _wrap(certificate: Any, settings: Settings) -> Any:
    context = context_of(certificate)
    if context is not None:
        offer(context, settings.http2.protocols())
    return wrapper(context)


def keep(worker: DevelopmentWorker, options: dict[str, Any], trust: Sequence[str] = ()) -> int:
    """Serve with workers forked from a process that has imported the packages."""
    try:
        templates = Templates(worker)  # forks, so it comes before threads are started
    except OSError as problem:
        raise click.ClickException(f"{problem} Use --no-warm.") from None
    handler = _handler(worker.name, worker.sockets, worker.environment, options, trust)
    supervisor = DevelopmentSupervisor(
        templates, handler.terminal, Path.cwd(), GRACEFUL, admin_of(worker.plan, worker.sockets),
        crash_reports(worker.plan, forks=False),
    )  # fmt: skip
    handler.supervisor = supervisor
    if options["reload"]:
        handler.changes.start()
    try:
        return supervisor.run()
    finally:
        handler.changes.stop()
        for sock in worker.sockets:
            sock.close()


def _child(
    name: str,
    sockets: Sequence[socket],
    tools: Tools,
    environment: Environment,
    options: dict[str, Any],
    trust: Sequence[str],
) -> portable.Child:
    handler = _handler(name, sockets, environment, options, trust)
    return portable.Child(name, tools, handler, handler.terminal, options)


def _handler(
    name: str,
    sockets: Sequence[socket],
    environment: Environment,
    options: dict[str, Any],
    trust: Sequence[str],
) -> FileChangeHandler:
    handler = FileChangeHandler(
        options["extra_files"] or (),
        options["exclude_patterns"] or (),
        environment.env_file,
        options["live"],
    )
    handler.terminal = Terminal(
        shown(name, options["mount"]),
        sockets,
        options["cert"] is not None,
        [_what_is_on(options, environment.ours[PIN], handler.changes.name_of_way), *trust],
        qr_code=options["lan"],
        reported=handler.report,
    )
    return handler


def _what_is_on(options: dict[str, Any], pin: str, way: str) -> str:
    parts = []
    if options["reload"]:
        parts.append(f"reload by {way}")
    if options["live"]:
        parts.append("live page")
    if options["requests"]:
        parts.append("requests at /__carboy__/")
    if options["debugger"] or options["requests"]:
        parts.append("no PIN" if pin == "off" else f"debugger PIN {pin}")
    return " · ".join(parts)


command.params.extend([as_flask(), as_flask_in_children(), mounting(), *serving_options()])
