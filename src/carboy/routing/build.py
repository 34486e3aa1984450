"""URLs from rules: the text of a rule as a template, made once and filled in by each call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from carboy.late import parse
from carboy.routing.converters import BaseConverter, ValidationError, quote_path
from carboy.routing.syntax import Token

if TYPE_CHECKING:
    from carboy.routing.interface import RuleToBuild

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
        return parse.quote_plus(value, safe=QUERY_SAFE)
    text = str(value)
    return text if text.isalnum() and text.isascii() else parse.quote_plus(text, safe=QUERY_SAFE)


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
        self, values: Mapping[str, Any], rule: RuleToBuild, append_unknown: bool
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
