"""The JSON schema of [tool.carboy], made from the options of `carboy run`.

Editors that know JSON schemas (through SchemaStore, Even Better TOML, taplo) complete and check the
table with it.
"""

from __future__ import annotations

import json
from typing import Any

import click

from carboy.cli.configuration.values import DEFAULT_IN_HELP, unit_of
from carboy.cli.option_types import Host, Number, Octal, Port, Size, Workers
from carboy.cli.options import SectionOption, names_of

DRAFT = "http://json-schema.org/draft-07/schema#"  # that of SchemaStore
APP = "Application to serve: MODULE, MODULE:NAME, MODULE:FACTORY(…) or the path of a file."
SIZE = r"^\s*[0-9]+\s*[kKmMgG]?([iI]?[bB])?\s*$"  # carboy.sizes


def print_schema(command: click.Command) -> int:
    """Show the schema; returns the exit code."""
    click.echo(json.dumps(schema_of(command), indent=2, ensure_ascii=False))
    return 0


def schema_of(command: click.Command) -> dict[str, Any]:
    """The schema of [tool.carboy] for the options of `carboy run`.

    A key may be written with - or _; the second form refers to the first.
    """
    properties: dict[str, Any] = {"app": {"type": "string", "description": APP}}
    keys = names_of(command.params)
    for param in command.params:
        if isinstance(param, SectionOption) and param.name in keys:
            properties[param.name.replace("_", "-")] = of_option(param)
    for key in [key for key in properties if "-" in key]:
        properties[key.replace("-", "_")] = {"$ref": f"#/properties/{key}"}
    return {
        "$schema": DRAFT,
        "title": "[tool.carboy]",
        "description": "Options of `carboy run` in pyproject.toml.",
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
    }


def of_option(param: SectionOption) -> dict[str, Any]:
    """The schema of one key."""
    one = of_value(param)
    text = DEFAULT_IN_HELP.sub("", param.help or "")
    unit = unit_of(param)
    about = {"description": f"{text} Unit: {unit}." if unit in MEASURES else text}
    if not param.multiple:
        return {**one, **about}
    several: list[Any] = [one, {"type": "array", "items": one}]
    if param.name in ("mount", "static"):
        several.append({"type": "object", "additionalProperties": {"type": "string"}})
    return {"anyOf": several, **about}


MEASURES = ("seconds", "bytes", "bytes/s", "mode")


def of_value(param: SectionOption) -> dict[str, Any]:
    """The schema of a single value of an option."""
    kind = param.type
    if param.is_flag or isinstance(kind, click.types.BoolParamType):
        return {"type": "boolean"}
    if isinstance(kind, click.Choice):
        return {"enum": list(kind.choices)}
    if isinstance(kind, Number):
        return {"type": "integer" if kind.kind is int else "number", "minimum": kind.least}
    if isinstance(kind, Port):
        return {"type": "integer", "minimum": 0, "maximum": 65535}
    if isinstance(kind, Size):
        return {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": SIZE}]}
    if isinstance(kind, Octal):
        return {"anyOf": [{"type": "integer"}, {"type": "string", "pattern": "^(0o)?[0-7]{1,3}$"}]}
    if isinstance(kind, Workers):
        return {"anyOf": [{"type": "integer", "minimum": 1}, {"const": "auto"}]}
    return {"type": "string", **({"minLength": 1} if isinstance(kind, Host) else {})}
