"""A URL rule, and what is made of it when it is bound to a map."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from carboy.late import compiled_later
from carboy.routing.build import Template
from carboy.routing.converters import (
    DEFAULT_CONVERTERS,
    BaseConverter,
    IntegerConverter,
    NumberConverter,
)
from carboy.routing.parts import merge_slashes as merged
from carboy.routing.syntax import Token, Variable, parse_rule

if TYPE_CHECKING:
    from carboy.routing.description import RulePart
    from carboy.routing.interface import MapSettings

_slashes = compiled_later("(/)")

WEBSOCKET_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def plain_conversion(converter: BaseConverter) -> Callable[[str], Any] | None:
    """The fastest function that does the same as `converter.to_python`; None for plain text."""
    to_python = type(converter).to_python
    if to_python is BaseConverter.to_python:
        return None
    if to_python is NumberConverter.to_python and type(converter) is IntegerConverter:
        limited = converter.fixed_digits or converter.min is not None or converter.max is not None
        if not limited:
            return int  # after a ValueError (too many digits) the caller uses to_python
    return converter.to_python


def _is_own(converter: BaseConverter) -> bool:
    """Whether `to_python` is of this package: an application's code may need its contexts."""
    return type(converter).to_python in _OWN_CONVERSIONS


_OWN_CONVERSIONS = {kind.to_python for kind in DEFAULT_CONVERTERS.values()}


def _traced(tokens: Iterable[Token]) -> Iterator[tuple[bool, str]]:
    for token in tokens:
        if isinstance(token, Variable):
            yield True, token.name
        else:
            yield from ((False, text) for text in _slashes.split(token) if text)


class RuleFactory:
    """Something that makes rules for a map."""

    def get_rules(self, map: Any) -> Iterable[Rule]:
        """The rules, not yet bound; subclasses say which."""
        raise NotImplementedError(f"{type(self).__name__} has to define get_rules.")


