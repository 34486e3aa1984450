"""The options of `carboy run`.

Most are made from the fields of `carboy.server.settings.Settings` and of
`carboy.protocol.limits.Limits`: **to add an option, add a field there**, with its default, its
unit and its help text. Only options that are not a setting of one worker (where to listen, how
many workers, which log) are written here, in `listening`, and are read in `carboy.cli.run`.

Every option has an environment variable, CARBOY_ and its name, and a key in [tool.carboy].
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import Field
from typing import Any

import click

from carboy.cli.option_types import PORT, Host, LogFormat, Number, Octal, Size
from carboy.cli.process_options import processes
from carboy.cli.section_option import PROBLEMS, SectionOption, option
from carboy.server.logs.formats import FORMATS
from carboy.server.setting import (
    ADMIN,
    APPLICATION,
    CACHE,
    CHANNELS,
    COMPRESSION,
    HTTP2,
    LOGS,
    METRICS,
    OTHER,
    PROCESS,
    PROXIES,
    SIZES,
    STATIC,
    THREADS,
    TIMES,
    TLS,
    WEBSOCKET,
    WORKERS,
)
from carboy.server.settings import Settings, names_of_settings

__all__ = [
    "ADDRESS", "CONFIGURATION", "LIMITS", "LOGS", "PROBLEMS", "RELOAD", "SECTIONS", "TOOLS",
    "SectionOption", "SectionedCommand", "certificates", "listening", "names_of", "option",
    "ordered_certificates", "state_folder_option", "tuning",
]  # fmt: skip

ADDRESS = "Address"
LIMITS = "Limits of one request"
CONFIGURATION = "Configuration"
RELOAD = "Reload"  # of `carboy dev`, as the next
TOOLS = "Tools"
SECTIONS = (
    APPLICATION,
    ADDRESS,
    TLS,
    STATIC,
    COMPRESSION,
    CACHE,
    PROXIES,
    HTTP2,
    RELOAD,
    TOOLS,
    THREADS,
    WORKERS,
    PROCESS,
    LOGS,
    TIMES,
    SIZES,
    WEBSOCKET,
    LIMITS,
    CHANNELS,
    ADMIN,
    METRICS,
    OTHER,
    CONFIGURATION,
)


class SectionedCommand(click.Command):
    """A command whose help shows its options under headings."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None and isinstance(param, click.Option):
                # A no-break space, so that a line never ends with "[default:".
                kept = (record[0], record[1].replace("[default: ", "[default:\xa0"))
                sections.setdefault(getattr(param, "section", OTHER), []).append(kept)
        for title in SECTIONS:
            if title in sections:
                with formatter.section(title):
                    formatter.write_dl(sections[title])
        formatter.buffer[:] = [part.replace("\xa0", " ") for part in formatter.buffer]


def listening() -> list[click.Parameter]:
    """The options that are not a setting of one worker."""
    return [
        option(
            "--host", "-h", section=ADDRESS, type=Host(), metavar="HOST",
            help="Address or host name to listen on.  [default: 127.0.0.1]",
        ),
        option(
            "--port", "-p", section=ADDRESS, type=PORT, metavar="PORT",
            help="Port to listen on; 0 chooses a free port.  [default: 8000]",
        ),
        option(
            "--bind", "-b", section=ADDRESS, multiple=True, metavar="ADDRESS",
            help="Address to listen on: HOST:PORT, [IPV6]:PORT, unix:PATH, fd://NUMBER or"
            " fd://NAME. May be given more than once.",
        ),
        option(
            "--fd", section=ADDRESS, type=Number(int), metavar="NUMBER",
            help="File descriptor of a listening socket inherited from the parent process.",
        ),
        option(
            "--socket-mode", section=ADDRESS, type=Octal(), metavar="MODE",
            help="Permissions of unix sockets.  [default: 660, or 600 with a umask such as 077]",
        ),
        option(
            "--socket-group", section=ADDRESS, metavar="GROUP",
            help="Group that owns unix sockets, such as that of the proxy.",
        ),
        option(
            "--umask", section=ADDRESS, type=Octal(), metavar="MODE",
            help="Permissions that files made by the application do not get, such as 027."
            "  [default: unchanged]",
        ),
        *certificates(),
        *processes(),
        option(
            "--access-log/--no-access-log", section=LOGS, default=True,
            help="Access log, with a line for each request.  [default: yes]",
        ),
        option(
            "--access-log-format", section=LOGS, type=LogFormat(), default="auto",
            show_default=True, metavar="FORMAT",
            help=f"Format of the access log: {', '.join(FORMATS)}, or fields such as '%(h)s"
            " %(id)s'. auto: pretty on a terminal, common elsewhere.",
        ),
        option(
            "--access-log-file", section=LOGS, default="stdout", metavar="FILE",
            show_default=True, help="Destination of the access log: a file, stdout or stderr.",
        ),
    ]  # fmt: skip


