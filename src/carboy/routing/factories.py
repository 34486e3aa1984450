"""Factories: rules with a common prefix or subdomain, and rules with placeholders."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from carboy.late import string
from carboy.routing.rule import Rule, RuleFactory


class Subdomain(RuleFactory):
    """Rules with a common subdomain."""

    def __init__(self, subdomain: str, rules: Iterable[RuleFactory]) -> None:
        self.subdomain = subdomain
        self.rules = rules

    def get_rules(self, map: Any) -> Iterator[Rule]:
        for rule in _copies(self.rules, map):
            rule.subdomain = self.subdomain
            yield rule


class Submount(RuleFactory):
    """Rules with a common path prefix."""

    def __init__(self, path: str, rules: Iterable[RuleFactory]) -> None:
        self.path = path.rstrip("/")
        self.rules = rules

    def get_rules(self, map: Any) -> Iterator[Rule]:
        for rule in _copies(self.rules, map):
            rule.rule = self.path + rule.rule
            yield rule


class EndpointPrefix(RuleFactory):
    """Rules with a common prefix of their endpoints."""

    def __init__(self, prefix: str, rules: Iterable[RuleFactory]) -> None:
        self.prefix = prefix
        self.rules = rules

    def get_rules(self, map: Any) -> Iterator[Rule]:
        for rule in _copies(self.rules, map):
            rule.endpoint = self.prefix + rule.endpoint
            yield rule


def _copies(factories: Iterable[RuleFactory], map: Any) -> Iterator[Rule]:
    for factory in factories:
        for rule in factory.get_rules(map):
            yield rule.empty()


class RuleTemplate:
    """Rules with `$placeholders` (string.Template). A call with the values makes a factory."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules = list(rules)

    def __call__(self, *args: Any, **kwargs: Any) -> RuleTemplateFactory:
        return RuleTemplateFactory(self.rules, dict(*args, **kwargs))


class RuleTemplateFactory(RuleFactory):
    """Rules with placeholders, which are replaced by the values of `context`."""

    def __init__(self, rules: Iterable[RuleFactory], context: dict[str, Any]) -> None:
        self.rules = rules
        self.context = context

    def get_rules(self, map: Any) -> Iterator[Rule]:
        for rule in _copies(self.rules, map):
            arguments = rule.get_empty_kwargs()
            for name in ("subdomain", "host", "endpoint", "redirect_to"):
                arguments[name] = self._filled(arguments[name])
            if arguments["defaults"]:
                arguments["defaults"] = {
                    key: self._filled(value) for key, value in arguments["defaults"].items()
                }
            yield type(rule)(str(self._filled(rule.rule)), **arguments)

    def _filled(self, value: Any | Callable[..., Any]) -> Any:
        return string.Template(value).substitute(self.context) if isinstance(value, str) else value
