"""`carboy run`."""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from carboy.acme.settings import AcmeSettings, acme_settings
from carboy.cli import config_options, mounts, platform_variables
from carboy.cli.application import chosen_app, load_or_explain
from carboy.cli.banner import Banner
from carboy.cli.completion import complete
from carboy.cli.config_options import Action
from carboy.cli.config_options import config_options as configuration
from carboy.cli.framework import load_framework
from carboy.cli.options import SectionedCommand, listening, option, tuning
from carboy.cli.process_options import hooks_module
from carboy.cli.switches import is_on
from carboy.net.certificate_error import CertificateError
from carboy.server.bind import Address, BindError
from carboy.server.processes.commands import Command, parse_command
from carboy.server.processes.plan import Plan
from carboy.server.processes.start_methods import CannotFork
from carboy.server.serve import addresses, count_workers, start
from carboy.server.setting import APPLICATION
from carboy.server.settings import Settings, with_values
from carboy.server.signals import ignore
from carboy.server.tls_setup import tls_server

if TYPE_CHECKING:
    from carboy.net.tls_server import TlsServer

DEBUG = "FLASK_DEBUG"
# While it is set, app.run() in the application's module does nothing. The variable is Flask's,
# because tests that run commands in their own process remove it by that name.
FROM_CLI = "FLASK_RUN_FROM_CLI"
PLAN = (
    *("workers", "supervisor", "preload", "access_log", "access_log_format", "access_log_file"),
    *("socket_mode", "socket_group", "umask", "redirect_http"),
)
PLACE = ("host", "port", "bind", "fd")
ACME = ("domain", "acme_email", "acme_directory", "acme_staging", "acme_ca", "state")


def run(ctx: click.Context, /, app: str | None, mount: mounts.Mounted, **values: Any) -> None:
    """Serve the application APP.

    APP is MODULE, MODULE:NAME, MODULE:FACTORY("argument", key=1) or the path of a file. Without
    APP, the variables CARBOY_APP and FLASK_APP are used, then wsgi.py or app.py in the current
    folder.

    Every option can also be set by an environment variable (CARBOY_PORT=80) or by a key of
    [tool.carboy] in pyproject.toml. A SIZE is a number of bytes: 4096, 512k, 10m. Platforms set
    PORT, HOST and WEB_CONCURRENCY (workers); with PORT, the default host is 0.0.0.0.

    SIGHUP loads the application again without losing a connection. SIGTERM and Ctrl+C stop
    the server gracefully, with exit code 0. A second Ctrl+C stops it at once.
    """
    if action := config_options.asked(ctx):
        sys.exit(_perform(action, ctx, app, mount, values))
    name = chosen_app(ctx, app, optional=bool(mount or values["static"]))
    os.environ[FROM_CLI] = "true"
    atexit.register(ignore)
    insisted = platform_variables.insisted(ctx)
    used = platform_variables.apply(values, insisted, os.environ)
    try:
        plan = make_plan(values)
    except (ValueError, TypeError) as problem:
        raise click.UsageError(str(problem), ctx) from None
    try:
        refuse_debug_in_public(plan.addresses)
        interface = plan.settings.interface
        shown = mounts.shown(name, mount) or ", ".join(values["static"])
        banner = Banner(shown, platform_variables.lines(used))
        plan = replace(plan, application=shown)
        commands = commands_of(values)
        if plan.is_supervised():
            names = name, *(other for _, other, _ in mount)
            load_framework(names, Path.cwd(), names_are_installed())
        code = start(plan, lambda: load_or_explain(name, interface, mount), banner, commands)
    except (BindError, CannotFork, ValueError, TypeError) as problem:
        raise click.ClickException(str(problem)) from None
    sys.exit(code)


def _perform(
    action: Action,
    ctx: click.Context,
    app: str | None,
    mount: mounts.Mounted,
    values: dict[str, Any],
) -> int:
    """Show or check the configuration instead of serving; returns the exit code."""
    try:
        return _shown(action, ctx, app, mount, values)
    except (ValueError, TypeError) as problem:
        raise click.UsageError(str(problem), ctx) from None


def _shown(
    action: Action,
    ctx: click.Context,
    app: str | None,
    mount: mounts.Mounted,
    values: dict[str, Any],
) -> int:
    """Carry out the action. Raises ValueError for a value that cannot be shown."""
    config_options.apply_platform(ctx, values)
    as_json = bool(ctx.meta.get(config_options.JSON))
    if action is Action.PRINT:
        from carboy.cli.configuration.printed import print_config

        return print_config(ctx, app, {**values, "mount": mount}, as_json)
    if action is Action.SCHEMA:
        from carboy.cli.configuration.schema import print_schema

        return print_schema(ctx.command)
    from carboy.cli.configuration.check import check_config

    return check_config(ctx, app, mount, values, checked_plan, as_json)


def checked_plan(values: dict[str, Any]) -> Plan:
    """The plan of the server. Raises a usage error for debug mode on a public address."""
    plan = make_plan(values)
    refuse_debug_in_public(plan.addresses)
    return plan