def certificates() -> list[click.Parameter]:
    """The options for the files of certificates."""
    return [
        option(
            "--cert", section=TLS, multiple=True, metavar="FILE",
            help="Certificate for HTTPS, with its chain, in PEM format or with its key in PKCS#12."
            " May be given more than once; the first one is the default.",
        ),
        option(
            "--key", section=TLS, multiple=True, metavar="FILE",
            help="Private key of the certificate, if it is not in the same file. Several are given"
            " in the order of the certificates.",
        ),
        option(
            "--key-password-file", section=TLS, metavar="FILE",
            help="File whose first line is the password of encrypted keys. The variable"
            " CARBOY_KEY_PASSWORD is used without it.",
        ),
        option(
            "--redirect-http", section=TLS, type=PORT, metavar="PORT",
            help="Plain port, usually 80, whose clients are sent to HTTPS.",
        ),
        *ordered_certificates(),
    ]  # fmt: skip


def ordered_certificates() -> list[click.Parameter]:
    """The options for certificates that the server orders itself."""
    return [
        option(
            "--domain", section=TLS, multiple=True, metavar="NAME",
            help="Host name for which the server gets and renews a certificate itself. The default"
            " ports are then 443 and 80. May be given more than once.",
        ),
        option(
            "--acme-email", section=TLS, metavar="ADDRESS",
            help="E-mail address of the account at the certificate authority.",
        ),
        option(
            "--acme-directory", section=TLS, metavar="URL",
            help="Directory of the certificate authority (RFC 8555).  [default: that of Let's"
            " Encrypt]",
        ),
        option(
            "--acme-staging", section=TLS, is_flag=True, default=None,
            help="Test authority of Let's Encrypt, whose certificates clients do not trust.",
        ),
        option(
            "--acme-ca", section=TLS, metavar="FILE",
            help="Certificates of the authorities that sign the certificate of --acme-directory,"
            " if the system does not trust it.",
        ),
        state_folder_option(TLS),
    ]  # fmt: skip


def state_folder_option(section: str) -> click.Option:
    """The folder of certificates and crash reports, which several commands have."""
    return option(
        "--state", section=section, metavar="DIR",
        help="Folder for crash reports, and for the account and the certificates of --domain."
        "  [default: ~/.local/state/carboy]",
    )  # fmt: skip


def tuning(groups: Container[str] | None = None) -> list[click.Parameter]:
    """An option for every setting of a worker, or for those of these groups."""
    settings = Settings()
    return [
        _of_field(each, name, getattr(getattr(settings, group) if group else settings, each.name))
        for group, name, each in names_of_settings()
        if groups is None or (group is not None and group in groups)
    ]


def _of_field(each: Field[Any], name: str, default: Any) -> SectionOption:
    known = each.metadata
    unit = known.get("unit", "number" if name.endswith("_count") else "bytes")
    long = f"--{name.replace('_', '-')}"
    metavar: str | None = "SIZE" if unit == "bytes" else unit.upper()
    if isinstance(default, bool) or "flag" in known:
        long, metavar = f"{long}/--no-{long.removeprefix('--')}", None
    elif "choices" in known:
        metavar = None
    values: dict[str, Any] = {"default": None, "type": _type(default, unit, known)}
    if isinstance(default, tuple):
        values = {"multiple": True, "callback": _or_default}
    shown = known.get("shown") or _shown(default, unit)
    return option(
        long, *known.get("flags", ()), section=known.get("section", LIMITS), metavar=metavar,
        help=f"{known['help']}  [default: {shown}]", unit=unit, **values,
    )  # fmt: skip


def _or_default(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
    """None for an option that is not given, so that the default of the setting counts."""
    return value or None


def _type(default: Any, unit: str, known: Any) -> Any:
    if "choices" in known:
        return click.Choice(known["choices"])
    if isinstance(default, bool | str):
        return type(default)
    if "flag" in known:
        return bool
    if unit == "bytes":
        return Size()
    return Number(type(default), known.get("least", 0))


def _shown(value: Any, unit: str) -> str:
    """A default as the help shows it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if unit == "bytes" and value >= 1024 and value % 1024 == 0:
        return f"{value // 1024}k" if value < 1024**2 else f"{value // 1024**2}m"
    return str(value)


def names_of(parameters: list[click.Parameter]) -> list[str]:
    """The keys that [tool.carboy] may have for these options: those that a variable can set too."""
    return [each.name for each in parameters if each.name and (each.envvar or each.expose_value)]
