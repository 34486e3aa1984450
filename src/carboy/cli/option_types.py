"""Types of the values of options: numbers, sizes, ports, hosts, permissions, workers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import click

from carboy.server.bind import BindError, check_host
from carboy.server.logs.formats import check_format
from carboy.sizes import size_of_text

if TYPE_CHECKING:
    ParamType = click.ParamType[Any]
else:  # generic since click 8.4
    ParamType = click.ParamType


class Number(ParamType):
    """An int or a float of at least `least`."""

    name = "number"

    def __init__(self, kind: type[int | float], least: int = 0) -> None:
        self.kind = kind
        self.least = least

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | float:
        try:
            number = self.kind(value)
        except ValueError:
            number = math.nan
        if not self.least <= number < math.inf:
            kind = "a whole number" if self.kind is int else "a number"
            self.fail(f"{value!r} is not {kind} of at least {self.least}.", param, ctx)
        return number


class Port(ParamType):
    """The number of a TCP port; 0 for a free one."""

    name = "port"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            port = int(value)
        except ValueError:
            self.fail(
                f"{value!r} is not a valid integer. Use a number from 0 to 65535.", param, ctx
            )
        if not 0 <= port <= 65535:
            self.fail(f"{value!r} is not a port. Use a number from 0 to 65535.", param, ctx)
        return port


PORT = Port()


class Size(ParamType):
    """A number of bytes: 4096, 512k, 10MiB."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            return size_of_text(str(value))
        except ValueError as problem:
            self.fail(str(problem), param, ctx)


class Host(ParamType):
    """An address, a host name that can be resolved here, or unix://PATH."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        host = str(value)
        if ctx is None or not ctx.resilient_parsing:
            try:
                check_host(host)
            except BindError as problem:
                self.fail(str(problem), param, ctx)
        return host


class LogFormat(ParamType):
    """A format of the access log: a name, or fields such as %(h)s."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            check_format(str(value))
        except ValueError as problem:
            self.fail(str(problem), param, ctx)
        return str(value)


class Octal(ParamType):
    """Permissions in octal: 660, 0o022."""

    name = "octal"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            bits = int(str(value), 8)
        except ValueError:
            bits = -1
        if not 0 <= bits <= 0o777:
            self.fail(f"{value!r} is not a mode. Use octal digits, such as 660.", param, ctx)
        return bits


class CommandLine(ParamType):
    """A command line; in a variable, each line is one."""

    name = "command"
    envvar_list_splitter = "\n"

    def split_envvar_value(self, rv: str) -> list[str]:
        """The lines of a variable that are not empty."""
        return [line for line in rv.splitlines() if line.strip()]


class Workers(ParamType):
    """A number of processes from 1 up, or "auto"."""

    name = "workers"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | str:
        if value == "auto":
            return "auto"
        if not str(value).isdecimal() or int(value) < 1:
            self.fail(
                f"{value!r} is not a number of workers. Use a number from 1 up, or auto.",
                param, ctx,
            )  # fmt: skip
        return int(value)
