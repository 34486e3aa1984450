"""Variables that platforms set for every server: PORT, HOST and WEB_CONCURRENCY.

    option, CARBOY_ variable  >  variable of the platform  >  [tool.carboy]  >  default

A platform sends requests to PORT from outside, so the host is then 0.0.0.0 unless one was given.
PORT is not used beside complete addresses (--bind, --fd). Some shells and build tools set HOST to
the name or the type of the machine, so only an address or `localhost` counts.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from ipaddress import ip_address
from typing import Any

import click
from click.core import ParameterSource

from carboy.cli.option_types import PORT, Workers

EVERY_ADDRESS = "0.0.0.0"
INSISTED = (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT)


def insisted(ctx: click.Context) -> set[str]:
    """Names of the options given on the command line or by a CARBOY_ variable."""
    return {name for name in ctx.params if ctx.get_parameter_source(name) in INSISTED}


def apply(
    values: dict[str, Any], insisted: Collection[str], environ: Mapping[str, str]
) -> dict[str, str]:
    """Put the values of the platform's variables into `values`, the options by name.

    Returns the variable that each changed option comes from. Raises click.UsageError for a value
    that cannot be used.
    """
    used: dict[str, str] = {}
    whole = values.get("bind") or values.get("fd") is not None
    port, host = environ.get("PORT", ""), environ.get("HOST", "")
    if port and not whole and "port" not in insisted:
        values["port"] = _converted(PORT, "PORT", port)
        used["port"] = "PORT"
    if is_address(host) and not whole and "host" not in insisted:
        values["host"] = host
        used["host"] = "HOST"
    if "port" in used and values.get("host") is None and not values.get("domain"):
        values["host"] = EVERY_ADDRESS
        used["host"] = "PORT"
    workers = environ.get("WEB_CONCURRENCY", "")
    if workers and "workers" not in insisted and values.get("supervisor", True):
        values["workers"] = _converted(Workers(), "WEB_CONCURRENCY", workers)
        used["workers"] = "WEB_CONCURRENCY"
    return used


def is_address(host: str) -> bool:
    """Whether HOST names an address to listen on."""
    try:
        ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return host == "localhost"
    return True


def _converted(kind: Any, variable: str, text: str) -> Any:
    try:
        return kind.convert(text, None, None)
    except click.BadParameter as problem:
        option = "--port" if variable == "PORT" else "--workers"
        raise click.UsageError(
            f"The variable {variable}: {problem.message} Correct it, or use {option}."
        ) from None


def lines(used: Mapping[str, str]) -> list[str]:
    """The line of the start message that says where values come from; [] without any."""
    by_variable: dict[str, list[str]] = {}
    for name, variable in used.items():
        by_variable.setdefault(variable, []).append(name)
    said = [f"{variable} ({' and '.join(names)})" for variable, names in by_variable.items()]
    return [f"Set by the environment: {', '.join(said)}"] if said else []
