"""Time spans of options and arguments of commands to a running server."""

from __future__ import annotations

import re
from typing import Any

import click

from carboy.cli.option_types import ParamType

LONGEST = 600.0  # seconds
UNITS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0}


class Duration(ParamType):
    """A time span: 10, 10s, 500ms, 2m."""

    name = "duration"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The value in seconds."""
        if isinstance(value, float):
            return value
        found = re.fullmatch(r"(\d+(?:\.\d+)?) *([a-z]*)", str(value), re.ASCII)
        unit = UNITS.get(found[2]) if found else None
        seconds = 0.0 if found is None or unit is None else float(found[1]) * unit
        if not 0 < seconds <= LONGEST:
            self.fail(
                f"{value!r} is not a duration of up to {LONGEST:g} s. Use for example 10s or 2m.",
                param,
                ctx,
            )
        return seconds
