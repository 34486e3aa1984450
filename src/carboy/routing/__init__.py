"""Routing: from method and path to a rule and its values, and back to URLs."""

from carboy.routing.adapter import MapAdapter
from carboy.routing.converters import (
    AnyConverter,
    BaseConverter,
    FloatConverter,
    IntegerConverter,
    NumberConverter,
    PathConverter,
    UnicodeConverter,
    UUIDConverter,
    ValidationError,
)
from carboy.routing.errors import (
    BuildError,
    NoMatch,
    RequestAliasRedirect,
    RequestPath,
    RequestRedirect,
    RoutingException,
    WebsocketMismatch,
)
from carboy.routing.factories import (
    EndpointPrefix,
    RuleTemplate,
    RuleTemplateFactory,
    Subdomain,
    Submount,
)
from carboy.routing.map import Map
from carboy.routing.rule import Rule, RuleFactory
from carboy.routing.syntax import parse_converter_args
from carboy.routing.trie import StateMachineMatcher

__all__ = [
    "AnyConverter",
    "BaseConverter",
    "BuildError",
    "EndpointPrefix",
    "FloatConverter",
    "IntegerConverter",
    "Map",
    "MapAdapter",
    "NoMatch",
    "NumberConverter",
    "PathConverter",
    "RequestAliasRedirect",
    "RequestPath",
    "RequestRedirect",
    "RoutingException",
    "Rule",
    "RuleFactory",
    "RuleTemplate",
    "RuleTemplateFactory",
    "StateMachineMatcher",
    "Subdomain",
    "Submount",
    "UUIDConverter",
    "UnicodeConverter",
    "ValidationError",
    "WebsocketMismatch",
    "parse_converter_args",
]