def commands_of(values: dict[str, Any]) -> tuple[Command, ...]:
    """The commands of --with. Raises ValueError if one cannot be started."""
    commands = tuple(map(parse_command, values.get("with") or ()))
    if commands and not values["supervisor"]:
        raise ValueError("--with requires the supervisor. Leave out --no-supervisor.")
    return commands


def make_plan(values: dict[str, Any]) -> Plan:
    """The plan of the server, from the options of the command."""
    given = {name: value for name, value in values.items() if value is not None}
    commands_of(values)
    given.pop("with", None)
    workers = count_workers(given.pop("workers"))
    if workers > 1 and not given["supervisor"]:
        raise click.UsageError("--no-supervisor requires --workers 1.")
    plan = {name: given.pop(name) for name in PLAN if name in given}
    place = {name: given.pop(name, None) for name in PLACE}
    asked = {name: given.pop(name) for name in ACME if name in given}
    acme = acme_settings(**asked)
    state = asked.get("state")
    public = acme is not None
    where = addresses(place["host"], place["port"], place["bind"] or (), place["fd"], public)
    cert, key = given.pop("cert"), given.pop("key")
    password_file = given.pop("key_password_file", None)
    hooks = given.pop("hooks", None)
    given.pop("chdir", None)  # already done
    settings = with_values(Settings(), given)
    tls = load_certificates(cert, key, password_file, settings, acme)
    return Plan(
        addresses=where, workers=workers, settings=settings, ends_process=True, tls=tls, acme=acme,
        state=Path(state).absolute() if state else None,
        load_hooks=hooks and partial(hooks_module, hooks), **plan,
    )  # fmt: skip


def load_certificates(
    cert: Sequence[str],
    key: Sequence[str],
    password_file: str | None,
    settings: Settings,
    acme: AcmeSettings | None = None,
) -> TlsServer | None:
    """The TLS of the server; None without certificates. Shows warnings about certificates."""
    try:
        tls = tls_server(cert, key, settings, password_file, acme)
    except CertificateError as problem:
        raise click.ClickException(str(problem)) from None
    for warning in () if tls is None else tls.warnings():
        click.secho(warning, err=True, fg="yellow")
    return tls


def refuse_debug_in_public(addresses: Iterable[Address]) -> None:
    """Raise a usage error if other machines could reach an application in debug mode.

    Error pages in debug mode show more than strangers should see.
    """
    if not is_on(os.environ.get(DEBUG, "0")):
        return
    for address in addresses:
        if address.port is not None and not is_loopback(address.host):
            raise click.UsageError(
                f"Debug mode is for this machine only, and others reach {address}. Leave out"
                f" --debug (or {DEBUG}), listen on 127.0.0.1, or use `carboy dev --lan`."
            )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a host to listen on."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _set_debug(ctx: click.Context, param: click.Parameter, wanted: bool | None) -> None:
    if wanted is not None:
        os.environ[DEBUG] = "1" if wanted else "0"


def debug() -> click.Option:
    """The option that sets the debug mode of the application."""
    return option(
        "--debug/--no-debug", section=APPLICATION, default=None, is_eager=True, expose_value=False,
        callback=_set_debug,
        help="Debug mode of the application; refused on an address that other machines reach.",
    )  # fmt: skip


def as_flask() -> click.Option:
    """The option that makes `flask` and `werkzeug` mean Carboy before the application is loaded."""
    return option(
        "--flask", section=APPLICATION, is_flag=True, is_eager=True, expose_value=False,
        callback=_install_names,
        help="Carboy under the names flask and werkzeug, for applications that import them.",
    )  # fmt: skip


def as_flask_in_children() -> click.Option:
    """The option that does so in the child processes of the application as well."""
    return option(
        "--flask-children", section=APPLICATION, is_flag=True, is_eager=True, expose_value=False,
        callback=_install_names,
        help="Carboy under the names flask and werkzeug, including in Python processes that the"
        " application starts.",
    )  # fmt: skip


def _install_names(ctx: click.Context, param: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        install_names(children=param.name == "flask_children" or None)


def install_names_if_asked() -> None:
    """Do what --flask does, for every command, if CARBOY_COMPAT=1 is set."""
    if os.environ.get("CARBOY_COMPAT"):
        from carboy.compat import child_processes

        if child_processes.asked_for():
            install_names()


def names_are_installed() -> bool:
    """Whether `flask` and `werkzeug` mean Carboy; without loading what installs them."""
    compat = sys.modules.get("carboy.compat")
    return compat is not None and compat.is_installed()


def install_names(children: bool | None = None) -> None:
    """Make `flask` and `werkzeug` mean Carboy in everything that is imported later."""
    from carboy.compat import install

    install(children)


command = SectionedCommand(
    "run",
    callback=click.pass_context(run),
    params=[
        click.Argument(["app"], required=False, shell_complete=complete),
        as_flask(),
        as_flask_in_children(),
        debug(),
        mounts.mounting(),
        *listening(),
        *tuning(),
        *configuration(),
    ],
    help=run.__doc__,
    short_help="Serve an application.",
)
