"""`carboy run --print-config`: every value, as TOML with comments or as JSON.

The TOML can be used as [tool.carboy]: what is set has a line, and a default is a comment.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from carboy.cli.configuration.values import (
    HIDDEN,
    Origin,
    Source,
    Value,
    in_project,
    of_variable,
    values_of,
)
from carboy.cli.locate import VARIABLES, NoApplication, choose
from carboy.cli.options import SECTIONS

CODE = 30  # columns for the code, before the comment


def print_config(ctx: click.Context, app: str | None, values: dict[str, Any], as_json: bool) -> int:
    """Show all values; returns the exit code."""
    found = [application(ctx, app), *values_of(ctx, values)]
    click.echo(as_object(found) if as_json else as_toml(found), nl=False)
    return 0


def application(ctx: click.Context, given: str | None) -> Value:
    """The name of the application and where it was found."""
    root = ctx.find_root()
    before = root.params.get("app")
    named = next((name for name in VARIABLES if os.environ.get(name)), "")
    if given:
        origin = Origin(Source.OPTION, "APP")
    elif root.get_parameter_source("app") is ParameterSource.COMMANDLINE:
        origin = Origin(Source.OPTION, "--app")
    elif named:
        origin = of_variable(ctx, named)
    else:
        origin = in_project(ctx, "app") if before else Origin(Source.DEFAULT)
    try:
        name: str | None = choose(given or before, os.environ, Path.cwd())
    except NoApplication:
        name = None
    return Value("app", SECTIONS[0], name, "name", "Application that is served.", origin)


def as_toml(values: Iterable[Value]) -> str:
    """The values as the table [tool.carboy]."""
    lines = ["[tool.carboy]"]
    sections: dict[str, list[Value]] = {}
    for each in values:
        sections.setdefault(each.section, []).append(each)
    for title in sorted(sections, key=lambda title: (*SECTIONS, title).index(title)):
        lines += ["", f"# --- {title}"]
        for each in sections[title]:
            lines += _lines(each)
    return "\n".join(lines) + "\n"


def _lines(each: Value) -> list[str]:
    comment = each.value is None or each.origin.source is Source.DEFAULT or _is_hidden(each.value)
    code = f"{each.key} =" if each.value is None else f"{each.key} = {toml_value(each.value)}"
    shown = f"# {code}" if comment else code
    unit = "" if each.unit in ("yes or no", "text", "name") else f"{each.unit}; "
    return [f"# {each.meaning}", f"{shown:<{CODE}}  # {unit}{each.origin}"]


def _is_hidden(value: Any) -> bool:
    return any(HIDDEN in str(each) for each in (value if isinstance(value, list) else [value]))


def toml_value(value: Any) -> str:
    """A value in TOML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(toml_value, value))}]"
    # The escapes of JSON are those of TOML, which does not allow DEL either.
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")


def as_object(values: Iterable[Value]) -> str:
    """The values as one JSON object."""
    found = {
        each.key: {
            "value": each.value,
            "unit": each.unit,
            "meaning": each.meaning,
            "origin": {
                "source": each.origin.source.value,
                "name": each.origin.name,
                "file": each.origin.file,
                "line": each.origin.line,
            },
        }
        for each in values
    }
    return json.dumps(found, indent=2, ensure_ascii=False) + "\n"
