"""Kinds of values that options take: sizes, permission bits, numbers of workers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

from carboy.server.bind import BindError, check_host

if TYPE_CHECKING:
    Kind = click.ParamType[Any]
else:  # generic since click 8.4
    Kind = click.ParamType

UNITS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3}
SIZE = re.compile(r"([0-9]+)\s*([kmg]?)(?:i?b)?", re.IGNORECASE)
PORT = click.IntRange(0, 65535)


class Size(Kind):
    """A number of bytes: 4096, 512k, 10MiB."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        found = SIZE.fullmatch(str(value).strip())
        if found is None:
            self.fail(f"{value!r} is no size: write it like 4096, 512k or 10MiB.", param, ctx)
        return int(found[1]) * UNITS[found[2].lower()]


class Host(Kind):
    """An address, or a name that is known here; also unix://PATH."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        host = str(value)
        if ctx is None or not ctx.resilient_parsing:
            try:
                check_host(host)
            except BindError as problem:
                self.fail(str(problem), param, ctx)
        return host


class Octal(Kind):
    """Permission bits in octal: 660, 0o022."""

    name = "octal"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            bits = int(str(value), 8)
        except ValueError:
            bits = -1
        if not 0 <= bits <= 0o777:
            self.fail(f"{value!r} are no permission bits: write them like 660.", param, ctx)
        return bits


class Workers(Kind):
    """A number of processes from 1 up, or "auto"."""

    name = "workers"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | str:
        if value == "auto":
            return "auto"
        if not str(value).isdecimal() or int(value) < 1:
            self.fail(f"{value!r} is neither a number from 1 up nor 'auto'.", param, ctx)
        return int(value)
