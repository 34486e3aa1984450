"""The syntax of rules: `/static/<converter(arguments):name>/…`."""

from __future__ import annotations

import re
from typing import Any

from carboy.late import compiled_later

_NAME = "[a-zA-Z_][a-zA-Z0-9_]*"
_TOKEN = compiled_later(
    rf"(?P<text>[^<]+)|<(?:(?P<converter>{_NAME})(?:\((?P<arguments>.*?)\))?:)?(?P<name>{_NAME})>"
)
# One argument of a converter, up to its comma or the end: name=value or value.
_ARGUMENT = compiled_later(
    r"""\s*(?:(?P<name>\w+)\s*=\s*)?
    (?:(?P<number>[+-]?(?:\d+\.\d*|\.\d+|\d[\d_]*))
      |[urUR]?(?P<quoted>"[^"]*"|'[^']*')
      |(?P<word>[\w.]+))
    \s*(?:,|\Z)\s*""",
    re.VERBOSE,
)
_CONSTANTS = {"True": True, "False": False, "None": None}


class Variable:
    """A `<…>` of a rule."""

    __slots__ = ("args", "converter", "kwargs", "name")

    def __init__(
        self, name: str, converter: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        self.name = name
        self.converter = converter
        self.args = args
        self.kwargs = kwargs


Token = str | Variable


def parse_rule(rule: str) -> list[Token]:
    """The texts and variables of a rule, in order; raises ValueError if it is malformed."""
    if "<" not in rule:
        return [rule] if rule else []
    tokens: list[Token] = []
    position = 0
    while position < len(rule):
        found = _TOKEN.match(rule, position)
        if found is None:
            raise ValueError(
                f"malformed url rule: {rule!r} cannot be read from {rule[position:]!r} on."
                " Write a variable as <name>, <converter:name> or <converter(arguments):name>."
            )
        tokens.append(found["text"] or _variable(found))
        position = found.end()
    return tokens


def _variable(found: re.Match[str]) -> Variable:
    args, kwargs = parse_converter_args(found["arguments"]) if found["arguments"] else ((), {})
    return Variable(found["name"], found["converter"] or "default", args, kwargs)


def parse_converter_args(argstr: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a converter, positional and named.

    A value is True, False, None, a number, or text with or without quotes.
    Raises ValueError, which shows the part that cannot be parsed.
    """
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    position = 0
    end = len(argstr.rstrip())
    while position < end:
        found = _ARGUMENT.match(argstr, position)
        if found is None:
            raise ValueError(
                f"Cannot parse converter argument {argstr[position:]!r} in {argstr!r}. Put text"
                " in quotes and a comma between arguments."
            )
        if found["name"]:
            kwargs[found["name"]] = _value(found)
        else:
            args.append(_value(found))
        position = found.end()
    return tuple(args), kwargs


def _value(found: re.Match[str]) -> Any:
    if found["quoted"]:
        return found["quoted"][1:-1]
    if found["number"]:
        return float(found["number"]) if "." in found["number"] else int(found["number"])
    word = found["word"]
    return _CONSTANTS.get(word, word)