class Rule(RuleFactory):
    """A URL rule: `string` with `<converter(arguments):name>` for its variable parts.

    It is a leaf, or a branch if it ends with a slash. Arguments that are None default to the
    settings of the map. Raises ValueError or TypeError for invalid arguments; the variables are
    checked when the rule is bound to a map.
    """

    def __init__(
        self,
        string: str,
        defaults: Mapping[str, Any] | None = None,
        subdomain: str | None = None,
        methods: Iterable[str] | None = None,
        build_only: bool = False,
        endpoint: Any | None = None,
        strict_slashes: bool | None = None,
        merge_slashes: bool | None = None,
        redirect_to: str | Callable[..., str] | None = None,
        alias: bool = False,
        host: str | None = None,
        websocket: bool = False,
    ) -> None:
        if not string.startswith("/"):
            raise ValueError(f"URL rule {string!r} must start with a slash. Write '/{string}'.")
        self.rule = string
        self.is_leaf = not string.endswith("/")
        self.is_branch = not self.is_leaf
        self.map: MapSettings = None  # type: ignore[assignment]  # set by bind
        self.strict_slashes = strict_slashes
        self.merge_slashes = merge_slashes
        self.subdomain = subdomain
        self.host = host
        self.defaults = defaults
        self.build_only = build_only
        self.alias = alias
        self.websocket = websocket
        self.methods = self._method_set(methods)
        self.endpoint: Any = endpoint
        self.redirect_to = redirect_to
        self.arguments: set[str] = set(map(str, defaults)) if defaults else set()
        self._converters: dict[str, BaseConverter] = {}
        self._tokens: tuple[list[Token], list[Token]] = ([], [])
        self._template: Template | None = None
        # Set by the map when it sorts its rules.
        self._key = ""  # unique among the rules of an application
        self._conversions: tuple[tuple[str, Callable[[str], Any] | None], ...] = ()
        self._provides_defaults: list[Rule] = []
        self._direct = False  # a match is never redirected: not an alias, no redirect_to
        self._plain = False  # also, all converters are of this package

    def _method_set(self, methods: Iterable[str] | None) -> set[str] | None:
        if methods is None:
            return None
        if isinstance(methods, str):
            raise TypeError(f"'methods' should be a list of strings. Write [{methods!r}].")
        found = {method.upper() for method in methods}
        if "GET" in found:
            found.add("HEAD")
        if self.websocket and found - WEBSOCKET_METHODS:
            raise ValueError("WebSocket rules can only use the methods GET, HEAD and OPTIONS.")
        return found

    def empty(self) -> Rule:
        """An unbound copy."""
        return type(self)(self.rule, **self.get_empty_kwargs())

    def get_empty_kwargs(self) -> dict[str, Any]:
        """The keyword arguments for a copy of the rule; subclasses add theirs."""
        return {
            "defaults": dict(self.defaults) if self.defaults else None,
            "subdomain": self.subdomain,
            "methods": self.methods,
            "build_only": self.build_only,
            "endpoint": self.endpoint,
            "strict_slashes": self.strict_slashes,
            "merge_slashes": self.merge_slashes,
            "redirect_to": self.redirect_to,
            "alias": self.alias,
            "host": self.host,
            "websocket": self.websocket,
        }

    def get_rules(self, map: Any) -> Iterator[Rule]:
        yield self

    def refresh(self) -> None:
        """Bind again after an attribute was changed."""
        self.bind(self.map, rebind=True)

    def bind(self, map: MapSettings, rebind: bool = False) -> None:
        """Make the rule part of `map`, with the defaults and converters of the map."""
        if self.map is not None and not rebind:
            raise RuntimeError(
                f"url rule {self!r} already bound to map {self.map!r}. Add rule.empty() instead."
            )
        self.map = map
        if self.strict_slashes is None:
            self.strict_slashes = map.strict_slashes
        if self.merge_slashes is None:
            self.merge_slashes = map.merge_slashes
        if self.subdomain is None:
            self.subdomain = map.default_subdomain
        self.compile()

    def compile(self) -> None:
        """Parse the text of the rule and make its converters."""
        if self.map is None:
            raise AssertionError(f"rule not bound: add {self.rule!r} to a map first.")
        domain = self.host if self.map.host_matching else self.subdomain
        path = merged(self.rule) if self.merge_slashes and "//" in self.rule else self.rule
        self._tokens = (parse_rule(domain or ""), parse_rule(path))
        self._converters = {}
        self._template = None
        for token in (*self._tokens[0], *self._tokens[1]):
            if isinstance(token, Variable):
                self._add_converter(token)

    @property
    def _trace(self) -> list[tuple[bool, str]]:
        """Pairs of whether a part is a variable and the part, which API generators read."""
        domain, path = self._tokens
        return list(_traced((*domain, "|", *path))) if path else []

    @property
    def _parts(self) -> list[RulePart]:
        """The segments, in the form of Werkzeug's rules."""
        from carboy.routing.description import described

        return described(self)

    def _add_converter(self, variable: Variable) -> None:
        name = variable.name
        if name in self._converters:
            raise ValueError(
                f"variable name {name!r} used twice in {self.rule!r}. Give each variable its"
                " own name."
            )
        self._converters[name] = self.get_converter(
            name, variable.converter, variable.args, variable.kwargs
        )
        self.arguments.add(name)

    def get_converter(
        self,
        variable_name: str,
        converter_name: str,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
    ) -> BaseConverter:
        """A converter for one variable; raises LookupError if the map knows no such converter."""
        kind = self.map.converters.get(converter_name)
        if kind is None:
            known = ", ".join(sorted(self.map.converters))
            raise LookupError(
                f"the converter {converter_name!r} does not exist. {self.rule!r} uses it for"
                f" {variable_name!r}, and the map has {known}."
            )
        made: BaseConverter = kind(self.map, *args, **kwargs)
        return made

    def _prepare(self, providers: list[Rule]) -> None:
        """Compute what a match of this rule needs. `providers` are the earlier rules."""
        self._conversions = tuple(
            (name, plain_conversion(converter)) for name, converter in self._converters.items()
        )
        self._provides_defaults = [r for r in providers if r.provides_defaults_for(self)]
        redirects = self.map.redirect_defaults and (self.alias or self._provides_defaults)
        self._direct = not redirects and self.redirect_to is None and not self.websocket
        self._plain = self._direct and all(map(_is_own, self._converters.values()))
        self._key = f"{self.endpoint} {self.host or self.subdomain or ''}{self.rule}"

    def _convert(self, raw: Iterable[str]) -> dict[str, Any]:
        """The values of the matched texts, with the defaults; may raise ValidationError."""
        values = {
            name: self._converters[name].to_python(text)
            for name, text in zip(self._converters, raw, strict=True)
        }
        if self.defaults:
            values.update(self.defaults)
        return values

    def _compiled(self) -> Template:
        template = self._template  # read once: `refresh` in another thread may reset it
        if template is None:
            template = Template(*self._tokens, self._converters, self.defaults or {})
            self._template = template
        return template

    def build(
        self, values: Mapping[str, Any], append_unknown: bool = True
    ) -> tuple[str, str] | None:
        """Domain part and path with query for `values`; None if a converter refuses one."""
        return self._compiled().build(values, self, append_unknown)

    def provides_defaults_for(self, rule: Rule) -> bool:
        """Whether this rule replaces `rule` for values that are this rule's defaults."""
        return bool(
            not self.build_only
            and self.defaults
            and self.endpoint == rule.endpoint
            and self != rule
            and self.arguments == rule.arguments
        )

    def suitable_for(self, values: Mapping[str, Any], method: str | None = None) -> bool:
        """Whether this rule can build a URL with `values`."""
        if method is not None and self.methods is not None and method not in self.methods:
            return False
        defaults = self.defaults
        if not defaults:
            return self.arguments.issubset(values)
        for name in self.arguments:
            if name in defaults:
                if name in values and values[name] != defaults[name]:
                    return False
            elif name not in values:
                return False
        return True

    def build_compare_key(self) -> tuple[int, int, int]:
        """Sorts the rules of an endpoint: no alias, more variables, more defaults first."""
        return (int(self.alias), -len(self.arguments), -len(self.defaults or ()))

    def _shape(self) -> object:
        """The texts and variable names, which are equal for rules of the same URLs."""
        if not self._tokens[1]:
            return self.rule, self.subdomain, self.host
        return [[t if isinstance(t, str) else (t.name,) for t in ts] for ts in self._tokens]

    def __eq__(self, other: object) -> bool:
        """Two rules are equal if they are for the same URLs."""
        return isinstance(other, type(self)) and self._shape() == other._shape()

    __hash__ = None  # type: ignore[assignment]  # rules change when they are bound

    def __str__(self) -> str:
        return self.rule

    def __repr__(self) -> str:
        if not self._tokens[1]:
            return f"<{type(self).__name__} (unbound)>"
        domain, path = (
            "".join(t if isinstance(t, str) else f"<{t.name}>" for t in tokens)
            for tokens in self._tokens
        )
        where = f"{domain}|{path}" if domain else path
        methods = f" ({', '.join(sorted(self.methods))})" if self.methods is not None else ""
        return f"<{type(self).__name__} {where!r}{methods} -> {self.endpoint}>"
