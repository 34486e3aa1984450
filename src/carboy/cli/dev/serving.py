"""The options of `carboy dev` that are settings of the server, as `carboy run` has them."""

from __future__ import annotations

from typing import Any

import click

from carboy.cli.options import tuning
from carboy.server.settings import GROUPS, Settings, names_of_settings, with_values
from carboy.server.trust import UNTOUCHED

# The groups of settings that change what a browser gets
SERVED = ("static_files", "compression", "response_cache", "trust", "http2")


def serving_options() -> list[click.Parameter]:
    """The options. A group that is missing in GROUPS is an error."""
    return tuning([name for name in SERVED if name in GROUPS])


def development_settings(options: dict[str, Any], graceful: float) -> Settings:
    """The settings of the server; `graceful` is in seconds. Raises click.UsageError.

    Without --trusted-proxies, the application decides which proxies it trusts.
    """
    usual = Settings(
        graceful_timeout=graceful,
        idle_grace=0.0,
        trust=UNTOUCHED,
    )
    names = [name for group, name, _ in names_of_settings() if group in SERVED]
    given = {name: options[name] for name in names if options.get(name) is not None}
    try:
        return with_values(usual, given)
    except ValueError as problem:
        raise click.UsageError(str(problem)) from None
