"""URLs from rules.

`Template` is the general way: the text of a rule, made once and filled in by each call.
`fast_builder` generates one function for an endpoint from the rules that it has. The function
takes the values and whether unknown values become a query. It returns the path, or None where the
general way has to decide: values that are not plain text or numbers, custom converters, several
hosts. Its source consists of the texts of the rules, which are quoted, and of the names of their
variables, which the syntax of rules limits to identifiers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus

from carboy.routing.converters import (
    BaseConverter,
    IntegerConverter,
    PathConverter,
    UnicodeConverter,
    ValidationError,
    quote_path,
)
from carboy.routing.syntax import Token

if TYPE_CHECKING:
    from carboy.routing.map import Map
    from carboy.routing.rule import Rule

# The characters of a query that are not quoted (RFC 3986 section 3.4), without separators.
QUERY_SAFE = "!$'()*,/:;?@"

Slot = tuple[str, Callable[[Any], str]]


def encode_query(
    values: Mapping[Any, Any],
    sort: bool = False,
    sort_key: Callable[[tuple[Any, Any]], Any] | None = None,
) -> str:
    """The values as a query string. A list repeats its name; None is left out."""
    items = _query_items(values)
    if sort:
        items.sort(key=sort_key)
    return "&".join([f"{_quote_query(key)}={_quote_query(value)}" for key, value in items])


def _query_items(values: Mapping[Any, Any]) -> list[tuple[Any, Any]]:
    items: list[tuple[Any, Any]] = []
    lists = getattr(values, "lists", None)
    for key, value in lists() if lists is not None else values.items():
        if isinstance(value, list | tuple | set):
            items += [(key, each) for each in value if each is not None]
        elif value is not None:
            items.append((key, value))
    return items


def _quote_query(value: Any) -> str:
    if isinstance(value, bytes):
        return quote_plus(value, safe=QUERY_SAFE)
    text = str(value)
    return text if text.isalnum() and text.isascii() else quote_plus(text, safe=QUERY_SAFE)


class Template:
    """The domain and the path of a rule, each as a text with slots."""

    __slots__ = ("domain", "path")

    def __init__(
        self,
        domain: list[Token],
        path: list[Token],
        converters: Mapping[str, BaseConverter],
        defaults: Mapping[str, Any],
    ) -> None:
        self.domain = Pattern(domain, converters, defaults)
        self.path = Pattern(path, converters, defaults)

    def build(
        self, values: Mapping[str, Any], rule: Rule, append_unknown: bool
    ) -> tuple[str, str] | None:
        """The domain, and the path with the values that the rule does not name as the query."""
        try:
            domain, path = self.domain.fill(values), self.path.fill(values)
        except ValidationError:
            return None
        except KeyError as error:
            raise TypeError(f"{rule!r} needs the value {error.args[0]!r}.") from None
        if append_unknown and not rule.arguments.issuperset(values):
            unknown = {key: value for key, value in values.items() if key not in rule.arguments}
            query = encode_query(unknown, rule.map.sort_parameters, rule.map.sort_key)
            path = f"{path}?{query}" if query else path
        return domain, path


class Pattern:
    """A text with slots: `form` for the % operator, and `slots` with the names in order."""

    __slots__ = ("form", "slots")

    def __init__(
        self,
        tokens: list[Token],
        converters: Mapping[str, BaseConverter],
        defaults: Mapping[str, Any],
    ) -> None:
        self.form = ""
        self.slots: list[Slot] = []
        for token in tokens:
            if isinstance(token, str):
                self.form += quote_path(token).replace("%", "%%")
            elif token.name in defaults:
                text = converters[token.name].to_url(defaults[token.name])
                self.form += text.replace("%", "%%")
            else:
                self.slots.append((token.name, converters[token.name].to_url))
                self.form += "%s"

    def fill(self, values: Mapping[str, Any]) -> str:
        """The text with the values in their slots."""
        if not self.slots:
            return self.form % ()
        return self.form % tuple([to_url(values[name]) for name, to_url in self.slots])


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


def fast_builder(rules: list[Rule], map: Map) -> FastBuild | None:
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

    def __init__(self, map: Map) -> None:
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
