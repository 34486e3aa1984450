"""`carboy run --check-config`: every problem that can be found out without serving.

Nothing is written, no socket listens, and the application is loaded in a child process, so that a
server that already runs is not disturbed.
"""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import click

from carboy.acme.settings import acme_settings
from carboy.cli import config, mounts
from carboy.cli.application import chosen_app, load_or_explain
from carboy.cli.configuration.places import (
    check_addresses,
    check_admin,
    check_conflicts,
    check_files,
    check_names,
)
from carboy.cli.configuration.problems import Problem
from carboy.cli.options import PROBLEMS
from carboy.cli.process_options import hooks_module
from carboy.net.certificate_error import CertificateError
from carboy.server.beside_tls import HTTPS
from carboy.server.bind import Address, BindError, SocketFile, from_host, parse_bind
from carboy.server.processes import load_check
from carboy.server.processes.commands import parse_command
from carboy.server.processes.plan import Plan
from carboy.server.processes.worker import Worker
from carboy.server.serve import HOST, HTTP, PORT, LogAnnouncer
from carboy.server.settings import Settings, names_of_settings, with_values
from carboy.server.signals import hold
from carboy.server.tls_setup import tls_server

ACME = ("domain", "acme_email", "acme_directory", "acme_staging", "acme_ca", "state")
TLS = ("cert", "key", "key_password_file")
Values = Mapping[str, Any]
MakePlan = Callable[[dict[str, Any]], Plan]


def check_config(
    ctx: click.Context,
    app: str | None,
    mount: mounts.Mounted,
    values: dict[str, Any],
    make_plan: MakePlan,
    as_json: bool,
) -> int:
    """Show all problems; returns the exit code, 1 if there is one."""
    hold(False)
    project: config.Project = ctx.meta[config.PROJECT]
    found = [Problem("pyproject.toml", text) for text in project.problems]
    found += [Problem(name, text) for name, text in ctx.meta[PROBLEMS]]
    settings, wrong = usable_settings(values)
    found += wrong
    found += check_tls(values, settings)
    addresses, wrong = wanted_addresses(values)
    found += wrong
    found += check_addresses(addresses, SocketFile(values["socket_mode"], values["socket_group"]))
    found += check_admin(settings.operation)
    found += check_conflicts(addresses, settings.operation)
    found += check_files(values)
    found += check_names(values)
    found += check_commands(values)
    name, wrong = name_of_application(ctx, app, bool(mount or values["static"]))
    found += wrong
    if name is not None:
        found += check_application(name, settings, mount, values.get("hooks"))
    if not any(each.is_error for each in found):
        found += check_plan(values, make_plan)
    show(found, name or "", as_json)
    return 1 if any(each.is_error for each in found) else 0


def show(found: list[Problem], name: str, as_json: bool) -> None:
    """Write the problems, as text or as JSON."""
    found = list(dict.fromkeys(found))
    errors = [each for each in found if each.is_error]
    if as_json:
        groups = {"problems": errors, "notices": [each for each in found if not each.is_error]}
        lists = {
            title: [{"about": each.about, "text": each.text} for each in group]
            for title, group in groups.items()
        }
        click.echo(json.dumps({"ok": not errors, "app": name, **lists}, indent=2))
        return
    for each in found:
        click.echo(f"{'Error' if each.is_error else 'Notice'}: {each.text.rstrip()}")
    if errors:
        click.echo("1 problem." if len(errors) == 1 else f"{len(errors)} problems.")
    else:
        click.echo(f"The configuration is correct{f', and {name} loads' if name else ''}.")


def usable_settings(values: Values) -> tuple[Settings, list[Problem]]:
    """The settings with the values that can be used, and a problem for each of the others."""
    names = [name for _, name, _ in names_of_settings()]
    given = {name: values[name] for name in names if values.get(name) is not None}
    problems: list[Problem] = []
    while True:
        try:
            return with_values(Settings(), given), problems
        except (ValueError, TypeError) as problem:
            culprit = _culprit(given, str(problem))
            problems.append(Problem(culprit, str(problem)))
            del given[culprit]


