"""URLs from rules: a rule's text as a template made once, filled in by each call."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

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

# Stays as it is in a query (RFC 3986 section 3.4), without what separates its parts.
QUERY_SAFE = "!$'()*,/:;?@"

Slot = tuple[str, Callable[[Any], str]]
Quick = Callable[[Mapping[str, Any]], str | None]


def encode_query(
    values: Mapping[Any, Any],
    sort: bool = False,
    sort_key: Callable[[tuple[Any, Any]], Any] | None = None,
) -> str:
    """The values as a query string: a list gives its name several times, None nothing."""
    items: Iterable[tuple[Any, Any]] = _query_items(values)
    if sort:
        items = sorted(items, key=sort_key)
    return urlencode(list(items), safe=QUERY_SAFE)


def _query_items(values: Mapping[Any, Any]) -> Iterable[tuple[Any, Any]]:
    lists = getattr(values, "lists", None)
    for key, value in lists() if lists is not None else values.items():
        for each in value if isinstance(value, list | tuple | set) else (value,):
            if each is not None:
                yield key, each


class Template:
    """Domain and path of a rule, as texts and slots in turn."""

    __slots__ = ("domain", "path")

    def __init__(
        self,
        domain: list[Token],
        path: list[Token],
        converters: Mapping[str, BaseConverter],
        defaults: Mapping[str, Any],
    ) -> None:
        self.domain = _pieces(domain, converters, defaults)
        self.path = _pieces(path, converters, defaults)

    def build(
        self, values: Mapping[str, Any], rule: Rule, append_unknown: bool
    ) -> tuple[str, str] | None:
        """Domain and path with the query of the values the rule does not name."""
        try:
            domain, path = _fill(self.domain, values), _fill(self.path, values)
        except ValidationError:
            return None
        except KeyError as error:
            raise TypeError(f"{rule!r} needs the value {error.args[0]!r}.") from None
        if append_unknown and not rule.arguments.issuperset(values):
            unknown = {key: value for key, value in values.items() if key not in rule.arguments}
            query = encode_query(unknown, rule.map.sort_parameters, rule.map.sort_key)
            path = f"{path}?{query}" if query else path
        return domain, path


def _pieces(
    tokens: list[Token], converters: Mapping[str, BaseConverter], defaults: Mapping[str, Any]
) -> list[str | Slot]:
    pieces: list[str | Slot] = []
    text = ""
    for token in tokens:
        if isinstance(token, str):
            text += quote_path(token)
        elif token.name in defaults:
            text += converters[token.name].to_url(defaults[token.name])
        else:
            pieces += [text, (token.name, converters[token.name].to_url)]
            text = ""
    return [*pieces, text] if text else pieces


def _fill(pieces: list[str | Slot], values: Mapping[str, Any]) -> str:
    return "".join(
        [piece if isinstance(piece, str) else piece[1](values[piece[0]]) for piece in pieces]
    )


# The quick way: one rule, no query, values of the types one expects. A function made for
# the rule either builds the path or gives None, and the general way is taken.


def _int_text(value: Any) -> str | None:
    return str(value) if type(value) is int else None


def _text(value: Any) -> str | None:
    if type(value) is str:
        return value if value.isascii() and value.isalnum() else quote_path(value)
    return str(value) if type(value) is int else None


def _first_text(value: Any) -> str | None:
    """As `_text`, but right behind the leading slash, where it must not be another one."""
    text = _text(value)
    return text if text and text[0] != "/" else None


def quick_builder(rules: list[Rule], map: Map) -> Quick | None:
    """A function from the values to the path for the endpoint of `rules`, or None."""
    rule = rules[0]
    if len(rules) != 1 or rule.websocket or rule.defaults or map.host_matching:
        return None
    if rule.subdomain != map.default_subdomain or "<" in (rule.subdomain or ""):
        return None
    return _quick(rule._compiled().path, rule._converters)


def _quick(pieces: list[str | Slot], converters: Mapping[str, BaseConverter]) -> Quick | None:
    form = ""
    slots: list[tuple[str, Callable[[Any], str | None]]] = []
    for piece in pieces:
        if isinstance(piece, str):
            form += piece.replace("%", "%%")
            continue
        to_text = _quick_text(converters[piece[0]], first=form == "/")
        if to_text is None:
            return None
        slots.append((piece[0], to_text))
        form += "%s"
    return _quick_function("/" + form.lstrip("/"), slots)


def _quick_text(converter: BaseConverter, first: bool) -> Callable[[Any], str | None] | None:
    kind = type(converter)
    if kind is IntegerConverter and not converter.fixed_digits:  # type: ignore[attr-defined]
        return _int_text
    if kind in (UnicodeConverter, PathConverter):
        return _first_text if first else _text
    return None


def _quick_function(form: str, slots: list[tuple[str, Callable[[Any], str | None]]]) -> Quick:
    if not slots:
        path = form % ()
        return lambda values: None if values else path
    if len(slots) == 1:
        return _quick_one(form, *slots[0])
    count = len(slots)

    def build(values: Mapping[str, Any]) -> str | None:
        if len(values) != count:
            return None
        texts = []
        for name, to_text in slots:
            text = to_text(values.get(name))
            if text is None:
                return None
            texts.append(text)
        return form % tuple(texts)

    return build


def _quick_one(form: str, name: str, to_text: Callable[[Any], str | None]) -> Quick:
    head, tail = form.split("%s")
    head, tail = head % (), tail % ()

    def build(values: Mapping[str, Any]) -> str | None:
        if len(values) != 1 or name not in values:
            return None
        text = to_text(values[name])
        return None if text is None else head + text + tail

    return build
