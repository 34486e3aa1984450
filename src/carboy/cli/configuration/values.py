"""Every value of the configuration of `carboy run`, with its unit, meaning and origin."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from carboy.cli import config, mounts
from carboy.cli.config_options import USED
from carboy.cli.option_types import Number, Octal, Port, Size, Workers
from carboy.cli.options import SectionOption
from carboy.cli.switches import is_on
from carboy.server.serve import HOST, PORT
from carboy.server.settings import Settings, names_of_settings, with_values

SECRET = re.compile(r"(?:^|_)(?:token|secret|password)$")
LOGIN = re.compile(r"(?<=://)([^/?#\s:@]*):[^/?#\s]*(?=@)")
SECRET_FIELD = re.compile(r"([\w-]*(?:pass|token|secret)[\w-]*=)[^&\s]+", re.IGNORECASE)
DEBUG = "FLASK_DEBUG"
HIDDEN = "***"
DEFAULT_IN_HELP = re.compile(r"\s*\[default: .*\]$")
# The units of options that are not settings of a worker, by the type of their value
UNITS: dict[type, str] = {Port: "port", Octal: "mode", Size: "bytes", Workers: "processes"}


class Source(Enum):
    """The places where a value can be set, each before the next."""

    OPTION = "option"
    VARIABLE = "variable"
    FILE = "file"
    DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value was set: the option or variable, and the file and line that has it."""

    source: Source
    name: str = ""
    file: str = ""
    line: int | None = None

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        if self.source is Source.VARIABLE:
            return f"variable {self.name}" + (f" in {place}" if place else "")
        return place or f"{self.source.value} {self.name}".strip()


@dataclass(frozen=True, slots=True)
class Value:
    """One value; None if there is none. A secret is shown as ***."""

    key: str
    section: str
    value: Any
    unit: str
    meaning: str
    origin: Origin


def values_of(ctx: click.Context, values: Mapping[str, Any]) -> Iterator[Value]:
    """The value of every option of the command of `ctx`; `values` are those that click has read."""
    in_effect = effective(values)
    for param in ctx.command.params:
        if not isinstance(param, SectionOption) or not param.name:
            continue
        if param.name not in ctx.params and not param.envvar:
            continue  # --print-config itself
        value = in_effect.get(param.name, None)
        if not param.expose_value:
            value = _flag(ctx, param)
        yield Value(
            key=param.name.replace("_", "-"),
            section=param.section,
            value=_without_secrets(param.name, _plain(param, value)),
            unit=unit_of(param),
            meaning=DEFAULT_IN_HELP.sub("", param.help or ""),
            origin=origin_of(ctx, param),
        )


def effective(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values with the defaults of the settings, of the host and of the port."""
    names = {name: (group, each.name) for group, name, each in names_of_settings()}
    given = {name: values[name] for name in names if values.get(name) is not None}
    settings = with_values(Settings(), given)
    found = dict(values)
    for name, (group, own) in names.items():
        found[name] = getattr(getattr(settings, group) if group else settings, own)
    if not (values.get("bind") or values.get("fd") is not None or values.get("domain")):
        found["host"] = HOST if values.get("host") is None else values["host"]
        found["port"] = PORT if values.get("port") is None else values["port"]
    return found


def _flag(ctx: click.Context, param: SectionOption) -> bool:
    """The value of an option whose callback has already done what it asks for."""
    name = str(param.name)
    if name == "debug":
        return is_on(os.environ.get(DEBUG, "0"))
    source = ctx.get_parameter_source(name)
    if source is ParameterSource.ENVIRONMENT:
        return is_on(os.environ.get(str(param.envvar), ""))
    if source is ParameterSource.DEFAULT_MAP:
        return bool(ctx.meta[config.PROJECT].values[name])
    return source is ParameterSource.COMMANDLINE


def unit_of(param: SectionOption) -> str:
    """The unit of an option's value, for people."""
    if param.unit:
        return param.unit
    if param.is_flag:
        return "yes or no"
    if isinstance(param.type, Number):
        return "number"
    if isinstance(param.type, click.Choice):
        return "name"
    return UNITS.get(type(param.type), (param.metavar or "text").lower())


def _plain(param: SectionOption, value: Any) -> Any:
    """A value that TOML and JSON have: a mode as octal digits, a tuple as a list."""
    if isinstance(param.type, Octal) and isinstance(value, int):
        return f"{value:o}"
    if isinstance(value, tuple | list):
        return [mounts.written(each) if isinstance(each, tuple) else each for each in value]
    return value


def _without_secrets(name: str, value: Any) -> Any:
    if isinstance(value, list):
        return [_without_secrets(name, each) for each in value]
    if not isinstance(value, str) or not value:
        return value
    if SECRET.search(name):
        return HIDDEN
    return SECRET_FIELD.sub(rf"\g<1>{HIDDEN}", LOGIN.sub(rf"\1:{HIDDEN}", value))


# --- origins


def origin_of(ctx: click.Context, param: click.Parameter) -> Origin:
    """Where the value of a parameter was set."""
    name = str(param.name)
    if name in ctx.meta.get(USED, {}):
        return Origin(Source.VARIABLE, ctx.meta[USED][name])
    source = ctx.get_parameter_source(name)
    if source is ParameterSource.COMMANDLINE:
        return Origin(Source.OPTION, max(param.opts, key=len))
    if source is ParameterSource.ENVIRONMENT:
        return variable(ctx, param)
    if source is ParameterSource.DEFAULT_MAP:
        return in_project(ctx, name)
    return Origin(Source.DEFAULT)


def variable(ctx: click.Context, param: click.Parameter) -> Origin:
    """The variable of a parameter, and the dotenv file that sets it if one does."""
    names = [param.envvar] if isinstance(param.envvar, str) else list(param.envvar or ())
    name = next((each for each in names if os.environ.get(each)), names[0])
    return of_variable(ctx, name)


def of_variable(ctx: click.Context, name: str) -> Origin:
    """A variable, and the dotenv file that sets it if one does."""
    if name not in ctx.meta.get(config.ENVIRON, os.environ):
        setting = re.compile(rf"\s*(?:export\s+)?{re.escape(name)}\s*=")
        for path in ctx.meta.get(config.DOTENV, ()):
            for number, line in enumerate(path.read_text("utf-8", "replace").splitlines(), 1):
                if setting.match(line):
                    return Origin(Source.VARIABLE, name, _shown(path), number)
    return Origin(Source.VARIABLE, name)


def in_project(ctx: click.Context, name: str) -> Origin:
    """The line of pyproject.toml that sets an option."""
    project: config.Project = ctx.meta[config.PROJECT]
    return Origin(Source.FILE, name, _shown(project.path or Path()), project.line_of(name))


def _shown(path: Path) -> str:
    """A path as it is named from the current folder, if it is below it."""
    path = path.absolute()
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
