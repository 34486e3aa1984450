"""The options of `carboy run`: made from the settings, so that there is one list of them.

Every option has a variable, CARBOY_ and its name, and a key in [tool.carboy].
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import click

from carboy.cli.config import PREFIX
from carboy.cli.option_types import PORT, Host, Octal, Size, Workers
from carboy.protocol.limits import Limits
from carboy.server.logs.access_log import FORMATS
from carboy.server.settings import AT_LEAST_ONE, LIMIT, POLLERS, Settings

WHAT = "What to serve"
WHERE = "Where to listen"
WORK = "Processes and threads"
LOGS = "Logs"
TIME = "Deadlines, in seconds or bytes a second"
SIZES = "Sizes and numbers"
LIMITS = "Limits of one request"
OTHER = "Other"

SHORT = {"threads": "-t"}
SECTIONS = {
    "threads": WORK, "stream_threads": WORK, "inline_budget": WORK, "watch_interval": WORK,
    "queue_limit": WORK, "queue_timeout": WORK, "learned_keys": WORK, "switch_interval": WORK,
    "headers_timeout": TIME, "keepalive_timeout": TIME, "body_grace": TIME, "body_rate": TIME,
    "write_grace": TIME, "write_rate": TIME, "silence_timeout": TIME,
    "graceful_timeout": TIME, "idle_grace": TIME, "worker_timeout": TIME,
    "start_timeout": TIME, "linger_timeout": TIME,
    "linger_size": SIZES, "spool_limit": SIZES, "high_water": SIZES, "read_size": SIZES,
    "connections": SIZES, "backlog": SIZES,
}  # fmt: skip
# Other spellings that people know from elsewhere
ALIASES = {"keepalive_timeout": "--keepalive"}


class SectionOption(click.Option):
    """An option that knows under which heading of the help it stands."""

    def __init__(self, *args: Any, section: str = OTHER, **options: Any) -> None:
        super().__init__(*args, **options)
        self.section = section


class SectionedCommand(click.Command):
    """A command with so many options that its help needs headings."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None and isinstance(param, click.Option):
                sections.setdefault(getattr(param, "section", OTHER), []).append(record)
        for title in (WHAT, WHERE, WORK, LOGS, TIME, SIZES, LIMITS, OTHER):
            if title in sections:
                with formatter.section(title):
                    formatter.write_dl(sections[title])


def option(*names: str, section: str, **attributes: Any) -> SectionOption:
    """An option with its variable, named after the first long name."""
    long = next(name for name in names if name.startswith("--"))
    name = long.partition("/")[0].removeprefix("--").replace("-", "_")
    attributes.setdefault("envvar", PREFIX + name.upper())
    return SectionOption([*names, name], section=section, **attributes)


def listening() -> list[click.Parameter]:
    """Where, how many, and what is logged."""
    return [
        option(
            "--host", "-h", section=WHERE, type=Host(),
            help="Address or name.  [default: 127.0.0.1]",
        ),
        option(
            "--port", "-p", section=WHERE, type=PORT,
            help="0 takes a free one.  [default: 8000]",
        ),
        option(
            "--bind", "-b", section=WHERE, multiple=True, metavar="ADDRESS",
            help="HOST:PORT, [IPV6]:PORT, unix:PATH or fd://NUMBER; may be repeated.",
        ),
        option(
            "--fd", section=WHERE, type=click.IntRange(min=0), metavar="NUMBER",
            help="A listening socket inherited from the program that started this one.",
        ),
        option(
            "--socket-mode", section=WHERE, type=Octal(), metavar="BITS",
            help="Permissions of unix sockets, like 660.",
        ),
        option(
            "--socket-group", section=WHERE, metavar="GROUP",
            help="Group that owns unix sockets, like that of the proxy. Permissions: 660.",
        ),
        option(
            "--umask", section=WHERE, type=Octal(), metavar="BITS",
            help="Permissions that files made by the application do not get, like 027.",
        ),
        option(
            "--workers", "-w", section=WORK, type=Workers(), default=1, metavar="N|auto",
            show_default=True, help="Processes; auto: one for each processor.",
        ),
        option(
            "--supervisor/--no-supervisor", section=WORK, default=True,
            help="A process that replaces workers which crash or are stuck. Without it the only"
            " worker is the process itself.  [default: yes]",
        ),
        option(
            "--access-log/--no-access-log", section=LOGS, default=True,
            help="A line for each request.  [default: yes]",
        ),
        option(
            "--access-log-format", section=LOGS, type=click.Choice(FORMATS), default="auto",
            show_default=True, help="auto: pretty on a terminal, else common.",
        ),
        option(
            "--access-log-file", section=LOGS, default="stdout", metavar="FILE",
            show_default=True, help="A file, stdout or stderr.",
        ),
    ]  # fmt: skip


def tuning() -> list[click.Parameter]:
    """An option for every field of Settings and of Limits."""
    defaults = Settings()
    options: list[click.Parameter] = [
        _setting(each.name, getattr(defaults, each.name), each.metadata)
        for each in fields(Settings)
        if each.name != "limits"
    ]
    options += (
        _limit(each.name, getattr(defaults.limits, each.name))
        for each in fields(Limits)
        if each.init
    )
    return options


def _setting(name: str, default: Any, metadata: Any) -> SectionOption:
    names = [f"--{name.replace('_', '-')}"]
    if isinstance(default, bool):
        names = [f"{names[0]}/--no-{name.replace('_', '-')}"]
    names += [extra[name] for extra in (SHORT, ALIASES) if name in extra]
    unit, reason = metadata["unit"], metadata["reason"]
    attributes: dict[str, Any] = {"type": _kind(default, unit, int(name in AT_LEAST_ONE))}
    if name == "poller":
        attributes["type"] = click.Choice(POLLERS)
    return option(
        *names, section=SECTIONS.get(name, OTHER), default=None,
        metavar=None if isinstance(default, bool) or name == "poller" else unit.upper(),
        help=f"{reason[0].upper()}{reason[1:]}.  [default: {_shown(default, unit)}]", **attributes,
    )  # fmt: skip


def _limit(name: str, default: Any) -> SectionOption:
    long = f"--{LIMIT}{name}".replace("_", "-")
    if isinstance(default, bool):
        long += f"/--no-{LIMIT}{name}".replace("_", "-")
    count = name.endswith("_count")
    return option(
        long, section=LIMITS, default=None, type=_kind(default, "" if count else "bytes"),
        metavar=None if isinstance(default, bool) else "NUMBER" if count else "SIZE",
        help=f"[default: {_shown(default, '' if count else 'bytes')}]",
    )  # fmt: skip


def _kind(default: Any, unit: str, least: int = 0) -> Any:
    if isinstance(default, bool):
        return bool
    if unit == "bytes":
        return Size()
    return {int: click.IntRange(min=least), float: click.FloatRange(min=0)}.get(type(default), str)


def _shown(value: Any, unit: str) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if unit == "bytes" and value >= 1024 and value % 1024 == 0:
        return f"{value // 1024}k" if value < 1024**2 else f"{value // 1024**2}m"
    return str(value)


def names_of(parameters: list[click.Parameter]) -> list[str]:
    """The keys that [tool.carboy] may have for them."""
    return [parameter.name for parameter in parameters if parameter.name]