def _culprit(given: dict[str, Any], text: str) -> str:
    """The name without which a problem goes away; the last one if none is enough."""
    for name in given:
        try:
            with_values(Settings(), {key: value for key, value in given.items() if key != name})
        except (ValueError, TypeError) as other:
            if str(other) == text:
                continue
        return name
    return next(reversed(given))


def wanted_addresses(values: Values) -> tuple[list[Address], list[Problem]]:
    """The addresses to listen on, and a problem for each that cannot be read."""
    found: list[Address] = []
    problems: list[Problem] = []
    for text in values["bind"] or ():
        try:
            found.append(parse_bind(text))
        except ValueError as problem:
            problems.append(Problem("bind", str(problem)))
    if values["fd"] is not None:
        found.append(Address(fd=values["fd"]))
    host, port = values["host"], values["port"]
    if host is not None or port is not None or not (found or problems):
        usual = ("", HTTPS) if values["domain"] else (HOST, PORT)
        try:
            wanted = usual[0] if host is None else host, usual[1] if port is None else port
            found.append(from_host(*wanted))
        except ValueError as problem:
            problems.append(Problem("host", str(problem)))
    plain = values["redirect_http"] or (HTTP if values["domain"] else None)
    if plain:
        hosts = dict.fromkeys(each.host for each in found if each.port is not None)
        found += [Address(host, plain) for host in hosts]
    return found, problems


def check_tls(values: Values, settings: Settings) -> Iterator[Problem]:
    """A problem for each certificate that cannot be used today, and for settings of TLS."""
    try:
        acme_settings(**{name: values[name] for name in ACME})
    except (ValueError, TypeError) as problem:
        yield Problem("domain", str(problem))
    cert, key, password_file = (values[name] for name in TLS)
    if values["domain"] and not cert:
        return
    try:
        tls = tls_server(cert, key, settings, password_file)
    except CertificateError as problem:
        yield from (Problem("cert", line) for line in str(problem).splitlines())
    except ValueError as problem:
        yield Problem("key", str(problem))
    else:
        for warning in () if tls is None else tls.warnings():
            yield Problem("cert", warning, is_error=tls is not None and not tls.is_valid())


def check_commands(values: Values) -> Iterator[Problem]:
    """A problem for each command of --with that cannot be started."""
    for text in values.get("with") or ():
        try:
            parse_command(text)
        except ValueError as problem:
            yield Problem("with", str(problem))


def name_of_application(
    ctx: click.Context, app: str | None, optional: bool
) -> tuple[str | None, list[Problem]]:
    """The name of the application, "" for none; None and a problem if there has to be one."""
    try:
        return chosen_app(ctx, app, optional), []
    except click.UsageError as problem:
        return None, [Problem("app", problem.format_message())]


def check_application(
    name: str, settings: Settings, mount: mounts.Mounted, hooks: str | None = None
) -> Iterator[Problem]:
    """A problem if the application, or the module of --hooks, cannot be loaded in a process."""
    load_hooks = partial(hooks_module, hooks) if hooks else None
    plan = Plan(addresses=(), settings=settings, access_log=False, load_hooks=load_hooks)
    worker = Worker(
        plan, (), lambda: load_or_explain(name, settings.interface, mount), LogAnnouncer()
    )
    failure = load_check.failure_in_child(worker.load_failure, settings.start_timeout)
    if failure is not None:
        yield Problem("app", failure)


def check_plan(values: dict[str, Any], make_plan: MakePlan) -> Iterator[Problem]:
    """A problem for options that exclude each other.

    With --domain, a plan would write to the state folder, so none is made.
    """
    if values["domain"]:
        return
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # warnings are among the problems already
            make_plan(dict(values))
    except click.ClickException as problem:
        yield Problem("options", problem.format_message())
    except (BindError, ValueError, TypeError) as problem:
        yield Problem("options", str(problem))
