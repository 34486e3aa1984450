"""URLs from rules: a rule's text as a template made once, filled in by each call."""

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
    """Domain and path of a rule, as texts and slots in turn."""

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
        """Domain and path with the query of the values the rule does not name."""
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
    """One text with slots: `form` as for the % operator, `slots` the names in order."""

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


# The quick way: one rule, no query, values of the types one expects. A function made for
# the rule either builds the path or gives None, and the general way is taken.


def _int_text(value: Any) -> str | None:
    return str(value) if type(value) is int else None


def _text(value: Any) -> str | None:
    if type(value) is str:
        return quote_path(value)
    return str(value) if type(value) is int else None


def _first_text(value: Any) -> str | None:
    """As `_text`, but right behind the leading slash, where it must not be another one."""
    text = _text(value)
    return text if text and text[0] != "/" else None


def quick_builder(rules: list[Rule], map: Map) -> Quick | None:
    """A function from the values to the path for the endpoint of `rules`, or None."""
    first = rules[0]
    for rule in rules:
        if rule.websocket or rule.subdomain != map.default_subdomain or map.host_matching:
            return None
        # With different methods the adapter's own method would decide between the rules.
        if "<" in map.default_subdomain or rule.methods != first.methods:
            return None
    built = [(rule, _quick(rule._compiled().path, rule._converters)) for rule in rules]
    if any(build is None for _, build in built):
        return None
    if len(rules) == 1 and not first.defaults:
        return built[0][1]
    return _quick_choice([(rule, build) for rule, build in built if build is not None])


def _quick_choice(built: list[tuple[Rule, Quick]]) -> Quick:
    """The first rule the values suit. None as soon as it would need a query."""
    plans = []
    for rule, build in built:
        defaults = dict(rule.defaults or {})
        plans.append((rule.arguments - set(defaults), rule.arguments, defaults, build))

    def choose(values: Mapping[str, Any]) -> str | None:
        names = values.keys()
        for required, arguments, defaults, build in plans:
            if not required <= names:
                continue
            if defaults:
                if any(name in values and values[name] != defaults[name] for name in defaults):
                    continue
                if arguments >= names:
                    return build({name: values[name] for name in required})
                return None
            return build(values) if arguments == names else None
        return None

    return choose


def _quick(pattern: Pattern, converters: Mapping[str, BaseConverter]) -> Quick | None:
    slots: list[tuple[str, Callable[[Any], str | None]]] = []
    first = pattern.form.startswith("/%s")
    for name, _ in pattern.slots:
        to_text = _quick_text(converters[name], first and not slots)
        if to_text is None:
            return None
        slots.append((name, to_text))
    return _quick_function("/" + pattern.form.lstrip("/"), slots)


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
    if len(slots) == 2:
        return _quick_two(form, *slots[0], *slots[1])
    count = len(slots)

    def build(values: Mapping[str, Any]) -> str | None:
        if len(values) != count:
            return None
        texts = [to_text(values.get(name)) for name, to_text in slots]
        return None if None in texts else form % tuple(texts)

    return build


def _quick_one(form: str, name: str, to_text: Callable[[Any], str | None]) -> Quick:
    head, tail = form.split("%s")
    head, tail = head % (), tail % ()

    def build(values: Mapping[str, Any]) -> str | None:
        if len(values) != 1 or name not in values:
            return None
        text = to_text(values[name])
        return None if text is None else f"{head}{text}{tail}"

    return build


def _quick_two(
    form: str,
    name: str,
    to_text: Callable[[Any], str | None],
    other: str,
    other_to_text: Callable[[Any], str | None],
) -> Quick:
    def build(values: Mapping[str, Any]) -> str | None:
        if len(values) != 2 or name not in values or other not in values:
            return None
        text, other_text = to_text(values[name]), other_to_text(values[other])
        return None if text is None or other_text is None else form % (text, other_text)

    return build
