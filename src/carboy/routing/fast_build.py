"""Generated functions that build URLs, the fast way for the usual rules and values.

`fast_builder` generates one function for an endpoint from the rules that it has. The function
takes the values and whether unknown values become a query. It returns the path, or None where the
general way (`build.Template`) has to decide: values that are not plain text or numbers, custom
converters, several hosts. Its source consists of the texts of the rules, which are quoted, and of
the names of their variables, which the syntax of rules limits to identifiers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from carboy.routing.build import Pattern, encode_query
from carboy.routing.converters import (
    BaseConverter,
    IntegerConverter,
    PathConverter,
    UnicodeConverter,
    quote_path,
)

if TYPE_CHECKING:
    from carboy.routing.interface import MapSettings
    from carboy.routing.rule import Rule

FastBuild = Callable[[Any, bool], str | None]

HEAD = """\
def build(values, unknown):
 if type(values) is not dict:
  if values: return None
  values = {}
 size = len(values)
"""
# The lines that turn a value into the text of its slot. Directly after the leading slash the
# text must not be empty and must not begin with another slash.
INTEGER = """\
 if type({v}) is not int: return None
"""
TEXT = """\
 if type({v}) is str:
  if not ({v}.isascii() and {v}.isalnum()): {v} = quote_path({v})
 elif type({v}) is not int: return None
"""
FIRST_TEXT = """\
 if type({v}) is str:
  if not ({v}.isascii() and {v}.isalnum()):
   if not {v} or {v}[0] == "/": return None
   {v} = quote_path({v})
 elif type({v}) is not int: return None
"""


def fast_builder(rules: list[Rule], map: MapSettings) -> FastBuild | None:
    """The function that builds URLs of `rules`, all of one endpoint; None if there can be none."""
    if map.host_matching or "<" in map.default_subdomain:
        return None
    if any(r.websocket or r.subdomain != map.default_subdomain for r in rules):
        return None
    # With different methods the adapter's own method would decide between the rules.
    if any(rule.methods != rules[0].methods for rule in rules):
        return None
    names: dict[str, Any] = {"quote_path": quote_path, "query": _Query(map)}
    source = [HEAD]
    for number, rule in enumerate(rules):
        lines = _rule_lines(rule, number, names)
        if lines is None:
            return None
        source.append(lines)
    exec("\n".join(source), names)  # the top of this file says what the source is made of
    return names["build"]  # type: ignore[no-any-return]


class _Query:
    """Adds the values that a rule does not name to its path."""

    def __init__(self, map: MapSettings) -> None:
        self.map = map

    def __call__(self, path: str, values: Mapping[str, Any], known: frozenset[str]) -> str:
        parts = ""
        for key, value in values.items():
            if key in known:
                continue
            kind = type(value)
            # Words and numbers are the usual values, and need no quoting.
            if not (
                (kind is int or (kind is str and value.isalnum() and value.isascii()))
                and type(key) is str
                and key.isidentifier()
                and key.isascii()
            ):
                return self._general(path, values, known)
            parts = f"{parts}&{key}={value}" if parts else f"{path}?{key}={value}"
        if self.map.sort_parameters:
            return self._general(path, values, known)
        return parts or path

    def _general(self, path: str, values: Mapping[str, Any], known: frozenset[str]) -> str:
        unknown = {key: value for key, value in values.items() if key not in known}
        query = encode_query(unknown, self.map.sort_parameters, self.map.sort_key)
        return f"{path}?{query}" if query else path


def _rule_lines(rule: Rule, number: int, names: dict[str, Any]) -> str | None:
    """The part of the function for one rule: a condition, and the statements for it."""
    pattern = rule._compiled().path
    taken = _slot_lines(pattern, rule._converters)
    if taken is None:
        return None
    defaults = dict(rule.defaults or {})
    conditions = [f"{name!r} in values" for name in rule.arguments if name not in defaults]
    size = str(len(conditions))
    for index, (name, value) in enumerate(defaults.items()):
        default = f"default{number}_{index}"
        names[default] = value
        conditions.append(f"({name!r} not in values or values[{name!r}] == {default})")
        size += f" + ({name!r} in values)"
    names[f"known{number}"] = frozenset(rule.arguments)
    lines = f"if {' and '.join(conditions) or 'True'}:\n{taken}"
    lines += f" path = {_format(pattern)}\n"
    lines += f" if size == {size} or not unknown: return path\n"
    lines += f" return query(path, values, known{number})\n"
    return "".join(f" {line}\n" for line in lines.splitlines())


def _slot_lines(pattern: Pattern, converters: Mapping[str, BaseConverter]) -> str | None:
    lines = ""
    for index, (name, _) in enumerate(pattern.slots):
        converter = converters[name]
        first = index == 0 and pattern.form.startswith("/%s")
        if type(converter) is IntegerConverter and not converter.fixed_digits:
            text = INTEGER
        elif type(converter) in (UnicodeConverter, PathConverter):
            text = FIRST_TEXT if first else TEXT
        else:
            return None
        lines += f" v{index} = values[{name!r}]\n" + text.format(v=f"v{index}")
    return lines


def _format(pattern: Pattern) -> str:
    """The path as an f-string; other braces (from the default of a converter) are doubled."""
    form = "/" + pattern.form.lstrip("/").replace("{", "{{").replace("}", "}}")
    return f"f{form % tuple(f'{{v{index}}}' for index in range(len(pattern.slots)))!r}"
