"""An option of a command, with the heading under which the help shows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from carboy.cli.config import PREFIX
from carboy.server.setting import OTHER

# In the meta data of click's context while problems are collected: [(name of the option, text)]
PROBLEMS = "carboy.problems"


class SectionOption(click.Option):
    """An option with the heading under which the help shows it, and the unit of its value.

    While `carboy run --check-config` collects problems, a value that cannot be used is one of them,
    and the option then has no value.
    """

    def __init__(self, *args: Any, section: str = OTHER, unit: str = "", **options: Any) -> None:
        super().__init__(*args, **options)
        self.section = section
        self.unit = unit

    def handle_parse_result(
        self, ctx: click.Context, opts: Mapping[str, Any], args: list[str]
    ) -> tuple[Any, list[str]]:
        """The value of the option, and the arguments that are left."""
        try:
            return super().handle_parse_result(ctx, opts, args)
        except click.UsageError as problem:
            if PROBLEMS not in ctx.meta:
                raise
            ctx.meta[PROBLEMS].append((self.name, problem.format_message()))
            if self.expose_value and self.name is not None:
                ctx.params[self.name] = () if self.multiple else self.get_default(ctx)
            return None, args

    def type_cast_value(self, ctx: click.Context, value: Any) -> Any:
        """The value; a single text in [tool.carboy] is a list of one."""
        if self.multiple and isinstance(value, str):
            value = [value]
        return super().type_cast_value(ctx, value)


def option(*names: str, section: str, **attributes: Any) -> SectionOption:
    """An option with its environment variable, named after the first long name."""
    long = next(name for name in names if name.startswith("--"))
    name = long.partition("/")[0].removeprefix("--").replace("-", "_")
    attributes.setdefault("envvar", PREFIX + name.upper())
    return SectionOption([*names, name], section=section, **attributes)
