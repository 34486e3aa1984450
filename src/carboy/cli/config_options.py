"""The options of `carboy run` that show or check its configuration instead of serving.

--print-config   every value with its origin (carboy.cli.configuration.printed)
--check-config   every problem that can be found without serving (carboy.cli.configuration.check)
--config-schema  the JSON schema of [tool.carboy] (carboy.cli.configuration.schema)

They are on the command line only: they have no variable and no key in [tool.carboy].
"""

from __future__ import annotations

import os
from enum import Enum
from typing import Any

import click

from carboy.cli import platform_variables
from carboy.cli.options import CONFIGURATION, PROBLEMS, SectionOption

CHECK = "--check-config"
ACTION = "carboy.action"  # in the meta data of the context: an Action
USED = "carboy.platform"  # in the meta data of the context: option: variable of the platform
JSON = "carboy.json"  # in the meta data of the context: whether --json is given


class Action(Enum):
    """The things that `carboy run` does instead of serving."""

    PRINT = "--print-config"
    CHECK = CHECK
    SCHEMA = "--config-schema"


HELP = {
    Action.PRINT: "Show every value with its unit, meaning and origin, and exit.",
    Action.CHECK: "Show every problem that can be found without serving, and exit with code 1 if"
    " there is one.",
    Action.SCHEMA: "Show the JSON schema of [tool.carboy], and exit.",
}


def config_options() -> list[click.Parameter]:
    """The options."""
    actions = [_flag(action.value, HELP[action]) for action in Action]
    return [
        *actions,
        _flag("--json", "JSON instead of text, with --print-config or --check-config."),
    ]


def _flag(name: str, text: str) -> SectionOption:
    return SectionOption(
        [name], section=CONFIGURATION, is_flag=True, is_eager=True, expose_value=False,
        callback=_remember, help=text,
    )  # fmt: skip


def _remember(ctx: click.Context, param: click.Parameter, given: bool) -> None:
    if not given or ctx.resilient_parsing:
        return
    if param.name == "json":
        ctx.meta[JSON] = True
        return
    action = Action(param.opts[0])
    before = ctx.meta.setdefault(ACTION, action)
    if before is not action:
        raise click.UsageError(f"{before.value} and {action.value} exclude each other.", ctx)
    if action is Action.CHECK:
        ctx.meta[PROBLEMS] = []


def apply_platform(ctx: click.Context, values: dict[str, Any]) -> None:
    """Put the values of PORT, HOST and WEB_CONCURRENCY into `values`, as for a server."""
    insisted = platform_variables.insisted(ctx)
    try:
        ctx.meta[USED] = platform_variables.apply(values, insisted, os.environ)
    except click.UsageError as problem:
        if PROBLEMS not in ctx.meta:
            raise
        ctx.meta[PROBLEMS].append(("environment", problem.format_message()))


def asked(ctx: click.Context) -> Action | None:
    """The action that the command line asks for; None to serve. Raises a usage error."""
    action: Action | None = ctx.meta.get(ACTION)
    if ctx.meta.get(JSON) and action not in (Action.PRINT, Action.CHECK):
        raise click.UsageError("--json requires --print-config or --check-config.", ctx)
    return action
